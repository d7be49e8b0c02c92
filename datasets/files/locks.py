"""Locks between processes, on every disk and system.

Where a disk has no locks (Lustre without `flock`, some FUSE, SMB and NFS mounts), a marker file
that only one process can make stands in; that of a process killed on this machine is taken over.
"""

import contextlib
import errno
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator

with warnings.catch_warnings():
    # Windows and systems without fcntl; said where it matters, see `_holder`.
    warnings.simplefilter("ignore")
    import filelock

# What `flock` says where a disk has none. Any other word is an error of its own, but EWOULDBLOCK,
# which alone means another process.
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})
_SOON = 0.5  # seconds in which most locks are free again
_LONGEST_HOLDER = 300  # bytes


class Held(Exception):
    """Another process holds the lock; the text says which."""


@contextlib.contextmanager
def held(path: str, waiting: Callable[[str], object] | None = None) -> Iterator[None]:
    """Holds a lock until the block ends.

    Args:
        path: file that stands for it; made here, and removed again.
        waiting: called once with who holds the lock, before it is waited for; without it nobody
            waits.

    Raises:
        Held: another process holds it, unless `waiting`.
        OSError: the file can't be made: no rights, a read-only disk.
    """
    lock = _native(path)
    try:
        _take(lock, path, waiting)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _remove(path)
        path += ".held"
        lock = filelock.MarkerSoftFileLock(path)
        _take(lock, path, waiting)
    try:
        yield
    finally:
        # While it is held: who opened it meanwhile sees that it is gone, and makes another.
        if not isinstance(lock, filelock.SoftFileLock):
            _remove(path)
        lock.release()


def _native(path: str) -> filelock.BaseFileLock:
    if os.name == "posix" and not filelock.has_fcntl:
        return filelock.MarkerSoftFileLock(path)
    if os.name == "nt":
        return filelock.FileLock(path)
    return filelock.FileLock(path, fallback_to_soft=False, on_acquired=_sign)


def _take(lock: filelock.BaseFileLock, path: str, waiting: Callable[[str], object] | None) -> None:
    try:
        lock.acquire(timeout=_SOON if waiting else 0)
    except filelock.Timeout:
        holder = _holder(lock, path)
        if waiting is None:
            raise Held(holder) from None
        waiting(holder)
        lock.acquire(timeout=-1)


def _sign(descriptor: int) -> None:
    """Writes into the lock's file who holds it."""
    program = getattr(sys.modules["__main__"], "__spec__", None)
    command = program.name if program else os.path.basename(sys.argv[0])
    text = f"process {os.getpid()} on {socket.gethostname()} ({command})"
    with contextlib.suppress(OSError):  # a full disk; the lock holds without it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(errors="replace")[:_LONGEST_HOLDER], 0)


def _holder(lock: filelock.BaseFileLock, path: str) -> str:
    if isinstance(lock, filelock.MarkerSoftFileLock):
        owner = lock.owner
        who = f"process {owner.pid} on {owner.hostname}" if owner else "another process"
        return (
            f"{who}; this disk has no locks, so a file stands in: if that process is gone, "
            f"remove {path}"
        )
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if text := file.read(_LONGEST_HOLDER).decode(errors="replace"):
            return text
    return "another process"


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
