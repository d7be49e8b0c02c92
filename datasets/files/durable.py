"""What is written lasts, as far as the disk and the system can promise it."""

import errno
import os
import sys
from typing import BinaryIO

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILED = (errno.EIO, *_NO_ROOM)
_ZEROS = bytes(2**20)


def sync_folder(folder: str) -> None:
    """Makes the names in a folder outlast a power cut, where its disk can.

    VirtualBox's shared folders, old SMB and some FUSE mounts refuse, and Windows opens no folder:
    what was renamed there is still renamed.

    Args:
        folder: one that exists; it may be one that can be written, but not read.

    Raises:
        OSError: the disk failed, or is full.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Each system has its own word for "not on this disk"; a failed disk has these.
        if error.errno in _FAILED:
            raise


def reserve(file: BinaryIO, size: int) -> None:
    """Takes disk space for a file's first `size` bytes, so that writing them can't fail.

    Args:
        file: open for writing; bytes that it has stay.
        size: in bytes, at least 1.

    Raises:
        OSError: there isn't that much.
    """
    file.flush()
    if sys.platform != "win32" and hasattr(os, "posix_fallocate"):  # macOS has none
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            # This file system can't promise room without writing.
    at = os.fstat(file.fileno()).st_size
    place = file.tell()
    file.seek(at)
    for start in range(at, size, len(_ZEROS)):
        file.write(_ZEROS[: size - start])
    file.flush()
    file.seek(place)
