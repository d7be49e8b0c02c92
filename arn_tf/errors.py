"""The exceptions that the command lines turn into a message instead of a traceback."""

from collections.abc import Sequence


class UserError(ValueError):
    """A mistake in what came from outside: a flag, a file, an archive, a folder.

    The text names the argument or file and says what to do next. `arn_tf.run.command_line.run`
    prints it and ends with exit status 2.
    """


class ArgumentError(UserError):
    """A mistake in an argument; its text is "argument=value: problem".

    The text has the arguments' names as Python has them. `arn_tf.run.command_line.message` makes
    flags of them, "--argument=value: problem".

    Args:
        argument: its name; "source/target" where it is the one or the other.
        value: what it was, or None where the text gives no value, "argument: problem".
        problem: what is wrong with it, and what to do next.
        also: names of other arguments that `problem` mentions.
        joint: stands before `problem`; " " where that is the rest of a sentence.

    Attributes:
        argument: as given.
        value: as given.
        problem: as given.
        also: as given.
        joint: as given.
    """

    def __init__(
        self,
        argument: str,
        value: object,
        problem: str,
        *,
        also: Sequence[str] = (),
        joint: str = ": ",
    ) -> None:
        self.argument = argument
        self.value = value
        self.problem = problem
        self.also = tuple(also)
        self.joint = joint
        given = "" if value is None else f"={value}"
        super().__init__(f"{argument}{given}{joint}{problem}")
