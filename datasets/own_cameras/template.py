"""A template of paths, `{camera}/{tracklet}/{*}.jpg`: what the parts of a picture's path mean.

A field takes one part of a folder's or file's name, up to the character that follows it in the
template; `{*}` takes any text within a name, `{**}` any text with the folders in it, and between
two / no folder, too. A template without / is that of the file's name alone, whatever its folder.
The ending of a picture's name counts for nothing.
"""

import dataclasses
import functools
import os
import re
import unicodedata

from datasets.files import formats

FIELDS = ("camera", "tracklet", "time", "person_id")
_PIECE = re.compile(r"\{([^{}]*)\}")
_ANY, _ANY_FOLDERS = "*", "**"


class TemplateError(ValueError):
    """A template can't be used; the text is for the user and doesn't repeat the template."""


@dataclasses.dataclass(frozen=True)
class Template:
    """A checked template.

    Attributes:
        text: as the user wrote it.
    """

    text: str

    def __post_init__(self) -> None:
        self._patterns  # noqa: B018 - built for its error

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that it has, of `FIELDS`."""
        return tuple(name for name in FIELDS if f"{{{name}}}" in self.text)

    def values(self, path: str) -> dict[str, str] | None:
        """Returns what the fields are in a path, or None if the path is not like the template.

        Args:
            path: relative to the data set's folder; parts end in /.

        Raises:
            TemplateError: the path can be read in two ways.
        """
        path = _without_suffix(path)
        if "/" not in self.text:
            path = path.rpartition("/")[2]
        lazy, greedy = (pattern.fullmatch(path) for pattern in self._patterns)
        if lazy is None or greedy is None:
            return None
        found = lazy.groupdict()
        if found != (other := greedy.groupdict()):
            name = next(name for name in found if found[name] != other[name])
            raise TemplateError(
                f"{path} can be read in two ways: {name} is {found[name]!r} or {other[name]!r}. "
                "Put what surely ends the text before it into the template"
            )
        # A folder's name that was typed on macOS comes in another form of Unicode.
        return {name: unicodedata.normalize("NFC", value) for name, value in found.items()}

    @functools.cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """The template as two expressions that differ in what wins where there is a choice."""
        text = _without_suffix(self.text)
        pieces = _PIECE.split(text)
        if any(mark in literal for literal in pieces[::2] for mark in "{}"):
            raise TemplateError("a brace is not closed, or not opened")
        names = pieces[1::2]
        if not self.fields:
            raise TemplateError(f"names none of {', '.join(f'{{{name}}}' for name in FIELDS)}")
        for name in names:
            if name not in (*FIELDS, _ANY, _ANY_FOLDERS):
                raise TemplateError(
                    f"{{{name}}} is unknown; there are "
                    f"{', '.join(f'{{{known}}}' for known in (*FIELDS, _ANY, _ANY_FOLDERS))}"
                )
            if name in FIELDS and names.count(name) > 1:
                raise TemplateError(f"{{{name}}} is there more than once")
        if "" in pieces[2:-1:2]:
            raise TemplateError("two fields need something between them, to tell where one ends")
        return _expression(pieces, "?"), _expression(pieces, "")


def _expression(pieces: list[str], laziness: str) -> re.Pattern[str]:
    expression = re.escape(pieces[0])
    before = pieces[0] or "/"
    for name, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        whole, before = before.endswith("/") and literal.startswith("/"), literal
        if name == _ANY_FOLDERS and whole:
            expression += f"(?:.+{laziness}/)?{laziness}"  # folders, or none
            literal = literal[1:]
        elif name == _ANY_FOLDERS:
            expression += f".+{laziness}"
        elif name == _ANY:
            expression += f"[^/]+{laziness}"
        else:
            expression += f"(?P<{name}>[^/{re.escape(literal[:1])}]+{laziness})"
        expression += re.escape(literal)
    return re.compile(expression, re.DOTALL)


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0] if formats.named_as_picture(path) else path
