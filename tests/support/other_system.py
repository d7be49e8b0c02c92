"""Runs a module of the product as on another system or disk: a program of its own.

    python tests/support/other_system.py windows serving.client status --server=localhost:8500

What the system lacks is taken out of Python's modules before anything of the product is imported.
Only the product is told another `sys.platform`: the standard library and wheels are Linux's.
"""

import contextlib
import errno
import os
import runpy
import stat
import sys
import types

# What Python lacks there, as far as a program like ours may be tempted by it.
_NOT_ON_WINDOWS = {
    "os": "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE chown fchmod fork geteuid "
    "getgid getloadavg getpgid getuid killpg lchown mkfifo nice posix_fadvise posix_fallocate "
    "pread pwrite register_at_fork sched_getaffinity setsid statvfs sync sysconf uname wait "
    "WIFEXITED",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGXFSZ alarm pthread_sigmask pause "
    "setitimer",
    "time": "tzset",
}
_NO_MODULES_ON_WINDOWS = ["fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"]


def windows():
    """No fcntl and the like, folders that can't be opened, open files that can't be renamed."""
    _import_wheels()
    for module in _NO_MODULES_ON_WINDOWS:
        sys.modules[module] = None
    import filelock._native._unix  # has asked for fcntl already

    filelock._native._unix.has_fcntl = False
    filelock.has_fcntl = False
    for module, names in _NOT_ON_WINDOWS.items():
        for name in names.split():
            if hasattr(sys.modules[module], name):
                delattr(sys.modules[module], name)
    _refuse_open_files()
    import signal

    signal.SIGBREAK = signal.SIGTTIN  # another number
    _tell("win32")


def macos():
    """No posix_fallocate."""
    _import_wheels()
    for name in ("posix_fallocate", "posix_fadvise", "sched_getaffinity"):
        delattr(os, name)
    _tell("darwin")


def linux():
    """As it is."""


def no_fcntl():
    sys.modules["fcntl"] = None


def no_fallocate():
    del os.posix_fallocate


def no_flock(code="ENOSYS"):
    """A disk that has no flock."""
    import fcntl

    def flock(*_):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    fcntl.flock = flock


def no_folder_sync(code="EINVAL"):
    """A disk whose folders can't be fsynced, or fail as they are."""
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))
        fsync(descriptor)

    os.fsync = refuse


def _import_wheels():
    import asyncio  # noqa: F401
    import multiprocessing  # noqa: F401
    import subprocess  # noqa: F401
    import tempfile

    import faiss  # noqa: F401
    import filelock
    import google.protobuf.text_format  # noqa: F401
    import grpc.aio  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import PIL.JpegImagePlugin  # noqa: F401
    import PIL.PngImagePlugin  # noqa: F401
    import tqdm  # noqa: F401

    for name in ("FileLock", "MarkerSoftFileLock", "Timeout"):
        getattr(filelock, name)  # is imported when it is asked for
    tempfile._O_TMPFILE_WORKS = False  # what it found on Linux


def _tell(platform):
    import serving.client.commands  # noqa: F401
    import serving.deploy.tls_config  # noqa: F401
    import serving.gallery.commands  # noqa: F401

    other = types.ModuleType("sys")
    other.__getattr__ = lambda name: platform if name == "platform" else getattr(sys, name)
    for name, module in sys.modules.items():
        if name.startswith(("serving.", "datasets.")) and hasattr(module, "sys"):
            module.sys = other


def _refuse_open_files():
    """As Windows does: neither open a folder, nor rename a file that this process has open."""
    open_, replace = os.open, os.replace

    def open_file(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return open_(path, *arguments, **options)

    def is_open(path):
        for name in os.listdir("/proc/self/fd"):
            # Another thread may close it meanwhile; or there is no such path.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samefile(path, f"/proc/self/fd/{name}"):
                    return True
        return False

    def replace_closed(source, target, **options):
        for path in (source, target):
            if is_open(path):
                raise PermissionError(errno.EACCES, "open in this process", path)
        replace(source, target, **options)

    def rename(source, target, **options):
        if os.path.exists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        replace_closed(source, target, **options)

    os.open, os.replace, os.rename = open_file, replace_closed, rename


if __name__ == "__main__":
    system, *argument = sys.argv[1].split("=")
    sys.argv = sys.argv[2:]
    sys.path[0] = os.getcwd()
    globals()[system](*argument)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
