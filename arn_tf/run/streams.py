"""stdout and stderr of a command: no letter, pipe or full disk costs what was computed."""

import io
import os
import sys


def prepare() -> None:
    """Lets no letter, and no stream that was closed before the start, end what prints.

    A letter that the encoding of the terminal lacks is shown escaped. The number of a closed stream
    would go to the next file that is opened, and what libraries print into that file.
    """
    number = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, stream)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def warn(text: str) -> None:
    """Prints a line on stderr; where that can't be written, the exit status says it alone."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(2)


def stdout_works() -> bool:
    """Returns whether stdout takes an empty line."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def drop_unwritable() -> None:
    """Drops what stdout and stderr can't take: Python would end with status 120 for it."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            _drop(number)


def _drop(number: int) -> None:
    """Lets a stream's file be os.devnull, which takes what the stream still holds, too."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
