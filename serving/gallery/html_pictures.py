"""Pictures and their captions in a page of results."""

import base64
import io
import os
from html import escape

from datasets.files import pictures
from serving.client import picture_files
from serving.command import printable
from serving.errors import BadImageError
from serving.gallery.file_state import gone

_THUMBNAIL = (192, 384)  # width, height at most; twice what a page shows


def about(camera: str | None, file: str) -> str:
    """Returns the camera and the file's name."""
    name = "no camera" if camera is None else f"camera {text(camera)}"
    return f'<div>{name}</div><div class="quiet"><bdi>{text(os.path.basename(file))}</bdi></div>'


def frame(file: str, what: str) -> str:
    """Returns a picture, small, in a frame; or why there is none.

    Args:
        file: its path.
        what: it is, for who doesn't see it.
    """
    encoded = _thumbnail(file)
    if encoded is None:
        why = "file is gone" if gone(file) else "file can't be shown"
        return f'<div class="frame gone">{why}</div>'
    alt = text(f"{what}: {os.path.basename(file)}")
    return f'<div class="frame"><img alt="{alt}" src="data:image/jpeg;base64,{encoded}"></div>'


def _thumbnail(file: str) -> str | None:
    """A small JPEG in base64, or None if the file is gone or no picture."""
    try:
        small = pictures.thumbnail(picture_files.read(file), _THUMBNAIL)
    except (BadImageError, pictures.PictureError):
        return None
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=85)
    return base64.b64encode(encoded.getvalue()).decode()


def score(value: float, left: str) -> str:
    """Returns a cosine as a number, with a text at its left, and as a bar."""
    width = 100 * min(max(value, 0), 1)
    return (
        f'<div class="line"><span class="rank">{left}</span><span>{value:.4f}</span></div>'
        f'<div class="bar"><i style="width:{width:.1f}%"></i></div>'
    )


def text(plain: str) -> str:
    """Returns a text from anywhere as HTML."""
    return escape(printable(plain))
