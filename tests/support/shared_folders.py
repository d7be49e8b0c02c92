"""Folders as colleagues share them: read-only ones, and disks without locks."""

import builtins
import contextlib
import errno
import fcntl
import os
import subprocess
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def read_only(*folders: str | os.PathLike[str]) -> Iterator[None]:
    """Makes folders read-only while the block runs, for root by a mount; skips where none can."""
    with contextlib.ExitStack() as stack:
        for folder in folders:
            if os.geteuid():
                mode = os.stat(folder).st_mode
                os.chmod(folder, 0o555)
                stack.callback(os.chmod, folder, mode)
                continue
            if not _mount("--bind", folder, folder):
                pytest.skip("root may write everywhere, and can't mount here")
            stack.callback(subprocess.run, ["umount", folder], check=True)
            if not _mount("-o", "remount,ro,bind", folder):
                pytest.skip("no read-only mounts here")
        yield


def _mount(*arguments: str | os.PathLike[str]) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@contextlib.contextmanager
def no_new_files(
    monkeypatch: pytest.MonkeyPatch, folder: str | os.PathLike[str], name: str
) -> Iterator[None]:
    """As `read_only`, anywhere, for files that Python opens to write: the error is `name`."""
    code, opens, opened = getattr(errno, name), os.open, builtins.open

    def check(path: object, writes: bool) -> None:
        if writes and str(path).startswith(str(folder)):
            raise OSError(code, os.strerror(code), path)

    def refuse(path: str, flags: int, *rest: int, **named: object) -> int:
        check(path, bool(flags & os.O_CREAT))
        return opens(path, flags, *rest, **named)

    def refuse_open(path: str, mode: str = "r", *rest: object, **named: object) -> object:
        check(path, not mode.startswith("r"))
        return opened(path, mode, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(builtins, "open", refuse_open)
        yield


def without_locks(monkeypatch: pytest.MonkeyPatch, name: str = "ENOSYS") -> None:
    """Makes the disk one without locks: `flock` says `name`."""

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(fcntl, "flock", refuse)
