"""A disk that fails, for a process of its own: a library that is loaded before libc's calls.

For what C code, SQLite's, asks of the system; Python's own calls are easier to replace.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

# NO_LOCKS=N: locks on ranges of a file are refused with errno N.
# FAIL_AT=K, FAIL_WITH=N: the K-th call that makes something last (fsync of a file or folder, or
# rename) fails with errno N; `calls` counts them.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

static int number(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}

static int locks(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
         command == F_OFD_SETLKW;
}

#define FCNTL(name)                                                   \
  int name(int file, int command, ...) {                              \
    static int (*real)(int, int, ...);                                \
    if (!real) real = dlsym(RTLD_NEXT, #name);                        \
    va_list arguments;                                                \
    va_start(arguments, command);                                     \
    void *argument = va_arg(arguments, void *);                       \
    va_end(arguments);                                                \
    if (locks(command) && number("NO_LOCKS")) {                       \
      errno = number("NO_LOCKS");                                     \
      return -1;                                                      \
    }                                                                 \
    return real(file, command, argument);                             \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

int calls;

static int fails(void) {
  calls++;
  if (calls != number("FAIL_AT")) return 0;
  errno = number("FAIL_WITH");
  return 1;
}

#define CALL(name, parameters, arguments)                             \
  int name parameters {                                               \
    static int (*real) parameters;                                    \
    if (!real) real = dlsym(RTLD_NEXT, #name);                        \
    return fails() ? -1 : real arguments;                             \
  }
CALL(fsync, (int file), (file))
CALL(fdatasync, (int file), (file))
CALL(rename, (const char *from, const char *to), (from, to))
"""


def library(folder: pathlib.Path) -> dict[str, str]:
    """Compiles the library; returns the environment of a process that loads it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, built = folder / "failing_disk.c", folder / "failing_disk.so"
    source.write_text(_SOURCE)
    line = [compiler, "-shared", "-fPIC", "-o", str(built), str(source), "-ldl"]
    subprocess.run(line, check=True, capture_output=True)
    return {**os.environ, "LD_PRELOAD": str(built)}
