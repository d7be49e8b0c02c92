"""How every command line starts and ends."""

import sys

from absl import app, flags, logging

from arn_tf.errors import UserError


def run(main):
    """Runs `main()` with flags parsed; a user's mistake ends in a message and status 2."""

    def guarded(arguments):
        logging.set_verbosity(logging.WARNING)
        try:
            if len(arguments) > 1:
                raise UserError(f"what is {' '.join(arguments[1:])!r}? Flags begin with --")
            main()
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("\nstopped. The same command goes on from the last checkpoint.", file=sys.stderr)
            sys.exit(130)

    def parse(arguments):
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            print(f"error: {error}\nPass --help to see every flag.", file=sys.stderr)
            sys.exit(2)

    app.run(guarded, flags_parser=parse)
