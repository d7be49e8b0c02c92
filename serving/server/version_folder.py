"""Reads a version's folder, which somebody else may have made, and tells what is wrong with it."""

import contextlib
from collections.abc import Iterator

from datasets.files.plain_path import plain_path
from serving.errors import BadInputError, ServingError


@contextlib.contextmanager
def loaded_from(folder: str) -> Iterator[str]:
    """Gives the path to load a version from; whatever fails inside is a `ServingError`.

    Args:
        folder: of the version.

    Raises:
        ServingError: it can't be loaded.
    """
    try:
        with plain_path(folder, BadInputError) as path:
            yield path
    except BadInputError:
        raise
    # A folder of somebody else's making may fail in any way.
    except Exception as error:
        text = str(error).strip().split("\n")[0][:300] or type(error).__name__
        raise ServingError(
            f"can't be loaded ({text}). Export it again with arn_tf.export", file=folder
        ) from error
