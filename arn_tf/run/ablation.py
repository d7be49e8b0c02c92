"""The table of an ablation: which runs make its rows, and which rows are compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class AblationRun:
    """One run of an ablation.

    Attributes:
        folder: of the run, below that of its seed.
        changes: {setting: value} that make it.
        rows: {key of a row of its evaluation: (key, title) in the table}.
        all_rows: whether its other rows are the table's too, as they are.
    """

    folder: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rows: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    all_rows: bool = False

    @property
    def name(self) -> str:
        """What it is called in output: the title of its row, or its folder."""
        titles = [title for _, title in self.rows.values()]
        return titles[0] if len(titles) == 1 else self.folder


@dataclasses.dataclass(frozen=True)
class Bound:
    """Rows, by their keys, that say how near adaptation comes to what labels would give.

    Attributes:
        start: before adaptation.
        reached: after it.
        limit: what labels give at equal cost.
    """

    start: str
    reached: str
    limit: str


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A table over seeds.

    Attributes:
        name: of the folder, NAME_SOURCE_to_TARGET.
        runs: in the order of training.
        compared: pairs of keys whose paired difference is printed: does the first row add
            anything to the second?
        bound: rows of adaptation and its bound, if there are such.
        notes: sentences for the reader, as on what was left out.
    """

    name: str
    runs: tuple[AblationRun, ...]
    compared: tuple[tuple[str, str], ...]
    bound: Bound | None = None
    notes: tuple[str, ...] = ()
