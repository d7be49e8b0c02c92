"""How the command lines of `serving` start and end."""

import os
import sys

from serving.errors import ServingError


def run(main):
    """Calls `main()`; a user's mistake ends in a message and exit status 2, not in a traceback."""
    try:
        main()
        sys.stdout.flush()
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output, `head` say, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
