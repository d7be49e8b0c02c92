"""Where a study keeps the figures of a run, so that no other run's are taken for them."""

import hashlib
import os

from arn_tf.run.folder import RunDir


def place_of(output: str, run: RunDir, *facts: object) -> str:
    """Returns the start of the paths of a run's figures: the folder's name and a digest.

    Args:
        output: folder of the study.
        run: the run, whose folder's name others may have.
        facts: what else the figures follow from, such as paths of query and gallery.
    """
    path = os.path.abspath(run.path)
    digest = hashlib.sha256("\0".join(map(str, (path, *facts))).encode()).hexdigest()
    return os.path.join(output, f"{os.path.basename(path)}_{digest[:8]}")
