"""What our programs set in their process before they import TensorFlow, for speed alone.

Here, since the commands of arn_tf and the server need it, which import nothing of each other.
"""

import ctypes
import os
import platform
import sys
from typing import Any

# Parameters of glibc's mallopt, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_NEVER = -1
# More than the 64 MiB of a thread's heap: glibc gives no heap back that would leave less.
_TOP_PAD = 256 << 20


def prepare() -> None:
    """Lets freed memory be used again, and TensorFlow compute by oneDNN.

    Nothing that the user has set himself changes: variables of glibc's malloc, an allocator in
    LD_PRELOAD, TF_ENABLE_ONEDNN_OPTS.
    """
    # TensorFlow leaves oneDNN off on processors without AVX-512, where it is faster too.
    if platform.machine() == "x86_64":
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Makes glibc's malloc keep what is freed; returns whether it does.

    By itself it maps large blocks anew each time and gives them back when they are freed. A
    training step allocates gigabytes in such blocks, and the kernel clears every page of them: a
    third of all CPU time. A process is as large as at its peak from then on. Other C libraries
    (musl, macOS) and allocators are left alone.
    """
    tunables = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if tunables or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        used = ctypes.CDLL(None)
        mallopt = libc.mallopt
        own = _address(used.malloc) == _address(libc.malloc)
    except (OSError, AttributeError):
        return False
    return own and all(
        mallopt(parameter, value)
        for parameter, value in (
            (_M_MMAP_MAX, 0),
            (_M_TRIM_THRESHOLD, _NEVER),
            (_M_TOP_PAD, _TOP_PAD),
            (_M_ARENA_MAX, 1),
        )
    )


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value
