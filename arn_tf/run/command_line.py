"""How every command line starts and ends."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import ModuleType

from absl import app, flags, logging

from arn_tf.errors import UserError


def message(error: Exception) -> str:
    """Returns the text of an error, with the arguments that a `UserError` names as flags."""
    text = str(error)
    if not isinstance(error, UserError) or not error.arguments:
        return text
    # Not inside a longer name, a path or a value.
    names = "|".join(map(re.escape, error.arguments))
    return re.sub(rf"(?<![\w./=-])({names})(?![\w/-])", r"--\1", text)


def run(main: Callable[[], None]) -> None:
    """Runs `main()` with flags parsed; a user's mistake ends in a message and status 2.

    Args:
        main: reads its arguments from `absl.flags.FLAGS`.
    """

    def guarded(arguments: list[str]) -> None:
        logging.set_verbosity(logging.WARNING)
        try:
            if len(arguments) > 1:
                raise UserError(f"what is {' '.join(arguments[1:])!r}? Flags begin with --")
            main()
        except UserError as error:
            print(f"error: {message(error)}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("\nstopped. The same command goes on from the last checkpoint.", file=sys.stderr)
            sys.exit(130)

    def parse(arguments: list[str]) -> list[str]:
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            print(f"error: {error}\nPass --help to see every flag.", file=sys.stderr)
            sys.exit(2)
        except SystemExit:
            # absl ends --help with status 1.
            sys.exit(0)
        except BrokenPipeError:
            # The reader of --help, `head` say, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    app.run(guarded, flags_parser=parse)


def start_tensorflow(replicas: int = 1) -> ModuleType:
    """Imports TensorFlow, without its notes on drivers and logs that a user can't act on.

    Called after the flags are checked: the import takes seconds.

    Args:
        replicas: parts that a CPU without GPU is to count as.

    Returns:
        the module `tensorflow`.
    """
    with _stderr_held_back():
        import tensorflow

        tensorflow.config.list_physical_devices()
    from arn_tf.layers.replicas import split_cpu

    split_cpu(replicas)
    return tensorflow


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Drops what the process writes to stderr, C++ included; shows it where the block fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
