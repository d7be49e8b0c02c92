"""The folder of a prepared data set, which a disk or a user may have damaged."""

import contextlib
import re
from collections.abc import Iterator

from arn_tf.errors import UserError

WAY_OUT = "Remove that folder to prepare it again, or name another data_dir"
# TensorFlow's names of the operations at fault, before and after what it says of them.
_OPERATIONS = re.compile(r"\{\{.*?\}\}\s*| \[Op:.*")


@contextlib.contextmanager
def readable(name: str, folder: str) -> Iterator[None]:
    """A context in which TFDS reads the folder; whatever it finds there becomes one error.

    Args:
        name: of the data set.
        folder: of its prepared files.

    Raises:
        UserError: a file there is missing, cut off, damaged or not to be opened.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    # TFDS asserts, parses and looks up what it finds, and has no kind of error for it.
    except Exception as error:
        reason = _OPERATIONS.sub("", str(error).strip().split("\n")[0])[:300].rstrip(".")
        raise UserError(
            f"source or target {name}: {folder} is not as it was prepared "
            f"({reason or type(error).__name__}). {WAY_OUT}",
            ["source", "target", "data_dir"],
        ) from error
