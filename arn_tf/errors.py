"""The one exception that the command lines turn into a message instead of a traceback."""


class UserError(ValueError):
    """A mistake in what came from outside: a flag, a file, an archive, a folder.

    The text names the flag or file and says what to do next. `arn_tf.cli.run` prints it and ends
    with exit status 2.
    """
