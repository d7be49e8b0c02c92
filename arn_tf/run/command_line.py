"""Starts and ends every command: flags, TensorFlow, errors as messages."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import ModuleType

from absl import app, flags, logging

from arn_tf.errors import UserError, named
from arn_tf.run import streams

# What TensorFlow's C++ prints as it starts, whatever TF_CPP_MIN_LOG_LEVEL is; cuInit fails where
# there is no GPU.
_STARTUP_NOTE = re.compile(
    rb"I\d{4} |WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: .* rebuild TensorFlow"
    rb"|E\d{4} .*(failed call to cuInit|Unable to register cu\w+ factory)"
)
# TFDS says so of every folder that it is about to fill.
_EMPTY_FOLDER = "Variant folder %s has no %s"


def message(error: Exception) -> str:
    """Returns the text of an error, with the arguments that a `UserError` names as flags."""
    text = str(error)
    if not isinstance(error, UserError) or not error.arguments:
        return text

    def flag(match: re.Match[str]) -> str:
        before, name = text[: match.start()], match[1]
        # A plain word, such as "images", is a flag where it has a value or begins the text or a
        # line, alone.
        begins = not re.search("[=:]", before) or re.search(r"\n *$", before)
        sure = "_" in name or text[match.end() :].startswith("=") or begins
        return f"--{name}" if sure else name

    return named(error.arguments).sub(flag, text)


def run(main: Callable[..., None], argument: str = "") -> None:
    """Runs `main()` with flags parsed; a user's mistake ends in a message and status 2.

    Args:
        main: reads its arguments from `absl.flags.FLAGS`.
        argument: what the command's one argument without a flag is, which `main` is called with;
            "": it has none.
    """

    def guarded(arguments: list[str]) -> None:
        logging.set_verbosity(logging.WARNING)
        given = arguments[1:]
        expected = bool(argument)
        if len(given) > expected:
            raise UserError(f"what is {' '.join(given[expected:])!r}? Flags begin with --")
        if len(given) < expected:
            raise UserError(f"name {argument}")
        main(*given)

    def parse(arguments: list[str]) -> list[str]:
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            streams.warn(f"error: {error}\nPass --help to see every flag.")
            sys.exit(2)
        except SystemExit:
            # absl ends --help with status 1.
            sys.exit(0)

    call(lambda: app.run(guarded, flags_parser=parse))


def call(main: Callable[[], object]) -> None:
    """Calls `main()`, which has read its arguments itself; errors end as those of a command.

    A user's mistake ends in a message and exit status 2, Ctrl-C in 130, and stdout that can't be
    written, on a full disk, in 1.
    """
    streams.prepare()
    try:
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
        sys.stdout.flush()
    except UserError as error:
        streams.warn(f"error: {message(error)}")
        sys.exit(2)
    except UnicodeEncodeError as error:
        if not re.search("[\udc80-\udcff]", error.object):
            raise
        streams.warn(
            f"error: {error.object}: TensorFlow takes only names in UTF-8, and this isn't one here."
            " Rename it, or set PYTHONUTF8=1 where the terminal's encoding is another"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        streams.warn("\nstopped. The same command goes on from the last checkpoint.")
        sys.exit(130)
    except OSError as error:
        if streams.stdout_works():
            raise
        # A reader of our output that has gone, `head` say, has seen enough.
        if not isinstance(error, BrokenPipeError):
            streams.warn(f"error: stdout can't be written: {error.strerror}")
        sys.exit(1)
    finally:
        streams.drop_unwritable()


def start_tensorflow(replicas: int = 1) -> ModuleType:
    """Imports TensorFlow, without its notes on drivers and logs that a user can't act on.

    Called after the flags are checked: the import takes seconds.

    Args:
        replicas: parts that a CPU without GPU is to count as.

    Returns:
        the module `tensorflow`.
    """
    logging.get_absl_logger().addFilter(lambda record: record.msg != _EMPTY_FOLDER)
    from arn_tf.data import datasets_package
    from arn_tf.layers import keras_settings

    datasets_package.check()
    from datasets import tensorflow_process

    tensorflow_process.prepare()
    with without_startup_notes():
        keras_settings.override()
        import tensorflow

        tensorflow.config.list_physical_devices()
    from arn_tf.layers.replicas import split_cpu

    split_cpu(replicas)
    return tensorflow


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
