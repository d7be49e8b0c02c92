"""Tests of what benchmarks print and keep."""

import subprocess
import sys

import pytest

from benchmarks import report
from benchmarks.report import Report, Target
from tests.support.places import ROOT

FOUND = Report(
    ("gallery", "s", "MiB", "ratio"),
    [("10,000", 0.126, 1536.4, 12.34), ("100,000", 1.5, None, 100)],
    ["Seconds are of the CPU."],
    [
        Target("ranking to the product", 1.5, 1.4, at_most=True),
        Target("pictures a second", 0.95, 0.94),
    ],
)


def test_a_table_its_notes_and_its_targets():
    assert report.markdown(FOUND).splitlines() == [
        "| gallery | s | MiB | ratio |",
        "|---|---:|---:|---:|",
        "| 10,000 | 0.13 | 1,536 | 12.3 |",
        "| 100,000 | 1.50 |  | 100 |",
        "",
        "Seconds are of the CPU.",
        "",
        "| target | wanted | found | |",
        "|---|---:|---:|---|",
        "| ranking to the product | at most 1.50 | 1.40 | reached |",
        "| pictures a second | at least 0.95 | 0.94 | missed |",
    ]


def test_a_row_with_a_cell_too_few():
    with pytest.raises(ValueError, match="1 cells"):
        Report(("gallery", "s"), [("10,000",)])


def test_kept_as_it_was_with_the_machine_and_the_command(tmp_path):
    program = tmp_path / "programs"
    program.mkdir()
    (program / "__init__.py").touch()
    (program / "one.py").write_text(
        "import argparse\n"
        "from benchmarks import report\n"
        "from tests.benchmarks.report_test import FOUND\n"
        "parser = argparse.ArgumentParser()\n"
        "report.add_flag(parser)\n"
        "report.finish(FOUND, report.machine(), parser.parse_args().json)\n"
    )
    path = tmp_path / "a file.json"
    line = [sys.executable, "-m", "programs.one", "--json", str(path)]
    found = subprocess.run(
        line,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout == report.markdown(FOUND) + "\n"
    again, machine, command = report.read(path)
    assert report.markdown(again) == report.markdown(FOUND)
    assert command == f"python -m programs.one --json '{path}'"
    assert machine["cores"] >= 1 and machine["memory GiB"] >= 1
    assert machine[report.OTHER_WORK] >= 0 and machine["tensorflow"]
    assert machine["processor"].rpartition(", ")[2] in ("avx512f", "avx2", "avx", "no AVX")


def test_a_file_that_cannot_be_written(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"--json=.*: No such file"):
        report.finish(FOUND, report.machine(), str(tmp_path / "gone" / "a.json"))
    assert "| 10,000 |" in capsys.readouterr().out  # what was measured isn't lost
