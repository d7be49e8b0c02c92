"""Several labelled data sets as one: their pictures one after the other, and their identities."""

from collections.abc import Sequence

import numpy as np

from arn_tf.data.split import Split


class JoinedPictures:
    """Pictures of several arrays, indexed as those of one; no array is copied.

    Args:
        parts: uint8 [N, height, width, 3] each, of one height and width.

    Attributes:
        shape: of the array that they would be.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Returns pictures by row, uint8 [B, height, width, 3].

        Args:
            rows: int64 [B].
        """
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        of = np.searchsorted(self._ends, rows, side="right")
        for number, part in enumerate(self._parts):
            own = of == number
            found[own] = part[rows[own] - (self._ends[number] - len(part))]
        return found


def joined(parts: Sequence[np.ndarray]) -> np.ndarray | JoinedPictures:
    """Returns the pictures of one array, or of several after one another."""
    return parts[0] if len(parts) == 1 else JoinedPictures(parts)


def labels(splits: Sequence[Split]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Returns the row of each picture's identity in one classifier of all sources.

    Persons of two sources are different ones, whatever their numbers and names are.

    Args:
        splits: of the sources.

    Returns:
        int32 [all pictures], from 0, and the number of identities of each source.
    """
    found = [split.labels() for split in splits]
    counts = tuple(count for _, count in found)
    firsts = np.cumsum([0, *counts[:-1]], dtype=np.int32)
    rows = [own + first for (own, _), first in zip(found, firsts, strict=True)]
    return np.concatenate(rows), counts
