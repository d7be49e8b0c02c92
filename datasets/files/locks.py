"""Locks between processes, on every disk and system.

Where a disk has no locks (Lustre without `flock`, some FUSE, SMB and NFS mounts), a marker file
that only one process can make stands in; that of a process killed on this machine is taken over.
"""

import contextlib
import errno
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

with warnings.catch_warnings():
    # Of systems without fcntl; said where it matters, see `_Marker.holder`.
    warnings.simplefilter("ignore")
    import filelock

# What `flock` says where a disk has none. EWOULDBLOCK alone means another process; any other word
# is an error of its own.
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})
_SOON = 0.5  # seconds in which most locks are free again
_EVERY = 0.05  # seconds between two looks
_LONGEST_HOLDER = 300  # bytes
# Of lock files that this process has open.
_descriptors: set[int] = set()


class Held(Exception):
    """Another process holds the lock; the text says which, as the subject of a sentence."""


@contextlib.contextmanager
def held(
    path: str, waiting: Callable[[str], object] | None = None, *, content: bool = False
) -> Iterator[None]:
    """Holds a lock until the block ends.

    Args:
        path: file that stands for it; made here, and removed again.
        waiting: called once with who holds the lock, before it is waited for; without it nobody
            waits.
        content: whether the file has a content of its own: then it stays, and doesn't say who
            holds it.

    Raises:
        Held: another process holds it, unless `waiting`.
        OSError: the file can't be made: no rights, a read-only disk, a full one.
    """
    lock: _Flock | _Marker = _Flock(path, content) if fcntl else _Marker(path)
    try:
        _take(lock, waiting)
    except OSError as error:
        if not isinstance(lock, _Flock) or error.errno not in NO_LOCKS:
            raise
        lock = _Marker(path)
        _take(lock, waiting)
    try:
        yield
    finally:
        lock.release()


def _take(lock: "_Flock | _Marker", waiting: Callable[[str], object] | None) -> None:
    soon = time.monotonic() + (_SOON if waiting else 0)
    try:
        while not lock.try_acquire():
            if time.monotonic() >= soon:
                holder = lock.holder()
                if waiting is None:
                    raise Held(holder)
                waiting(holder)
                soon = float("inf")
            time.sleep(_EVERY)
    except BaseException:
        lock.close()
        raise


class _Flock:
    """`flock`, which the system frees when the process ends, however it ends."""

    def __init__(self, path: str, content: bool) -> None:
        self._path = path
        self._content = content
        self._descriptor: int | None = None
        self._process = os.getpid()

    def try_acquire(self) -> bool:
        while True:
            made = False
            if self._descriptor is None:
                self._descriptor, made = self._open()
                _descriptors.add(self._descriptor)
            try:
                # Kept open while others hold it: should its name be removed, their lock still
                # counts here.
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno != errno.ESTALE:
                    if made:
                        _remove(self._path)
                    raise
                # NFS: another machine removed it.
            else:
                if self._has_its_name():
                    self._sign()
                    return True
            # Who held it removed it; a third process may have made another meanwhile.
            self.close()

    def holder(self) -> str:
        if not self._content:
            with contextlib.suppress(OSError), open(self._path, "rb") as file:
                if text := file.read(_LONGEST_HOLDER).decode(errors="replace"):
                    return text
        return "another process"

    def release(self) -> None:
        if os.getpid() != self._process:
            return  # A forked child leaves the block; the lock is its parent's.
        # While it is held: who opened it meanwhile sees that it is gone, and makes another.
        if not self._content:
            _remove(self._path)
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            _descriptors.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> tuple[int, bool]:
        """Returns a descriptor, and whether the file is new."""
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            try:
                return os.open(self._path, flags | os.O_RDWR), False
            except PermissionError:
                # Another user's, which locks as well.
                return os.open(self._path, flags | os.O_RDONLY), False
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):  # Made by another process meanwhile.
                    made = os.open(self._path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                    return made, True

    def _has_its_name(self) -> bool:
        assert self._descriptor is not None
        try:
            named = os.stat(self._path, follow_symlinks=False)
            return os.path.samestat(named, os.fstat(self._descriptor))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            return False

    def _sign(self) -> None:
        """Writes into the file who holds it."""
        if self._content:
            return
        assert self._descriptor is not None
        program = getattr(sys.modules["__main__"], "__spec__", None)
        command = program.name if program else os.path.basename(sys.argv[0])
        text = f"process {os.getpid()} on {socket.gethostname()} ({command})"
        # A full disk, another user's file: the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(errors="replace")[:_LONGEST_HOLDER], 0)


class _Marker:
    """A file that is there while the lock is held."""

    def __init__(self, path: str) -> None:
        os.stat(os.path.dirname(path) or ".")  # filelock would make the folder.
        self._path = f"{path}.held"
        self._lock = filelock.MarkerSoftFileLock(self._path)

    def try_acquire(self) -> bool:
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        return True

    def holder(self) -> str:
        owner = self._lock.owner
        host = owner.hostname.partition("?pidns-")[0] if owner else ""
        who = f"process {owner.pid} on {host}" if owner else "another process"
        return (
            f"{who} (this disk or system has no locks: if that process is gone, remove "
            f"{self._path})"
        )

    def release(self) -> None:
        self._lock.release()

    def close(self) -> None:
        """Nothing is open until it is held."""


def _close_in_child() -> None:
    """A child that outlives its parent must not keep the parent's locks."""
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)


if fcntl:
    os.register_at_fork(after_in_child=_close_in_child)
