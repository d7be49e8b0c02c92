"""The file that a flag of a command names, to be written at its end."""

import os

from arn_tf.errors import ArgumentError
from datasets.files import atomic_files


def check_writable(argument: str, path: str) -> None:
    """Checks it before the work, so that nobody waits in vain.

    Args:
        argument: that names the file.
        path: of the file, whose folder must be there.

    Raises:
        UserError: it is a folder, or none can be made there.
    """
    if os.path.isdir(path):
        raise ArgumentError(argument, path, "is a folder; name a file")
    try:
        atomic_files.check_writable(os.path.dirname(path) or ".")
    except OSError as error:
        raise unwritable(argument, path, error) from error


def unwritable(argument: str, path: str, error: OSError) -> ArgumentError:
    """Returns what to raise where a file could not be written."""
    return ArgumentError(argument, path, f"can't be written: {error.strerror or error}")
