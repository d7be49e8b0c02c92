"""One drawn picture in every format that users have, and stored turned as phones store it."""

import io

import numpy as np
from PIL import ExifTags, Image

# {ending: how Pillow saves it so that no pixel changes}
LOSSLESS = {
    ".bmp": {"format": "BMP"},
    ".gif": {"format": "GIF"},
    ".jp2": {"format": "JPEG2000"},
    ".png": {"format": "PNG"},
    ".ppm": {"format": "PPM"},
    ".qoi": {"format": "QOI"},
    ".tif": {"format": "TIFF"},
    ".webp": {"format": "WEBP", "lossless": True},
}
TURNED = range(2, 9)
# What makes the upright picture from the stored one, undone.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def drawn(seed=0, size=(32, 64)):
    """A picture of few colours, which looks different turned or mirrored in any way."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def encoded(picture, orientation=1, **saved):
    """A picture's bytes, stored as a camera held in this orientation stores it.

    Args:
        picture: upright.
        orientation: of EXIF, 1 to 8.
        saved: arguments of Pillow's `save`; PNG by default.
    """
    if orientation != 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        picture = picture.transpose(_STORED[orientation])
        saved["exif"] = exif
    data = io.BytesIO()
    picture.save(data, **{"format": "PNG", **saved})
    return data.getvalue()


def pixels(data):
    """The pixels that are stored, whatever EXIF says: uint8 [height, width, 3]."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
