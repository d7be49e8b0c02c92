"""Charts as SVG inside the page; their colours are those of its style sheet."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from arn_tf.report.html import text

# Of a chart, in units of its own: about as many pixels on a phone.
_WIDTH, _HEIGHT = 390, 255
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 40


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        title: its name.
        x: real [N].
        y: real [N].
        kind: class of the style sheet: kept, base or other.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    kind: str


@dataclasses.dataclass(frozen=True)
class Axis:
    """One of the two axes of a chart.

    Attributes:
        title: what it measures.
        low: value at its beginning.
        high: value at its end.
        ticks: {value: what is written there}.
        logarithmic: whether equal steps are equal ratios; then `low` is above 0.
    """

    title: str
    low: float
    high: float
    ticks: Mapping[float, str]
    logarithmic: bool = False

    def share(self, values: np.ndarray) -> np.ndarray:
        """Returns where values lie: 0 at the beginning, 1 at the end; nothing lies beyond."""
        low, high = self.low, self.high
        values = np.clip(np.asarray(values, np.float64), low, high)
        if self.logarithmic:
            low, high, values = np.log(low), np.log(high), np.log(values)
        return (values - low) / (high - low)


def lines(about: str, curves: Sequence[Line], x: Axis, y: Axis) -> str:
    """Returns a chart of curves, with a legend.

    Args:
        about: what the chart shows, for those who can't see it.
        curves: from back to front.
        x: the axis below.
        y: the axis at the left.
    """
    drawn = "".join(
        f'<path class="line {curve.kind}" d="{_path(curve, x, y)}"><title>{text(curve.title)}'
        "</title></path>"
        for curve in curves
    )
    legend = {curve.kind: curve.title for curve in curves}
    if sum(curve.kind == "other" for curve in curves) > 1:
        legend["other"] = "the other rows of the table"
    return _framed(about, drawn, x, y) + _legend(legend)


def histogram(
    about: str,
    of: str,
    value: str,
    edges: np.ndarray,
    groups: Mapping[str, tuple[str, np.ndarray]],
    alike: Sequence[np.ndarray] = (),
) -> str:
    """Returns a chart of distributions: the share of each group in each bin.

    Args:
        about: what the chart shows.
        of: what is counted, such as pairs.
        value: what is measured of each.
        edges: real [B + 1], of the bins.
        groups: {class of the style sheet: (title, int [B])}; none is empty.
        alike: int [B], of charts beside it, whose axes are to be the same.
    """
    shares = {kind: counts / counts.sum() for kind, (_, counts) in groups.items()}
    both = [*shares.values(), *(counts / counts.sum() for counts in alike)]
    used = np.flatnonzero(np.sum(both, axis=0))
    low = np.floor(edges[used[0]] * 5 + 1e-9) / 5
    high = np.ceil(edges[used[-1] + 1] * 5 - 1e-9) / 5
    step = 0.2 if high - low <= 1.2 else 0.4
    x = Axis(value, low, high, _rounded(low, high, step, "{:.1f}"))
    most = max(float(share.max()) for share in both)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1) if most / s <= 5)
    top = step * np.ceil(most / step)
    ticks = {value: f"{100 * float(value):.0f} %" for value in _rounded(0, top, step, "")}
    y = Axis(f"share of {of}", 0, top, ticks)
    drawn = ""
    for kind, share in shares.items():
        corners = np.repeat(edges, 2)[1:-1], np.repeat(share, 2)
        inside = (corners[0] >= low - 1e-9) & (corners[0] <= high + 1e-9)
        curve = Line("", corners[0][inside], corners[1][inside], kind)
        ends = x.share(np.array([low, high])) * (_WIDTH - _LEFT - _RIGHT) + _LEFT
        bottom = _HEIGHT - _BOTTOM
        path = _path(curve, x, y)
        drawn += (
            f'<path class="area {kind}" d="{path}L{ends[1]:.1f} {bottom}L{ends[0]:.1f} {bottom}Z"/>'
            f'<path class="line {kind}" d="{path}"/>'
        )
    legend = {
        kind: f"{title}, {int(counts.sum()):,} {of}" for kind, (title, counts) in groups.items()
    }
    return _framed(about, drawn, x, y) + _legend(legend)


def whisker(value: float, interval: tuple[float, float]) -> str:
    """Returns a point with its interval on a scale from 0 to 1, as high as a line of text."""
    low, point, high = (4 + 112 * each for each in (interval[0], value, interval[1]))
    return (
        '<svg class="whisker" viewBox="0 0 120 16" aria-hidden="true">'
        '<path class="grid" d="M4 8H116M4 4V12M60 4V12M116 4V12"/>'
        f'<path class="line kept" d="M{low:.1f} 8H{high:.1f}"/>'
        f'<circle cx="{point:.1f}" cy="8" r="3.5"/></svg>'
    )


def percents() -> dict[float, str]:
    """Returns ticks of an axis from 0 to 1."""
    return {value / 4: f"{25 * value} %" for value in range(5)}


def _rounded(low: float, high: float, step: float, form: str) -> dict[float, str]:
    values = np.round(np.arange(low, high + step / 2, step), 6).tolist()
    return {value: form.format(value) for value in values if value <= high + 1e-9}


def _path(curve: Line, x: Axis, y: Axis) -> str:
    across = _LEFT + x.share(curve.x) * (_WIDTH - _LEFT - _RIGHT)
    up = _HEIGHT - _BOTTOM - y.share(curve.y) * (_HEIGHT - _TOP - _BOTTOM)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up, strict=True))


def _framed(about: str, drawn: str, x: Axis, y: Axis) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    grid, words = "", ""
    for value, label in y.ticks.items():
        at = bottom - float(y.share(np.array(value))) * (bottom - _TOP)
        grid += f"M{_LEFT} {at:.1f}H{right}"
        words += f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text(label)}</text>'
    for value, label in x.ticks.items():
        at = _LEFT + float(x.share(np.array(value))) * (right - _LEFT)
        grid += f"M{at:.1f} {bottom}v4"
        words += f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{text(label)}</text>'
    words += (
        f'<text class="axis" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">'
        f"{text(x.title)}</text>"
    )
    label = f"{about}; up: {y.title}, across: {x.title}"
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{text(label)}"><path class="grid" d="{grid}"/>{drawn}{words}</svg>'
    )


def _legend(titles: Mapping[str, str]) -> str:
    keys = "".join(
        f'<span><i class="{kind}"></i>{text(title)}</span>' for kind, title in titles.items()
    )
    return f'<p class="legend">{keys}</p>'
