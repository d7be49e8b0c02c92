"""Pieces of HTML. What comes from outside, names above all, goes through `text`."""

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence

from arn_tf.errors import UserError
from arn_tf.ranking.scores import Split
from datasets.files import pictures

# Width and height at most: twice what a page shows.
_THUMBNAIL = (88, 176)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def text(value: object) -> str:
    """Returns a text as HTML, for an attribute too; what can't be shown is written as escapes."""
    shown = _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))
    # Names of files may hold what isn't UTF-8.
    return html.escape(shown.encode(errors="backslashreplace").decode())


def name(value: object) -> str:
    """Returns a name as HTML; one that is written from right to left leaves what follows alone."""
    return f"<bdi>{text(value)}</bdi>"


def section(title: str, *parts: str) -> str:
    """Returns a section of the page.

    Args:
        title: its heading.
        parts: HTML.
    """
    return f"<section>\n<h2>{text(title)}</h2>\n" + "\n".join(parts) + "\n</section>\n"


def paragraph(words: str, kind: str = "quiet") -> str:
    """Returns a paragraph of plain text."""
    return f'<p class="{kind}">{text(words)}</p>'


def listed(lines: Iterable[str]) -> str:
    """Returns a list of plain texts, or nothing."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def table(header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], kind: str = "") -> str:
    """Returns a table that scrolls in its own frame where it is wide.

    Args:
        header: HTML of the first line's cells.
        rows: (attributes of the line, HTML of its cells); the first cell names it.
        kind: class of the table.
    """
    lines = [
        f"<tr{attributes}><th scope='row'>{cells[0]}</th>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in cells[1:])
        + "</tr>"
        for attributes, cells in rows
    ]
    head = "".join(f"<th scope='col'>{cell}</th>" for cell in header)
    return (
        f'<div class="wide" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead>\n'
        "<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


def percent(share: float) -> str:
    """Returns a share in percent, with one decimal."""
    return f"{100 * share:.1f}"


def picture(split: Split, row: int, about: str) -> str:
    """Returns a small picture with its bytes in it, or a word where it can't be shown.

    Args:
        split: its pictures.
        row: which.
        about: what it is, for those who can't see it.
    """
    try:
        small = pictures.thumbnail(split.images[row], _THUMBNAIL)
    except (pictures.PictureError, UserError):
        return '<span class="gone">can’t be shown</span>'
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=75, optimize=True)
    data = base64.b64encode(encoded.getvalue()).decode()
    return (
        f'<img alt="{text(about)}" width="{small.width}" height="{small.height}" '
        f'src="data:image/jpeg;base64,{data}">'
    )
