"""Tracklets of the target as units of clustering: the crops of one are one person.

A picture without a tracklet is a unit of its own. Two tracklets of one camera at the same time are
two persons, which `arn_tf.strong.cannot_link` keeps apart.
"""

import dataclasses

import numpy as np

from arn_tf.ranking import arguments

NONE = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """Tracklets, and pictures that have none.

    Attributes:
        of_picture: int64 [N], the unit of each picture; numbered by their first pictures.
        pictures: int64 [U], how many each has.
        camera_id: int64 [U]; below 0 is unknown.
        is_tracklet: bool [U]; False for a picture that has none.
        span: float64 [U, 2], seconds of a tracklet's first and last picture; NaN where no time of
            it or no camera is known, and for a picture without tracklet.
    """

    of_picture: np.ndarray
    pictures: np.ndarray
    camera_id: np.ndarray
    is_tracklet: np.ndarray
    span: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, rows: np.ndarray) -> "Units":
        """Returns some units, in the order given, and of the pictures those that are theirs.

        Args:
            rows: int64 [V], each unit once.
        """
        place = np.full(len(self), NONE)
        place[rows] = np.arange(len(rows))
        of_picture = place[self.of_picture]
        return Units(
            of_picture[of_picture >= 0],
            self.pictures[rows],
            self.camera_id[rows],
            self.is_tracklet[rows],
            self.span[rows],
        )

    def features(self, embeddings: np.ndarray) -> np.ndarray:
        """Returns the direction of the mean of each unit's embeddings at unit length.

        Args:
            embeddings: real [N, D], of any length above zero.

        Returns:
            real [U, D], of any length above zero; as given where each unit is one picture.

        Raises:
            ValueError: a row is all zeros or not finite.
        """
        if len(self) == len(embeddings):
            return embeddings
        rows = arguments.units_of("embeddings", embeddings)
        order = np.argsort(self.of_picture, kind="stable")
        starts = np.cumsum(self.pictures) - self.pictures
        sums = np.add.reduceat(rows[order], starts, axis=0)
        # Opposite pictures have no mean direction; then the first stands for all.
        empty = ~np.any(sums, axis=1)
        sums[empty] = rows[order[starts[empty]]]
        return sums


def units(
    camera_id: np.ndarray, tracklet: np.ndarray | None = None, time: np.ndarray | None = None
) -> Units:
    """Returns the units of pictures.

    Args:
        camera_id: int64 [N]; below 0 is unknown.
        tracklet: integers [N]; below 0 for a picture that has none; None where none has.
        time: real [N], seconds, NaN where it is unknown; None where none is known.

    Raises:
        ValueError: a wrong shape or type, or a tracklet of two cameras.
    """
    count = len(camera_id)
    if tracklet is None:
        tracklet = np.full(count, NONE)
    tracklet = arguments.ids("tracklet", tracklet, camera_id)
    tracked = tracklet >= 0
    # Below all tracklets, a number for each picture without.
    key = np.where(tracked, tracklet, -1 - np.arange(count))
    _, first, inverse, pictures = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    first = first[order]
    of_picture = np.argsort(order)[inverse]
    camera = camera_id[first]
    strangers = np.flatnonzero(camera_id != camera[of_picture])
    if len(strangers):
        row = strangers[0]
        raise ValueError(
            f"tracklet {tracklet[row]} has pictures of the cameras {camera[of_picture[row]]} and "
            f"{camera_id[row]}; a tracklet is of one camera"
        )
    span = _spans(of_picture, len(first), time)
    span[~tracked[first] | (camera < 0)] = np.nan
    return Units(of_picture, pictures[order], camera, tracked[first], span)


def forbidden_pairs(found: Units) -> int:
    """Returns the number of pairs of tracklets that `cannot_link` keeps apart."""
    total = 0
    for camera in np.unique(found.camera_id):
        rows = (found.camera_id == camera) & np.isfinite(found.span[:, 0])
        start, end = np.sort(found.span[rows, 0]), np.sort(found.span[rows, 1])
        moments = found.span[rows, 0][found.span[rows, 0] == found.span[rows, 1]]
        together = np.unique(moments, return_counts=True)[1]
        count = len(start)
        # One ends before the other starts; of tracklets of one moment, each before each.
        apart = np.searchsorted(end, start, "right").sum() - len(moments)
        apart -= (together * (together - 1) // 2).sum()
        total += count * (count - 1) // 2 - int(apart)
    return total


def _spans(of_picture: np.ndarray, count: int, time: np.ndarray | None) -> np.ndarray:
    """Returns the first and last known time of each unit, float64 [U, 2]; NaN without any."""
    span = np.full((count, 2), np.nan)
    if time is None:
        return span
    time = np.asarray(time, np.float64)
    if time.shape != of_picture.shape:
        raise ValueError(f"time must be {len(of_picture)} numbers, not of shape {time.shape}")
    known = np.isfinite(time)
    np.fmin.at(span[:, 0], of_picture[known], time[known])
    np.fmax.at(span[:, 1], of_picture[known], time[known])
    return span
