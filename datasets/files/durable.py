"""What is written lasts, as far as the disk and the system can promise it."""

import contextlib
import errno
import os
from typing import BinaryIO

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ZEROS = bytes(2**20)


def sync_folder(folder: str) -> None:
    """Makes the names in a folder outlast a power cut, where its disk can.

    VirtualBox's shared folders, old SMB and some FUSE mounts refuse, and Windows opens no folder:
    what was renamed there is still renamed.

    Raises:
        OSError: the disk failed.
    """
    if os.name == "nt":
        return
    # A folder may be written and searched, but not read.
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno in (errno.EIO, *_NO_ROOM):
                raise
        finally:
            os.close(descriptor)


def reserve(file: BinaryIO, size: int) -> None:
    """Takes disk space for a file's first `size` bytes, so that writing them can't fail.

    Args:
        file: open for writing; bytes that it has stay.
        size: in bytes, at least 1.

    Raises:
        OSError: there isn't that much.
    """
    file.flush()
    if hasattr(os, "posix_fallocate"):
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
