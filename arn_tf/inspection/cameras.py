"""What there is of each camera: the rows of the table."""

import dataclasses

import numpy as np

from arn_tf.inspection.finding import Pictures
from datasets.own_cameras.listing import UNKNOWN

# (width, height) in pixels.
Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Camera:
    """One camera, or the pictures without one.

    Attributes:
        name: of the camera; None: those without one.
        pictures: number of them.
        readable: number of those that can be read; sizes are theirs.
        tracklets: number of tracklets.
        persons: number of persons that are known.
        median_size: of width and height each.
        smallest: picture, by its pixels.
        largest: picture.
        median_aspect: height by width.
        first: time of the first picture, seconds; None where none is known.
        last: time of the last.
        examples: paths of the first few.
        rows: int64, which pictures they are.
    """

    name: str | None
    pictures: int
    readable: int
    tracklets: int
    persons: int
    median_size: Size
    smallest: Size
    largest: Size
    median_aspect: float
    first: float | None
    last: float | None
    examples: tuple[str, ...]
    rows: np.ndarray


def cameras(pictures: Pictures) -> list[Camera]:
    """Returns each camera in the order of the listing's, then what has none, if there is any."""
    codes = pictures.listing.camera.codes
    order = np.argsort(codes, kind="stable")
    names: list[str | None] = [None, *pictures.listing.camera.names]
    bounds = np.searchsorted(codes[order], np.arange(UNKNOWN, len(names)))
    found = [
        _camera(pictures, name, order[start:stop])
        for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
        if stop > start
    ]
    return found[1:] + found[:1] if found and found[0].name is None else found


def _camera(pictures: Pictures, name: str | None, rows: np.ndarray) -> Camera:
    listing = pictures.listing
    facts = pictures.facts[rows[pictures.good[rows]]]
    width, height = facts["width"].astype(np.int64), facts["height"].astype(np.int64)
    none = (0, 0)
    median, least, most, aspect = none, none, none, 0.0
    if len(facts):
        pixels = width * height
        median = (int(np.median(width)), int(np.median(height)))
        least, most = (
            (int(width[place]), int(height[place])) for place in (pixels.argmin(), pixels.argmax())
        )
        aspect = round(float(np.median(height / width)), 2)
    times = listing.time[rows]
    times = times[~np.isnan(times)]
    return Camera(
        name,
        len(rows),
        len(facts),
        _distinct(listing.tracklet.codes[rows]),
        _distinct(listing.person_id.codes[rows]),
        median,
        least,
        most,
        aspect,
        float(times.min()) if len(times) else None,
        float(times.max()) if len(times) else None,
        pictures.names(rows),
        rows,
    )


def _distinct(codes: np.ndarray) -> int:
    return len(np.unique(codes[codes != UNKNOWN]))
