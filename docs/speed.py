"""Writes the tables of docs/speed.md from docs/speed.json: `python -m docs.speed [FOLDER]`.

Reports of a folder, as `make bench` leaves them in runs/bench, are taken into docs/speed.json
first; those of programs that it hasn't stay as they are. In the page a table stands between
<!-- NAME --> and <!-- end -->; what stands there without a report stays, too. Where other work
kept the machine busy, columns of the clock are left out: they would say little.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import shlex
from collections.abc import Mapping
from typing import Any

from benchmarks import report

DOCS = pathlib.Path(__file__).parent
PAGE, KEPT = DOCS / "speed.md", DOCS / "speed.json"
# Cores of other work: more than what a system does for itself.
_QUIET = 0.1
# {report: [(chart that docs/speed_figures.py draws from it, what it shows)]}
_CHARTS = {
    "steps": [("training_steps", "Pictures a CPU second of a step: tuned, frozen and cached")],
    "serving": [("serving", "Pictures a CPU second of the bare export and the server")],
    "gallery_ranking": [
        ("ranking_seconds", "CPU seconds of ranking over the size of the gallery, and the product"),
        ("ranking_memory", "Peak memory of ranking over the size of the gallery"),
    ],
    "gallery_graph": [
        ("graph_seconds", "CPU seconds of the clustering graph over the pictures, and the product"),
        ("graph_memory", "Peak memory of the clustering graph over the pictures"),
    ],
}
_PLACE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def main(folder: str | None) -> None:
    """Takes a folder's reports, if one is named, and writes the page.

    Raises:
        SystemExit: the folder has none, or one can't be read or has no place in the page.
    """
    page, kept = PAGE.read_text(encoding="utf-8"), _read(KEPT)
    places = [match[1] for match in _PLACE.finditer(page)]
    if folder is not None:
        found = {path.stem: _read(path) for path in sorted(pathlib.Path(folder).glob("*.json"))}
        if not found:
            raise SystemExit(f"{folder} has no reports: make bench")
        if unknown := sorted(found.keys() - places):
            raise SystemExit(f"{PAGE} has no place for {', '.join(unknown)}: <!-- NAME -->")
        kept = {name: (kept | found)[name] for name in places if name in kept | found}
    written = _PLACE.sub(
        lambda match: _block(match[1], kept[match[1]]) if match[1] in kept else match[0], page
    )
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(written, encoding="utf-8")
    print(f"{KEPT}: {len(kept)} reports, {len(places)} tables in {PAGE}")


def _read(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} can't be read: {error}") from error


def _block(name: str, kept: Mapping[str, Any]) -> str:
    """Returns the lines of a report in the page, from one marker to the other."""
    try:
        found, machine, command = report.loaded(kept)
    except (KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{name} is no report of a benchmark: {error!r}") from error
    others = machine.get(report.OTHER_WORK)
    busy = others is None or others > _QUIET
    if busy:
        found = _without_clock(found)
    words = [word for word in shlex.split(command) if not word.startswith("--json")]
    charts = [f"![{shown}](images/{chart}.svg)" for chart, shown in _CHARTS.get(name, ())]
    lines = [
        f"<!-- {name} -->",
        "",
        *(charts and [*charts, ""]),
        report.markdown(found),
        "",
        f"`{shlex.join(words)}`, {_told(machine)}",
        "",
        "<!-- end -->",
    ]
    return "\n".join(lines)


def _without_clock(found: report.Report) -> report.Report:
    """Returns a report without its columns that name the clock."""
    places = [place for place, name in enumerate(found.columns) if "clock" not in name]
    return dataclasses.replace(
        found,
        columns=[found.columns[place] for place in places],
        rows=[[row[place] for place in places] for row in found.rows],
    )


def _told(machine: Mapping[str, str | int | float]) -> str:
    """Returns a line about the machine."""
    others = machine.get(report.OTHER_WORK)
    text = (
        f"on {machine['cores']} cores of {machine['processor']}, {machine['memory GiB']} GiB, "
        f"Python {machine['python']}"
    )
    text += "".join(
        f", {name} {machine[name]}" for name in ("tensorflow", "openvino") if name in machine
    )
    if others is None:
        return f"{text}. How busy other work kept it isn't known; times of the clock are left out."
    if others > _QUIET:
        return f"{text}. Other work kept {others:.1f} cores busy; times of the clock are left out."
    return f"{text}. Nothing else ran."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="whose reports are taken first")
    main(parser.parse_args().folder)
