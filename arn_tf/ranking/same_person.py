"""Pairs of pictures of one person, from two lists of pictures."""

import numpy as np


class ByPerson:
    """A list of pictures, those of a person side by side.

    Args:
        person: int64 [N].
    """

    def __init__(self, person: np.ndarray) -> None:
        self._order = np.argsort(person, kind="stable")
        self._person = person[self._order]

    def pairs(self, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns all pairs of pictures of one person, of another list and of this one.

        Args:
            person: int64 [M], of the other list.

        Returns:
            rows of the other list, int64 [P], ascending; and rows of this one, int64 [P],
            ascending where the first are equal.
        """
        first = np.searchsorted(self._person, person, "left")
        count = np.searchsorted(self._person, person, "right") - first
        other = np.repeat(np.arange(len(person)), count)
        place = np.arange(len(other)) + np.repeat(first - (np.cumsum(count) - count), count)
        return other, self._order[place]
