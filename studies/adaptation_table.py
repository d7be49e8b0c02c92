"""The table of `studies.adaptation`, as Markdown."""

import itertools
from collections.abc import Sequence

import numpy as np

from arn_tf.ranking import intervals

START = "calibrated"


def report(figures: Sequence[dict]) -> str:
    """Returns a table for each run as Markdown, over the seeds of each row.

    Args:
        figures: as `measured` returns them.
    """
    lines = []
    rows = dict.fromkeys([START, *(each["row"] for each in figures)])
    for run in dict.fromkeys(each["run"] for each in figures):
        own = [each for each in figures if each["run"] == run]
        lines += [
            f"{run}:",
            "",
            "| row | seeds | rank-1 | mAP | less calibrated | CPU minutes | mAP after each round |",
            "|---|---|---|---|---|---|---|",
        ]
        [start] = [np.array(each["mean_ap"]) for each in own if each["row"] == START]
        for row in rows:
            found = [each for each in own if each["row"] == row]
            if not found:
                continue
            precision = np.array([each["mean_ap"] for each in found])
            cells = [row, str(len(found))]
            for name in ("rank-1", "mean_ap"):
                means = [100 * np.mean(each[name]) for each in found]
                spread = f" ± {np.std(means, ddof=1):.1f}" if len(found) > 1 else ""
                cells.append(f"{np.mean(means):.1f}{spread}")
            if row == START:
                cells += ["", "", ""]
            else:
                before = np.broadcast_to(start, precision.shape)
                mean, (low, high) = intervals.difference(precision, before)
                cells.append(f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]")
                spent = [each["cpu_seconds"][-1] / 60 for each in found if each["cpu_seconds"]]
                cells.append(f"{np.mean(spent):.1f}" if spent else "no round")
                after = itertools.zip_longest(*(each["after_rounds"] for each in found))
                cells.append(", ".join(_mean(values) for values in after))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _mean(values: Sequence[float | None]) -> str:
    """Returns the mean of what is there, in percent."""
    return f"{100 * np.mean([value for value in values if value is not None]):.1f}"
