"""Whether a path is a file or a folder, or its disk doesn't say: a share that went isn't empty.

`os.path.isfile` and `os.path.isdir` take each error for "no".
"""

import errno
import os
import stat

# What is said of a path that a working disk doesn't have, or doesn't show to us.
_SURE = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    )
)


def is_file(path: str) -> bool:
    """Whether there is a file.

    Raises:
        OSError: its disk or network drive doesn't answer.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: str) -> bool:
    """Whether there is a folder; else as `is_file`."""
    return stat.S_ISDIR(_mode(path))


def is_sure(error: OSError) -> bool:
    """Whether an error is about its path: a disk that works doesn't have it, or doesn't show it."""
    return error.errno in _SURE


def way_out(error: OSError) -> str:
    """Returns what a user can do about an error of reading."""
    if is_sure(error):
        return "check its rights"
    return "check its disk or network drive, and give the same command again"


def is_gone(root: str) -> bool:
    """Whether the disk below a folder went away: it can't be listed any more, or nothing is in it.

    An unmounted drive leaves an empty folder. One that we have no rights to hasn't gone.
    """
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM)


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except ValueError:  # a name with a zero byte
        return 0
    except OSError as error:
        if is_sure(error):
            return 0
        raise
