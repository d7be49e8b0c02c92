"""How a benchmark starts and ends."""

import sys
from collections.abc import Callable

from serving import command
from serving.errors import BadInputError


def run(main: Callable[[], object]) -> None:
    """Calls `main()`; a user's mistake, of either half of the product, ends in a message."""

    def told() -> None:
        try:
            main()
        except Exception as error:
            # Only where it has been raised: arn_tf imports TensorFlow, whose memory would count as
            # that of the processes that this one starts.
            errors = sys.modules.get("arn_tf.errors")
            if errors is None or not isinstance(error, errors.UserError):
                raise
            from arn_tf.run import command_line

            raise BadInputError(command_line.message(error)) from error

    command.run(told)
