"""How the charts of the documentation look, and how they are written.

Needs matplotlib (requirements-docs.txt). Equal numbers give equal files, so that a chart changes in
the repository only where its numbers do.
"""

import pathlib
from collections.abc import Callable

import matplotlib
import matplotlib.axes
import matplotlib.pyplot as plt

DOCS = pathlib.Path(__file__).parent
BLUE, ORANGE, GREY = "#33508f", "#e08a2c", "#8a94a3"
_STYLE = {
    "svg.hashsalt": "arn_tf",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "font.size": 10,
}
_WIDTH = 6.4  # inches: text stays readable when a phone shows it at half its size


def save(
    name: str,
    draw: Callable[..., int],
    *arguments: object,
    description: str | None = None,
    **options: object,
) -> None:
    """Writes docs/images/NAME.svg, as high as its bars need.

    Args:
        name: of the file.
        draw: draws on the axes that it is called with, and returns the number of bars.
        arguments: that it is called with, too.
        description: what the file says of itself, or nothing.
        options: likewise.
    """
    matplotlib.rcParams.update(_STYLE)
    figure, axes = plt.subplots(figsize=(_WIDTH, 1), layout="constrained")
    bars = draw(axes, *arguments, **options)
    figure.set_figheight(0.9 + 0.24 * bars)
    metadata = {"Date": None} | ({"Description": description} if description else {})
    figure.savefig(DOCS / "images" / f"{name}.svg", metadata=metadata)
    plt.close(figure)


def name_rows(axes: matplotlib.axes.Axes, names: list[str], label: str) -> None:
    """Names rows from the top down, and what is measured."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.set_xlabel(label)
