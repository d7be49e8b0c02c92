"""Draws the charts of docs/results.md from docs/results.json: a part of `make figures`."""

import json
from collections.abc import Sequence

import matplotlib.axes

from docs import charts

RESULTS = json.loads((charts.DOCS / "results.json").read_text(encoding="utf-8"))
DIRECTIONS = {
    "market_to_duke": ("Market to Duke", charts.BLUE),
    "duke_to_market": ("Duke to Market", charts.ORANGE),
}
# Targets of adaptation without a source: columns of its table, colour.
TARGETS = {"PKU": charts.BLUE, "CUHK03": charts.ORANGE, "Market": charts.GREY}
# Rows of the overview: (label, recipe, row of its tables).
OVERVIEW = (
    ("untrained backbone", "paper", "untrained pooled backbone"),
    ("paper's recipe: source only", "paper", "source only"),
    ("paper's recipe: full ARN", "paper", "full ARN"),
    ("strong: source only (a)", "strong", "source only (a) plain statistics"),
    ("strong: source only (b)", "strong", "source only (b) camera statistics, flip"),
    ("strong: self-trained (b)", "strong", "self-trained (b) camera statistics, flip"),
    ("strong: self-trained (c)", "strong", "self-trained (c) = (b) + re-ranking"),
)


def main() -> None:
    charts.save("recipes", _directions, OVERVIEW)
    for recipe in ("paper", "strong"):
        rows = [(row, recipe, row) for row in RESULTS[f"{recipe}_market_to_duke"]["rows"]]
        charts.save(f"{recipe}_recipe", _directions, rows, intervals=recipe == "strong")
    charts.save("joint_training", _differences, "joint_training", "mAP, points, and 95% interval")
    charts.save("stage_choice", _losses, "stage_choice")
    charts.save("adaptation", _targets, "adaptation")
    charts.save("calibration", _curves, "calibration_by_number", "training pictures of each camera")


def _directions(
    axes: matplotlib.axes.Axes, rows: Sequence[tuple[str, str, str]], intervals: bool = False
) -> int:
    """Two bars of mAP for each row, one for each direction; returns the number of bars.

    Args:
        axes: to draw on.
        rows: (label, recipe, row of the recipe's tables).
        intervals: whether whiskers are the 95% interval, or one deviation over seeds.
    """
    for shift, (direction, (name, colour)) in zip((-0.2, 0.2), DIRECTIONS.items(), strict=True):
        for place, (_, recipe, row) in enumerate(rows):
            table = RESULTS[f"{recipe}_{direction}"]
            cells = dict(zip(table["columns"], table["rows"][row], strict=True))
            mean, low, high = _mean_and_spread(cells["mAP"], cells["mAP 95%"] if intervals else {})
            axes.barh(place + shift, mean, 0.38, color=colour, label=None if place else name)
            _whisker(axes, place + shift, mean, low, high)
            axes.text(high + 1, place + shift, f"{mean:.1f}", va="center", fontsize=8)
    spread = "95% interval over queries" if intervals else "deviation over three seeds"
    charts.name_rows(axes, [text for text, _, _ in rows], f"mAP, percent, and {spread}")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.35, 1), ncols=2)
    return 2 * len(rows)


def _targets(axes: matplotlib.axes.Axes, table: str) -> int:
    """A bar for each row and target, with the interval over queries."""
    columns, rows = RESULTS[table]["columns"], RESULTS[table]["rows"]
    for shift, (target, colour) in zip((-0.27, 0, 0.27), TARGETS.items(), strict=True):
        for place, values in enumerate(rows.values()):
            cells = dict(zip(columns, values, strict=True))
            interval = cells[f"{target} mAP 95%"]
            mean, low, high = _mean_and_spread(cells[f"{target} mAP"], interval)
            axes.barh(place + shift, mean, 0.26, color=colour, label=None if place else target)
            _whisker(axes, place + shift, mean, low, high)
            axes.text(high + 1, place + shift, f"{mean:.1f}", va="center", fontsize=8)
    charts.name_rows(axes, list(rows), "mAP, percent, and 95% interval over queries")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.35, 1), ncols=3)
    return 3 * len(rows)


def _differences(axes: matplotlib.axes.Axes, table: str, label: str) -> int:
    """A point and an interval for each row's difference, beside the line of no difference."""
    rows = RESULTS[table]["rows"]
    axes.axvline(0, color=charts.GREY, linewidth=1)
    for place, cells in enumerate(rows.values()):
        mean, low, high = _mean_and_spread(cells[-1], cells[-1])
        axes.plot(mean, place, "o", color=DIRECTIONS["market_to_duke"][1])
        _whisker(axes, place, mean, low, high)
        axes.text(mean, place - 0.2, f"{mean:+.1f}", ha="center", va="bottom", fontsize=8)
    charts.name_rows(axes, [row.replace(", three seeds", "") for row in rows], label)
    return len(rows)


def _losses(axes: matplotlib.axes.Axes, table: str) -> int:
    """Mean loss as a bar and worst loss as a point, the best mean on top."""
    rows = sorted(RESULTS[table]["rows"].items(), key=lambda row: row[1][3])
    for place, (name, (*_, mean, worst)) in enumerate(rows):
        axes.barh(
            place, mean, 0.7, color=charts.BLUE if name == "the rule of training" else charts.GREY
        )
        axes.text(mean + 0.3, place, f"{mean:.2f}", va="center", fontsize=8)
        label = None if place else "worst run"
        axes.plot(worst, place, "o", color="#c0392b", markersize=4, label=label)
    charts.name_rows(axes, [name for name, _ in rows], "points of mAP below the best, mean")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.35, 1))
    return len(rows)


def _curves(axes: matplotlib.axes.Axes, table: str, label: str) -> int:
    """A line for each column over the numbers that are the rows' names; twelve bars high."""
    rows = RESULTS[table]["rows"]
    numbers = [int(name) for name in rows]
    colours = {"target's": charts.GREY, "own": charts.ORANGE, "shrunk": charts.BLUE}
    for place, column in enumerate(RESULTS[table]["columns"]):
        kind, order = column.split(", ")
        values = [cells[place] for cells in rows.values()]
        style = "-" if order == "at random" else "--"
        axes.plot(numbers, values, style, color=colours[kind], marker=".", label=column)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(numbers, list(rows))
    axes.set_ylim(0)
    axes.set_xlabel(label)
    axes.set_ylabel("mAP")
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return 12


def _whisker(
    axes: matplotlib.axes.Axes, place: float, mean: float, low: float, high: float
) -> None:
    if low < high:
        spread = [[mean - low], [high - mean]]
        axes.errorbar(
            mean, place, xerr=spread, fmt="none", ecolor="#222222", elinewidth=1, capsize=2
        )


def _mean_and_spread(
    cell: float | dict[str, float], interval: dict[str, float]
) -> tuple[float, float, float]:
    """Mean, lower and upper end: of the interval, or without one of a deviation to each side."""
    if not isinstance(cell, dict):
        cell = {"mean": cell}
    mean, deviation = cell["mean"], cell.get("deviation", 0)
    return mean, interval.get("low", mean - deviation), interval.get("high", mean + deviation)


if __name__ == "__main__":
    main()
