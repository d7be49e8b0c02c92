"""The section on the user's pairs of pictures: the ROC curve, thresholds, pairs of cameras."""

import numpy as np

from arn_tf.ranking.pair_scores import LEAST_OTHER, LEAST_SAME, CameraPair, PairScores
from arn_tf.ranking.verification import Verification
from arn_tf.report import charts, html

_POINTS = 200
# Pairs of cameras beyond which the rest is in results.json alone.
_MOST_CAMERAS = 100


def pairs(found: PairScores) -> str:
    """Returns the section on pairs of pictures."""
    counts = found.scores
    words = (
        f"{counts.same:,} pairs of one person, {counts.other:,} of different ones. Area under the "
        f"curve: {counts.auc:.4f}. A pair is accepted where its cosine similarity reaches the "
        "threshold; in brackets, where 95 % of the thresholds would lie with other pairs of "
        "different persons (bootstrap). Pairs that share a picture count as independent, so these "
        "intervals are rather too narrow. Bold: the rate that was asked for."
    )
    lines = []
    for rate, operation in found.operations.items():
        cells = [f"{rate:g}", "too few pairs", "–"]
        if operation:
            low, high = operation.interval
            cells[1] = html.percent(operation.true_accepts)
            cells[2] = f"{operation.threshold:.4f} <small>[{low:.4f}, {high:.4f}]</small>"
        lines.append((' class="kept"' if rate == found.wanted else "", cells))
    header = ["false-accept rate", "true accepts, %", "threshold"]
    table = html.table(header, lines)
    notes = html.listed(f"{each[:1].upper()}{each[1:]}." for each in found.lacking() + found.notes)
    two = f'<div class="two"><div>{_roc(counts)}</div><div>{table}{notes}</div></div>'
    return html.section("Pairs of pictures", html.paragraph(words), two, _cameras(found))


def curve(scores: Verification) -> tuple[np.ndarray, np.ndarray]:
    """Returns points of the ROC curve at false-accept rates that are equal ratios apart.

    Args:
        scores: of pairs.

    Returns:
        rates from one over the number of pairs of different persons to 1, float64 [200], and the
        highest true-accept rate at no more than each, float64 [200].
    """
    rates = np.geomspace(1 / scores.other, 1, _POINTS)
    # The last point of the curve that isn't beyond a rate; rounding aside.
    places = np.searchsorted(scores.false_accepts, rates * (1 + 1e-9), "right") - 1
    return rates, scores.true_accepts[places]


def _roc(scores: Verification) -> str:
    rates, accepted = curve(scores)
    # One pair of different persons has no lower rate than 1.
    low = min(1 / scores.other, 0.1)
    exponents = range(int(np.ceil(np.log10(low) - 1e-9)), 1)
    ticks = {10.0**exponent: f"{10.0**exponent:g}" for exponent in exponents}
    x = charts.Axis("false-accept rate", low, 1, ticks, logarithmic=True)
    y = charts.Axis("true-accept rate", 0, 1, charts.percents())
    line = charts.Line("all pairs", rates, accepted, "kept")
    return f"<h3>ROC</h3>{charts.lines('ROC curve of pairs', [line], x, y)}"


def _cameras(found: PairScores) -> str:
    words = (
        f"Shares at the threshold of all pairs for a false-accept rate of {found.wanted:g}; a "
        "camera pair whose false accepts are far from it needs a threshold of its own. Left out: "
        f"{found.left_out} pairs of cameras with fewer than {LEAST_OTHER} pairs of different "
        f"persons or {LEAST_SAME} of one."
    )
    if not found.cameras:
        return html.paragraph(words) if found.left_out else ""
    shown = found.cameras
    if len(shown) > _MOST_CAMERAS:
        most = sorted(shown, key=lambda each: -each.scores.other)[:_MOST_CAMERAS]
        shown = [each for each in shown if each in most]
        words += f" Here are the {len(shown)} of {len(found.cameras)} with most pairs."
    header = ["cameras", "same", "different", "AUC", "false accepts, %", "true accepts, %"]
    table = html.table([*header, "own threshold"], [("", _line(each)) for each in shown])
    return f"<h3>From camera to camera</h3>{html.paragraph(words)}{table}"


def _line(pair: CameraPair) -> list[str]:
    rates = [
        "–" if rate is None else html.percent(rate)
        for rate in (pair.false_accepts, pair.true_accepts)
    ]
    return [
        html.name(pair.title),
        f"{pair.scores.same:,}",
        f"{pair.scores.other:,}",
        f"{pair.scores.auc:.3f}",
        *rates,
        "–" if pair.own is None else f"{pair.own.threshold:.4f}",
    ]
