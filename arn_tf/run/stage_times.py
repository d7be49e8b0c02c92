"""How long the stages of a run took: seconds on the clock and of CPUs, in its times.json.

What is done again, after a stop or a failure, adds up. A process that is killed can't say how long
it took; then the number of attempts says that there is more.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator

from arn_tf.run.folder import RunDir
from datasets.files.atomic_files import replace_text

TIMES_FILE = "times.json"
# Of a stage: seconds on the clock, of all CPUs, attempts begun, and those whose time is in them.
_Times = dict[str, dict[str, float]]
_NONE = {"wall_s": 0.0, "cpu_s": 0.0, "attempts": 0, "measured": 0}


@contextlib.contextmanager
def timed(run: RunDir, stage: str) -> Iterator[None]:
    """Adds the time of the block to that of one of the run's stages, however it ends.

    Args:
        run: folder of the run.
        stage: its name, for the reader.
    """
    began = time.monotonic(), _cpu_seconds()
    _add(run, stage, attempts=1)
    try:
        yield
    finally:
        wall_s, cpu_s = time.monotonic() - began[0], _cpu_seconds() - began[1]
        _add(run, stage, wall_s=wall_s, cpu_s=cpu_s, measured=1)


def told(run: RunDir) -> list[str]:
    """Returns sentences on how long a run's stages took; none where nothing is known."""
    known = _known(run)
    parts = []
    for stage, entry in known.items():
        part = f"{stage} {_minutes(entry)}"
        attempts = int(entry["attempts"])
        # Fewer than none where the file was lost between an attempt's beginning and its end.
        killed = max(attempts - int(entry["measured"]), 0)
        if killed:
            part += f" without {killed} of {attempts} attempts, which were killed"
        elif attempts > 1:
            part += f" in {attempts} attempts"
        parts.append(part)
    if not parts:
        return []
    whole = {key: sum(entry[key] for entry in known.values()) for key in ("wall_s", "cpu_s")}
    return [f"minutes (of CPUs): {', '.join(parts)}; together {_minutes(whole)}"]


def _minutes(entry: dict[str, float]) -> str:
    return f"{entry['wall_s'] / 60:.1f} ({entry['cpu_s'] / 60:.1f})"


def _cpu_seconds() -> float:
    """Returns the seconds of this process, all its threads, and its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _known(run: RunDir) -> _Times:
    """Returns what times.json holds; nothing where it isn't there, or is damaged."""
    try:
        with open(run.file(TIMES_FILE), encoding="utf-8") as file:
            found = json.load(file)
        return {
            str(stage): {key: float(entry[key]) for key in _NONE} for stage, entry in found.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _add(run: RunDir, stage: str, **more: float) -> None:
    known = _known(run)
    entry = known.setdefault(stage, dict(_NONE))
    for key, value in more.items():
        entry[key] += value
    try:
        replace_text(run.file(TIMES_FILE), json.dumps(known, indent=2) + "\n")
    except OSError as error:
        # Nothing that was learnt depends on it.
        print(f"{run.file(TIMES_FILE)} can't be written ({error.strerror}): times are not kept")
