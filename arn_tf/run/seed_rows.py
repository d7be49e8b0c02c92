"""The rows of a table over seeds: their scores, their paired differences, the way to the bound."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from arn_tf.ranking import intervals, scores
from arn_tf.ranking.results import RankingResult
from arn_tf.run.ablation import Ablation, Bound
from arn_tf.run.settings import RunSettings

# Scores of a row by name, as `ranking.scores.metrics` returns them.
Metrics = dict[str, float | tuple[float, float]]


@dataclasses.dataclass
class SeedRow:
    """A row of the table over seeds.

    Attributes:
        title: of the row.
        results: scores, one for each seed that has the row.
    """

    title: str
    results: list[RankingResult] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Shares:
    """How near adaptation comes to its bound, by the means of mAP over seeds.

    Attributes:
        of_bound: what is reached over the bound.
        of_way: of the way from the start to the bound; None where the bound is no higher.
    """

    of_bound: float
    of_way: float | None


def summary(rows: Mapping[str, SeedRow]) -> list[tuple[str, Metrics]]:
    """Returns (title, `scores.metrics`) of the rows in their order.

    The title of a row that not every seed has, as where self-training stopped before its first
    round, gives the number of seeds.
    """
    seeds = max(len(row.results) for row in rows.values())
    return [
        (
            row.title
            if len(row.results) == seeds
            else f"{row.title} ({len(row.results)} of {seeds})",
            scores.metrics(row.results),
        )
        for row in rows.values()
    ]


def differences(
    rows: Mapping[str, SeedRow], ablation: Ablation
) -> dict[str, tuple[float, tuple[float, float]] | None]:
    """Returns {"one row less another": (mean, (low, high))} of mAP, paired over queries and seeds.

    None instead where not every seed has both rows.
    """
    found: dict[str, tuple[float, tuple[float, float]] | None] = {}
    seeds = max((len(row.results) for row in rows.values()), default=0)
    for one, other in _pairs(rows, ablation):
        name = f"{one.title} less {other.title}"
        found[name] = None
        if len(one.results) == len(other.results) == seeds:
            found[name] = intervals.difference(
                *([result.per_query()["mean_ap"] for result in row.results] for row in (one, other))
            )
    return found


def shares(rows: Mapping[str, SeedRow], bound: Bound | None) -> Shares | None:
    """Returns how near adaptation comes to its bound; None where not every seed has all rows."""
    if bound is None:
        return None
    found = [rows[key] for key in (bound.start, bound.reached, bound.limit) if key in rows]
    if len(found) < 3 or len({len(row.results) for row in found}) > 1:
        return None
    start, reached, limit = (
        float(np.mean([result.mean_ap for result in row.results])) for row in found
    )
    if not limit > 0:
        return None
    return Shares(reached / limit, (reached - start) / (limit - start) if limit > start else None)


def markdown(
    settings: RunSettings,
    ablation: Ablation,
    seeds: int,
    rows: Mapping[str, SeedRow],
    notes: list[str],
    command: str,
) -> str:
    """Returns the table, what follows from it, and notes, as Markdown.

    Args:
        settings: of the full model.
        ablation: which rows are compared.
        seeds: how many there are.
        rows: {key: row}, in order.
        notes: sentences.
        command: that made it.
    """
    several = "one seed" if seeds == 1 else f"mean ± deviation of {seeds} seeds"
    lines = [
        f"{settings.direction}, in percent, {several}; 95%: over queries, bootstrap:\n",
        scores.table(summary(rows)),
        "\nmAP, paired over queries:\n",
    ]
    for name, value in differences(rows, ablation).items():
        if value is None:
            lines.append(f"* {name}: not compared, as not every seed has both")
            continue
        mean, (low, high) = value
        lines.append(f"* {name}: {100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
    bound = ablation.bound
    if bound and bound.limit in rows:
        lines.append(f"\n{_told(rows, bound)}")
    return "\n".join([*lines, *(f"\n{note}" for note in notes), f"\nMade by `{command}`"])


def _told(rows: Mapping[str, SeedRow], bound: Bound) -> str:
    """Returns `shares` as a sentence."""
    found, limit = shares(rows, bound), rows[bound.limit].title
    if found is None:
        return f"Nothing is measured against {limit!r}, as not every seed has its rows."
    start, reached = rows[bound.start].title, rows[bound.reached].title
    text = f"Of the mAP of {limit!r}, {reached!r} has {100 * found.of_bound:.1f}%"
    if found.of_way is None:
        return f"{text}; there is no way to it from {start!r}, which is no lower."
    return f"{text}; of the way to it from {start!r}, {100 * found.of_way:.1f}%."


def _pairs(rows: Mapping[str, SeedRow], ablation: Ablation) -> Iterator[tuple[SeedRow, SeedRow]]:
    for one, other in ablation.compared:
        if one in rows and other in rows:
            yield rows[one], rows[other]
