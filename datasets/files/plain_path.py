"""Folders under paths that TensorFlow takes as they are written.

TensorFlow finds the files of a checkpoint by a pattern that it makes of their path: of `run[1]` it
looks for them in `run1`. And it takes paths as UTF-8.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

_OF_PATTERNS = frozenset("[]*?{}\\")


@contextlib.contextmanager
def plain_path(
    folder: str | os.PathLike[str], refusal: Callable[[str], Exception]
) -> Iterator[str]:
    """Yields a path of a folder for TensorFlow: its own, or that of a link while the block lasts.

    Args:
        folder: that exists, under any name.
        refusal: makes the error for where a link is needed, and the folder of temporary files has
            such a path too.
    """
    path = os.path.abspath(folder)
    if _is_plain(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="arn_tf_") as place:
        if not _is_plain(place):
            raise refusal(
                f"TMPDIR={os.path.dirname(place)}: TensorFlow takes a part of this path for a "
                f"pattern, as it does with {path}; set TMPDIR to a folder without any of []*?{{}}\\"
            )
        link = os.path.join(place, "folder")
        os.symlink(path, link, target_is_directory=True)
        yield link


def _is_plain(path: str) -> bool:
    # Python has stand-ins, \udc80 to \udcff, for bytes that aren't UTF-8.
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in path)
    return is_text and _OF_PATTERNS.isdisjoint(path)
