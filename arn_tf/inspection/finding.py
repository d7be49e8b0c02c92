"""A finding: what is the matter, what it causes, what to do; and what findings are made from."""

import dataclasses
import enum
import functools
from collections.abc import Sequence

import numpy as np

from arn_tf.inspection.declared import Declared
from arn_tf.inspection.duplicates import Copies, Near, copies, near
from arn_tf.inspection.facts import Problem
from arn_tf.inspection.names import SHOWN
from datasets.own_cameras.listing import UNKNOWN, Listing


class Level(enum.StrEnum):
    """How bad a finding is; the worst first."""

    STOPS = "stops"  # training can't work
    HARMS = "harms"  # results get worse, or worthless
    NOTE = "note"  # good to know


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is the matter with some pictures, or with cameras.

    Attributes:
        name: for programs; it stays.
        level: how bad it is.
        count: of pictures, cameras or tracklets, as `what` says.
        what: what they are; 0 of them: a sentence.
        examples: the first few names of what was counted.
        causes: what will go wrong.
        do: the way out.
    """

    name: str
    level: Level
    count: int
    what: str
    examples: tuple[str, ...]
    causes: str
    do: str

    @property
    def title(self) -> str:
        """`what` with its number."""
        return f"{self.what} ({self.count:,})" if self.count else self.what


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures with all that is known of them.

    Attributes:
        listing: N pictures.
        facts: rows of `FACT` [N].
        declared: what was listed and left out.
        in_source: bool [N], whether the source has the same picture.
    """

    listing: Listing
    facts: np.ndarray
    declared: Declared
    in_source: np.ndarray

    @functools.cached_property
    def good(self) -> np.ndarray:
        """Bool [N]: those that can be read."""
        return self.facts["problem"] == Problem.NONE

    @functools.cached_property
    def learnt(self) -> np.ndarray:
        """Bool [N]: those that can be read and that a run would learn from."""
        split = self.listing.split
        if not split.names:
            return self.good
        train = split.names.index("train") if "train" in split.names else len(split.names)
        return self.good & (split.codes == train)

    @functools.cached_property
    def copies(self) -> Copies:
        """Those of the same bytes."""
        return copies(self.facts["digest"], self.listing.camera.codes, np.flatnonzero(self.good))

    @functools.cached_property
    def near(self) -> Near:
        """Those that look nearly the same and aren't blank; copies are among them."""
        rows = np.flatnonzero(self.good & ~self.facts["blank"])
        return near(self.facts["hash"], self.listing.camera.codes, rows)

    def per_camera(self, chosen: np.ndarray) -> np.ndarray:
        """Returns how many pictures of each camera are chosen, int64.

        Args:
            chosen: bool [N].
        """
        codes = self.listing.camera.codes[chosen]
        return np.bincount(codes[codes != UNKNOWN], minlength=len(self.listing.camera.names))

    def names(self, rows: np.ndarray | Sequence[int]) -> tuple[str, ...]:
        """Returns the paths of the first few of some pictures."""
        return tuple(self.listing.files[int(row)] for row in rows[:SHOWN])

    def paired(self, rows: np.ndarray, others: np.ndarray) -> tuple[str, ...]:
        """Returns the first few pairs of pictures, as "this = that"."""
        files = self.listing.files
        pairs = zip(rows[:SHOWN].tolist(), others[:SHOWN].tolist(), strict=True)
        return tuple(f"{files[row]} = {files[other]}" for row, other in pairs)
