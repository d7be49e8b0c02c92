"""The table of label-free indicators against the true mAP; see `studies.model_choice`."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

# 1 where higher is better.
INDICATORS = {
    "a classifier entropy": -1,
    "b other-camera share": 1,
    "c mutual rate": 1,
    "d similarity entropy": 1,
    "e source validation": 1,
    "f DEV risk": -1,
    "g proxy set": 1,
    "h consensus": 1,
    "i mirror rate": 1,
    "i mirror overlap": 1,
    "j used share": 1,
    "j clusters": 1,
    "j silhouette": 1,
}
TRUE = "true mAP"


def report(runs: Sequence[dict]) -> str:
    """Returns the table of indicators and rules as Markdown."""
    directions = sorted({run["direction"] for run in runs})
    checkpoints = sum(len(run["stages"]) for run in runs)
    lines = [
        f"{checkpoints} checkpoints of {len(runs)} runs",
        "",
        f"| indicator | {' | '.join(directions)} | within a run | mean loss | worst loss |",
        "|---" * (len(directions) + 4) + "|",
    ]
    for name, sign in INDICATORS.items():
        cells = [
            _spearman(
                [stage for run in runs if run["direction"] == direction for stage in run["stages"]],
                name,
                sign,
            )
            for direction in directions
        ]
        within = [_spearman(run["stages"], name, sign) for run in runs]
        within = [value for value in within if np.isfinite(value)]
        cells.append(np.mean(within) if within else np.nan)
        losses = [_loss(run, _best(run["stages"], name, sign)) for run in runs]
        lines.append(_line(name, [f"{cell:+.2f}" for cell in cells], losses))
    empty = ["" for _ in range(len(directions) + 1)]
    for name, pick in (
        ("**the rule**", lambda run: run["choice"]),
        ("always the last", lambda run: len(run["stages"]) - 1),
        ("always the first", lambda run: 0),
    ):
        lines.append(_line(name, empty, [_loss(run, pick(run)) for run in runs]))
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str], losses: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(cells)} | {np.mean(losses):.2f} | {np.max(losses):.2f} |"


def _spearman(stages: Sequence[dict], name: str, sign: int) -> float:
    """Returns the correlation of an indicator, turned so that higher is better, with true mAP."""
    values = np.array([[sign * stage[name], stage[TRUE]] for stage in stages], np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) < 3 or (values == values[0]).all(axis=0).any():
        return np.nan
    return float(spearmanr(*values.T).statistic)


def _best(stages: Sequence[dict], name: str, sign: int) -> int:
    """Returns the row of the best by an indicator; of equals, and where there is none, the last."""
    values = np.array([sign * stage[name] for stage in stages], np.float64)
    values = np.where(np.isfinite(values), values, -np.inf)
    return len(values) - 1 - int(np.argmax(values[::-1]))


def _loss(run: dict, row: int) -> float:
    """Returns the points of mAP below the best stage of the run."""
    true = [stage[TRUE] for stage in run["stages"]]
    return 100 * (max(true) - true[row])
