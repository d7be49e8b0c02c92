"""The exceptions that the command lines turn into a message instead of a traceback."""

import re
from collections.abc import Iterable, Sequence


def named(arguments: Iterable[str]) -> re.Pattern[str]:
    """Returns what finds the names of arguments, as group 1, in the text of a `UserError`.

    Not inside a longer name, a path, the name of a file or a value.
    """
    names = "|".join(map(re.escape, arguments))
    return re.compile(rf"(?<![\w./=-])({names})(?![\w/-]|\.\w)")


class UserError(ValueError):
    """A mistake in what came from outside: an argument, a file, an archive, a folder.

    The text names the argument or file and what to do next. `arn_tf.run.command_line.run`
    prints it, with the arguments that it names as flags, and ends with exit status 2.

    Args:
        text: what is wrong, and what to do next.
        arguments: names of Python arguments in the text that are flags of the commands.

    Attributes:
        arguments: as given.
    """

    def __init__(self, text: str, arguments: Sequence[str] = ()) -> None:
        self.arguments = tuple(arguments)
        super().__init__(text)

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, tuple[str, ...]]]:
        """Crosses to another process as text and arguments, of a subclass too."""
        return UserError, (str(self), self.arguments)


class ArgumentError(UserError):
    """A mistake in one argument; its text is "argument=value: problem".

    Args:
        argument: its name.
        value: what was given.
        problem: what is wrong with it, and what to do next.
        also: names of other arguments in `problem`.
    """

    def __init__(
        self, argument: str, value: object, problem: str, also: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{argument}={value}: {problem}", (argument, *also))
