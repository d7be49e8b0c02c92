"""How the command lines of `serving` start, print and end."""

import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
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

    Ctrl-C and SIGTERM end it with exit status 130 and 143; `main` may handle them itself.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, _terminate)  # Ctrl-Break, a console that is closed
    try:
        main()
        sys.stdout.flush()
    except ServingError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        print("\nstopped", file=sys.stderr)
        sys.exit(143 if isinstance(stop, _Terminated) else 130)
    except BrokenPipeError:
        # The reader of our output, `head` say, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


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
                    os.write(2, line)


def printable(text: str) -> str:
    """Returns text without what would steer a terminal, hide something, or can't be encoded.

    Args:
        text: names of files, say, also such as aren't UTF-8.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _flag(argument: str) -> str:
    return f"--{argument.replace('.', '_')}"


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # Python's stand-in for a byte that isn't UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def _terminate(*_: object) -> NoReturn:
    raise _Terminated
