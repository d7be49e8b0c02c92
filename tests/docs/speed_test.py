"""docs/speed.md holds what is written from docs/speed.json, and the charts are drawn from it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.places import ROOT

KEPT = json.loads((ROOT / "docs" / "speed.json").read_text())
CHARTS = {
    "training_steps": "steps",
    "serving": "serving",
    "ranking_seconds": "gallery_ranking",
    "ranking_memory": "gallery_ranking",
    "graph_seconds": "gallery_graph",
    "graph_memory": "gallery_graph",
}
REPORT = {
    "command": "python -m benchmarks.steps --json=runs/bench/steps.json",
    "machine": {
        "processor": "A processor, avx2",
        "cores": 2,
        "memory GiB": 16,
        "python": "3.12.1",
        "tensorflow": "2.21.0",
        "cores that other work kept busy": 0.02,
    },
    "columns": ["step", "CPU ms", "clock ms"],
    "rows": [["tuned", 20.04, 10.5], ["cached", 4, None]],
    "notes": ["Medians."],
    "targets": [],
}
PAGE = """# Speed

Before.

<!-- steps -->

An old table.

<!-- end -->

Between.

<!-- serving -->

Measured by hand.

<!-- end -->

After.
"""


@pytest.fixture
def place(tmp_path):
    """A folder with docs/speed.py, a page and no report."""
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "speed.py", tmp_path / "docs")
    (tmp_path / "docs" / "speed.md").write_text(PAGE)
    (tmp_path / "docs" / "speed.json").write_text("{}")
    return tmp_path


def write(place, *arguments):
    """Runs it there; returns its status and what it told."""
    line = [sys.executable, "-m", "docs.speed", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def keep(place, **reports):
    (place / "reports").mkdir(exist_ok=True)
    for name, report in reports.items():
        (place / "reports" / f"{name}.json").write_text(json.dumps(report))


def test_the_page_is_what_is_written_from_the_reports(place):
    for name in ("speed.md", "speed.json"):
        shutil.copy(ROOT / "docs" / name, place / "docs")
    assert write(place)[0] == 0
    for name in ("speed.md", "speed.json"):
        assert (place / "docs" / name).read_bytes() == (ROOT / "docs" / name).read_bytes(), name


def test_the_charts_are_drawn_from_the_reports():
    drawn = {}
    for path in (ROOT / "docs" / "images").glob("*.svg"):
        if match := re.search("<dc:description>(.*?)</dc:description>", path.read_text()):
            drawn[path.stem] = json.loads(match[1].replace("&quot;", '"'))
    assert {name: found["report"] for name, found in drawn.items()} == {
        name: report for name, report in CHARTS.items() if report in KEPT
    }
    for name, found in drawn.items():
        report = KEPT[found["report"]]
        for column, values in found["columns"].items():
            cells = [row[report["columns"].index(column)] for row in report["rows"]]
            assert values == cells, f"{name}: make figures"


def test_a_table_between_its_markers(place):
    keep(place, steps=REPORT)
    assert write(place, "reports")[0] == 0
    written = (place / "docs" / "speed.md").read_text()
    old = "An old table.\n\n"
    table = (
        "![Pictures a CPU second of a step: tuned, frozen and cached]"
        "(images/training_steps.svg)\n\n"
        "| step | CPU ms | clock ms |\n|---|---:|---:|\n"
        "| tuned | 20.0 | 10.5 |\n| cached | 4 |  |\n\nMedians.\n\n"
        "`python -m benchmarks.steps`, on 2 cores of A processor, avx2, 16 GiB, Python 3.12.1, "
        "tensorflow 2.21.0. Nothing else ran.\n\n"
    )
    expected = PAGE.replace(old, table)
    assert written == expected
    assert json.loads((place / "docs" / "speed.json").read_text()) == {"steps": REPORT}
    assert write(place)[0] == 0
    assert (place / "docs" / "speed.md").read_text() == expected


def test_times_of_the_clock_are_left_out_where_other_work_ran(place):
    machine = REPORT["machine"] | {"cores that other work kept busy": 1.26}
    keep(place, steps=REPORT | {"machine": machine})
    assert write(place, "reports")[0] == 0
    written = (place / "docs" / "speed.md").read_text()
    assert "| step | CPU ms |\n|---|---:|\n| tuned | 20.0 |\n| cached | 4 |\n" in written
    assert "Other work kept 1.3 cores busy" in written
    del machine["cores that other work kept busy"]
    keep(place, steps=REPORT | {"machine": machine})
    assert write(place, "reports")[0] == 0
    assert "| step | CPU ms |\n" in (place / "docs" / "speed.md").read_text()


def test_reports_that_a_folder_lacks_stay(place):
    keep(place, steps=REPORT)
    write(place, "reports")
    (place / "reports" / "steps.json").unlink()
    keep(place, serving=REPORT | {"notes": ["Served."]})
    assert write(place, "reports")[0] == 0
    assert list(json.loads((place / "docs" / "speed.json").read_text())) == ["steps", "serving"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("other", json.dumps(REPORT), "has no place for other"),
        ("steps", "{", "steps.json can't be read"),
        ("steps", "[]", "steps is no report"),
        ("steps", json.dumps({"columns": []}), "steps is no report"),
    ],
)
def test_what_is_no_report(place, name, text, message):
    (place / "reports").mkdir()
    (place / "reports" / f"{name}.json").write_text(text)
    status, told = write(place, "reports")
    assert status == 1 and message in told
    assert (place / "docs" / "speed.md").read_text() == PAGE
    assert (place / "docs" / "speed.json").read_text() == "{}"


def test_a_folder_without_reports(place):
    status, told = write(place, "nowhere")
    assert status == 1 and "nowhere has no reports: make bench" in told
