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
        row: (key, title) that its adapted model's row has in the table; None keeps the row's own.
        all_rows: whether its other rows are the table's too.
    """

    folder: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    row: tuple[str, str] | None = None
    all_rows: bool = False


@dataclasses.dataclass(frozen=True)
class Ablation:
    """A table over seeds.

    Attributes:
        name: of the folder, NAME_SOURCE_to_TARGET.
        runs: in the order of training.
        compared: pairs of keys whose paired difference is printed: does the first row add
            anything to the second?
    """

    name: str
    runs: tuple[AblationRun, ...]
    compared: tuple[tuple[str, str], ...]
