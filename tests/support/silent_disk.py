"""A network drive that stops: opening, asking and listing fail with what a system says then."""

import builtins
import errno
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

ERRORS = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT)


def below(
    folder: pathlib.Path | str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    calls: tuple[str, ...] = ("open", "stat", "scandir"),
) -> None:
    """Makes calls on paths that begin with a folder's fail, until the patch ends.

    Args:
        folder: or the beginning of other paths.
        number: of the error.
        monkeypatch: pytest's.
        calls: which fail.
    """

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def fails(*arguments: Any, **named: Any) -> Any:
            path = arguments[0] if arguments else ""
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(folder)):
                raise OSError(number, os.strerror(number), path)
            return call(*arguments, **named)

        return fails

    for name in calls:
        owner = builtins if name == "open" else os
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))
