"""Times of pictures as tables and paths write them: seconds, or date and time by ISO 8601."""

import datetime
import math
from collections.abc import Sequence

import numpy as np


def seconds(text: str) -> float:
    """Returns a time in seconds; NaN where it is none.

    Without a zone all are taken for UTC: between times of one table only differences count.
    """
    try:
        number = float(text)
        return number if math.isfinite(number) else math.nan
    except ValueError:
        pass
    try:
        time = datetime.datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def of(texts: Sequence[str]) -> tuple[np.ndarray, str]:
    """Returns the times of pictures.

    Args:
        texts: N, empty where nothing is known.

    Returns:
        float64 [N], seconds, NaN where it is unknown; and a line for the user on texts that are no
        times, empty where there are none.
    """
    found, odd = np.full(len(texts), math.nan), []
    for row, text in enumerate(texts):
        if text:
            found[row] = seconds(text)
            if math.isnan(found[row]):
                odd.append(text)
    if not odd:
        return found, ""
    return found, (
        f"{len(odd)} times are no times, and count as unknown: {odd[0]!r}; give seconds, or a date "
        "and time such as 2026-11-28T18:40:00"
    )
