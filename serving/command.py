"""How the command lines of `serving` start, print and end."""

import contextlib
import io
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from serving.errors import ServingError

# What TensorFlow's C++ prints as it starts, whatever TF_CPP_MIN_LOG_LEVEL is; cuInit fails where
# there is no GPU.
_STARTUP_NOTE = re.compile(
    rb"I\d{4} |WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: .* rebuild TensorFlow"
    rb"|E\d{4} .*(failed call to cuInit|Unable to register cu\w+ factory)"
)
_ARGUMENT = re.compile(r"`([a-z][a-z_.]*)`")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, so that it ends a command as Ctrl-C does: nothing half written stays."""


def run(main: Callable[[], object]) -> None:
    """Calls `main()`; a user's mistake ends in a message and exit status 2, not in a traceback.

    Ctrl-C and SIGTERM end it with exit status 130 and 143; `main` may handle them itself. Where
    stdout can't be written, on a full disk, it is 1.
    """
    open_streams()
    signal.signal(signal.SIGTERM, _terminate)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, _terminate)  # Ctrl-Break, a console that is closed
    try:
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
        sys.stdout.flush()
    except ServingError as error:
        warn(f"error: {printable(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt as stop:
        warn("\nstopped")
        sys.exit(143 if isinstance(stop, _Terminated) else 130)
    except OSError as error:
        if _stdout_works():
            raise
        # A reader of our output that has gone, `head` say, has seen enough.
        if not isinstance(error, BrokenPipeError):
            warn(f"error: stdout can't be written: {error.strerror}")
        sys.exit(1)
    finally:
        _drop_unwritable()


def open_streams() -> None:
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


def say(text: str) -> None:
    """Prints a line on stdout, for a program that goes on where nobody can read it."""
    try:
        print(text, flush=True)
    except OSError:
        _drop(1)


def warn(text: str) -> None:
    """Prints a line on stderr; where that can't be written, the work goes on all the same."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(2)


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """A context, or decorator, in which errors name flags instead of the arguments they set.

    "timeout=0: ..." becomes "--timeout=0: ...", "check `tls.ca`" becomes "check --tls_ca".
    """
    try:
        yield
    except ServingError as error:
        error.message = _ARGUMENT.sub(lambda match: _flag(match[1]), error.message)
        error.arguments = {_flag(name): value for name, value in error.arguments.items()}
        raise


@contextlib.contextmanager
def without_startup_notes() -> Iterator[None]:
    """A context, for the import of TensorFlow, that drops notes which its C++ prints on stderr.

    What else is printed there, warnings and errors, comes at the context's end.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed:
                if not _STARTUP_NOTE.match(line):
                    with contextlib.suppress(OSError):
                        os.write(2, line)


def printable(text: str) -> str:
    """Returns text without what would steer a terminal, hide something, or can't be encoded.

    Args:
        text: names of files, say, also such as aren't UTF-8.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def examples(items: Sequence[str]) -> str:
    """Returns the first three of some names or phrases, and how many more there are."""
    more = f", and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more


def _flag(argument: str) -> str:
    return f"--{argument.replace('.', '_')}"


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # Python's stand-in for a byte that isn't UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def _stdout_works() -> bool:
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def _drop_unwritable() -> None:
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


def _terminate(*_: object) -> NoReturn:
    raise _Terminated
