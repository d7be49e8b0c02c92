"""What the commands print of a user's mistake."""

import contextlib
import re
from collections.abc import Iterator

import pytest

from arn_tf.errors import UserError
from arn_tf.run.command_line import message


@contextlib.contextmanager
def refused(words: str) -> Iterator[None]:
    """Checks that a `UserError` ends the block, and its text with flags.

    Args:
        words: a regular expression that is found in the text.
    """
    with pytest.raises(UserError) as raised:
        yield
    printed = message(raised.value)
    assert re.search(words, printed), printed
