"""Scores of pairs of pictures, over all and from camera to camera."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from arn_tf.errors import UserError
from arn_tf.ranking import verification
from arn_tf.ranking.verification import Operation, Verification

# Pairs of one person and of different ones, from which on two cameras have a line of their own.
LEAST_SAME, LEAST_OTHER = 10, 100


@dataclasses.dataclass(frozen=True, eq=False)
class CameraPair:
    """Scores of the pairs between two cameras, or within one.

    Attributes:
        names: of both, in the order of names.
        scores: of these pairs.
        false_accepts: rate at the threshold of all pairs; None where that has none.
        true_accepts: likewise.
        own: threshold of these pairs alone; None where they are too few for the rate.
    """

    names: tuple[str, str]
    scores: Verification
    false_accepts: float | None
    true_accepts: float | None
    own: Operation | None

    @property
    def title(self) -> str:
        """Both names, or one where it is within a camera."""
        one, other = self.names
        return f"within {one}" if one == other else f"{one} and {other}"


@dataclasses.dataclass(frozen=True)
class PairScores:
    """Scores of pairs of pictures.

    Attributes:
        scores: of all.
        wanted: the false-accept rate that a threshold is wanted for.
        operations: {false-accept rate: what it costs}, None where there are too few pairs for it.
        cameras: of pairs of cameras with enough pairs.
        left_out: how many pairs of cameras have too few.
        notes: what a reader must know, a list of sentences.
    """

    scores: Verification
    wanted: float
    operations: dict[float, Operation | None]
    cameras: list[CameraPair]
    left_out: int
    notes: list[str]

    def lacking(self) -> list[str]:
        """Returns a sentence for each rate that these pairs are too few for."""
        return [
            f"a false-accept rate of {rate:g} needs {int(np.ceil(1 / rate - 1e-9)):,} pairs of "
            f"different persons, and there are {self.scores.other:,}"
            for rate, found in self.operations.items()
            if found is None
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the scores by name, without the curve."""
        return {
            **_counts(self.scores),
            "false_accept_rates": {
                f"{rate:g}": None if found is None else dataclasses.asdict(found)
                for rate, found in self.operations.items()
            },
            "false_accept_rate": self.wanted,
            "cameras": [
                {
                    "cameras": list(each.names),
                    **_counts(each.scores),
                    "false_accepts": each.false_accepts,
                    "true_accepts": each.true_accepts,
                    "own": None if each.own is None else dataclasses.asdict(each.own),
                }
                for each in self.cameras
            ],
            "camera_pairs_left_out": self.left_out,
            "notes": self.notes,
        }


def score(
    similarity: np.ndarray,
    same: np.ndarray,
    cameras: Sequence[tuple[str, str]],
    wanted: float,
    notes: Sequence[str] = (),
) -> PairScores:
    """Returns the scores of pairs.

    Args:
        similarity: real [P], cosines.
        same: bool [P], whether both pictures show one person.
        cameras: P pairs of names, "" where one is unknown.
        wanted: false-accept rate that a threshold is wanted for.
        notes: what a reader must know of the pairs.

    Raises:
        UserError: there are no pairs of one kind, or embeddings are not finite.
    """
    try:
        found = verification.verify(similarity, same)
    except ValueError as error:
        raise UserError(f"the pairs can't be scored: {error}") from error
    rates = sorted({*verification.RATES, wanted}, reverse=True)
    operations = {rate: verification.operation(similarity, same, rate) for rate in rates}
    of_all = operations[wanted]
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (a, b) in enumerate(cameras):
        if a and b:
            groups.setdefault((min(a, b), max(a, b)), []).append(row)
    lines = []
    for names, rows in sorted(groups.items()):
        some, equal = similarity[rows], same[rows]
        if equal.sum() < LEAST_SAME or (~equal).sum() < LEAST_OTHER:
            continue
        accepted = None if of_all is None else some >= of_all.threshold
        lines.append(
            CameraPair(
                names,
                verification.verify(some, equal),
                None if accepted is None else float(accepted[~equal].mean()),
                None if accepted is None else float(accepted[equal].mean()),
                verification.operation(some, equal, wanted),
            )
        )
    return PairScores(found, wanted, operations, lines, len(groups) - len(lines), list(notes))


def _counts(scores: Verification) -> dict[str, float | int]:
    return {"same": scores.same, "other": scores.other, "auc": scores.auc}
