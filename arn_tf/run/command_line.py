"""How every command line starts and ends."""

import re
import sys
from collections.abc import Callable

from absl import app, flags, logging

from arn_tf.errors import ArgumentError, UserError


def message(error: Exception) -> str:
    """Returns the text of an error, with the arguments that an `ArgumentError` names as flags."""
    if not isinstance(error, ArgumentError):
        return str(error)
    problem = error.problem
    if error.also:
        # Not inside a longer name or a path.
        names = "|".join(map(re.escape, error.also))
        problem = re.sub(rf"(?<![\w./-])({names})(?![\w/-])", r"--\1", problem)
    argument = error.argument.replace("/", "/--")
    given = "" if error.value is None else f"={error.value}"
    return f"--{argument}{given}{error.joint}{problem}"


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

    app.run(guarded, flags_parser=parse)
