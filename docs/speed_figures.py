"""Draws the charts of docs/speed.md from docs/speed.json: a part of `make figures`.

Each file holds the numbers that it was drawn from, so that a test tells when they have changed.
"""

import json
from collections.abc import Mapping, Sequence

import matplotlib.axes
import matplotlib.ticker

from docs import charts

REPORTS = json.loads((charts.DOCS / "speed.json").read_text(encoding="utf-8"))
# {figure: (report, columns)}.
_BARS = {
    "training_steps": ("steps", ("pictures/CPU s",)),
    "serving": ("serving", ("pictures/CPU s",)),
}
_CURVES = {
    "ranking_seconds": ("gallery_ranking", ("ranking, CPU s", "product, CPU s")),
    "ranking_memory": ("gallery_ranking", ("peak MiB",)),
    "graph_seconds": ("gallery_graph", ("graph, CPU s", "product, CPU s")),
    "graph_memory": ("gallery_graph", ("peak MiB",)),
}


def main() -> None:
    for chosen, draw in ((_BARS, _bars), (_CURVES, _curves)):
        for figure, (report, columns) in chosen.items():
            if report not in REPORTS:
                print(f"{figure}.svg stays as it is: speed.json has no report of {report}")
                continue
            found = {column: _cells(report, column) for column in columns}
            text = json.dumps({"report": report, "columns": found})
            names = _cells(report, REPORTS[report]["columns"][0])
            charts.save(figure, draw, names, found, description=text)


def _cells(report: str, column: str) -> list:
    place = REPORTS[report]["columns"].index(column)
    return [row[place] for row in REPORTS[report]["rows"]]


def _bars(
    axes: matplotlib.axes.Axes, names: Sequence[str], columns: Mapping[str, Sequence[float]]
) -> int:
    """A bar for each row of the one column; returns their number."""
    [values] = columns.values()
    axes.barh(range(len(values)), values, 0.7, color=charts.BLUE)
    for place, value in enumerate(values):
        axes.text(value + max(values) / 80, place, f"{value:.1f}", va="center", fontsize=8)
    charts.name_rows(axes, list(names), "pictures a second of CPU time")
    return len(values)


def _curves(
    axes: matplotlib.axes.Axes, sizes: Sequence[int], columns: Mapping[str, Sequence[float]]
) -> int:
    """A line for each column over the size, both axes logarithmic; nine bars high."""
    # Above the first line and below the second: they may lie close together.
    styles = (
        ({"color": charts.BLUE}, {"xytext": (0, 6), "ha": "right"}),
        ({"color": charts.GREY, "linestyle": "--"}, {"xytext": (4, -11), "ha": "left"}),
    )
    for (column, values), (line, place) in zip(columns.items(), styles, strict=False):
        axes.plot(sizes, values, marker=".", label=column.partition(",")[0], **line)
        for point in zip(sizes, values, strict=True):
            text = f"{point[1]:,.0f}" if point[1] >= 10 else f"{point[1]:.2g}"
            axes.annotate(text, point, textcoords="offset points", fontsize=8, **place)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,g}"))
    every = [value for values in columns.values() for value in values]
    axes.set_ylim(min(every) / 2, max(every) * 2)
    axes.set_xlabel("gallery pictures")
    unit = next(iter(columns)).rpartition(",")[2].strip()
    axes.set_ylabel({"CPU s": "seconds of CPU time"}.get(unit, unit))
    if len(columns) > 1:
        axes.legend(frameon=False, loc="upper left", fontsize=8)
    return 9


if __name__ == "__main__":
    main()
