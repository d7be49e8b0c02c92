"""Folders are those of this machine, whatever TensorFlow would make of their paths."""

import os
import re

from arn_tf.errors import ArgumentError


def refuse_url(argument: str, folder: str | os.PathLike[str]) -> None:
    """Raises an error for gs://bucket/..., of which Python would make a folder named "gs:" here.

    Args:
        argument: that the folder was given as.
        folder: as given.

    Raises:
        UserError: it is the address of another machine.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", os.fspath(folder)):
        raise ArgumentError(
            argument, folder, "name a folder of this machine, and copy it there or from there"
        )


def for_datasets(argument: str, folder: str | os.PathLike[str]) -> str:
    """Returns the path of a folder as TensorFlow Datasets takes it.

    Args:
        argument: that the folder was given as.
        folder: as given; ~ is the user's home.

    Raises:
        UserError: it is the address of another machine, or its path isn't UTF-8.
    """
    refuse_url(argument, folder)
    path = os.path.expanduser(os.fspath(folder))
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(
            argument,
            folder,
            "TensorFlow Datasets reads and writes no folder whose path isn't UTF-8; name another",
        ) from error
    # It would take what stands before :// for a protocol.
    return re.sub("/+", "/", path)
