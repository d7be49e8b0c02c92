"""Every benchmark in one go: what runs, what fails, what is left out."""

import subprocess
import sys

import pytest

from benchmarks import __main__ as bench
from benchmarks import inputs, programs, report
from benchmarks.programs import PROGRAMS, Program
from tests.support.places import ROOT

GOOD = """
import argparse
from benchmarks import report
parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int)
report.add_flag(parser)
given = parser.parse_args()
found = report.Report(("size", "CPU s"), [(10**row, 1.5) for row in range(given.rows)])
report.finish(found, report.machine(), given.json)
"""
# As one that measures, and then finds that what it measured was wrong.
BAD = GOOD + "\nfor line in range(40): print('line', line)\nraise SystemExit(1)\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The folder to run in, with programs of its own."""
    folder = tmp_path / "stand_ins"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    return tmp_path


def test_each_prints_its_table_and_leaves_a_report(place, capsys):
    chosen = {
        "two": Program("stand_ins.good", ("--rows=2",)),
        "three": Program("stand_ins.good", ("--rows=3",)),
    }
    assert bench.main(chosen) == 0
    printed = capsys.readouterr().out
    assert "== two: python -m stand_ins.good --rows=2 --json=runs/bench/two.json\n" in printed
    assert printed.count("| 10 | 1.50 |") == 2 and printed.count("| 100 | 1.50 |") == 1
    assert "2 reports in runs/bench" in printed and "make speed" in printed
    found, machine, command = report.read(place / "runs" / "bench" / "three.json")
    assert found.rows == [[1, 1.5], [10, 1.5], [100, 1.5]]
    assert command.startswith("python -m stand_ins.good --rows=3") and machine["cores"]


def test_one_that_fails_is_told_and_leaves_no_report(place, capsys):
    kept = place / "runs" / "bench" / "bad.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("of an earlier call")
    chosen = {
        "bad": Program("stand_ins.bad", ("--rows=1",)),
        "none": Program("stand_ins.nowhere"),
        "good": Program("stand_ins.good", ("--rows=1",)),
    }
    assert bench.main(chosen) == 1
    printed = capsys.readouterr().out
    assert "   line 39\n" in printed and "line 24\n" not in printed
    assert "No module named stand_ins.nowhere" in printed
    assert "== failed: bad, none\n" in printed and "1 reports" in printed
    assert not kept.exists() and (kept.parent / "good.json").exists()
    assert "line 0\n" in (kept.parent / "bad.log").read_text()


def test_what_lacks_a_package_or_pytorch_is_told(capsys):
    chosen = {
        "left": Program("stand_ins.bad", package="no_such_package"),
        "alone": Program("stand_ins.good", ("--rows=1",), without="PyTorch: name one"),
    }
    assert bench.main(chosen) == 0
    printed = capsys.readouterr().out
    assert "== left was left out: no_such_package isn't installed\n" in printed
    assert "== alone ran without PyTorch: name one\n" in printed


def test_without_inputs_what_reads_them_fails_and_the_others_go_on(place, monkeypatch, capsys):
    lines = [["stand_ins.good", "--rows=1"], ["stand_ins.bad", "--rows=1"], ["stand_ins.good"]]
    monkeypatch.setattr(inputs, "commands", lambda pictures: lines)
    chosen = {
        "served": Program("stand_ins.good", ("--rows=1",), reads_inputs=True),
        "other": Program("stand_ins.good", ("--rows=1",)),
    }
    assert bench.main(chosen) == 1
    printed = capsys.readouterr().out
    assert "== served failed: there is nothing to measure on" in printed
    assert "== failed: served\n" in printed and "inputs3" not in printed
    assert (place / "runs" / "bench" / "other.json").exists()


def test_a_folder_that_cannot_be_made(place):
    (place / "runs").write_text("a file")
    with pytest.raises(SystemExit, match="runs/bench: "):
        bench.main({})


def test_every_program_is_there_and_takes_what_it_is_given():
    for name, program in PROGRAMS.items():
        text = ROOT.joinpath(*program.module.split(".")).with_suffix(".py").read_text()
        for flag in program.flags:
            if flag.startswith("--"):
                assert f'"{flag.partition("=")[0]}' in text, name
    measured = {program.module for program in PROGRAMS.values()}
    assert {
        f"benchmarks.{path.stem}"
        for path in (ROOT / "benchmarks").glob("*.py")
        if "add_flag(parser)" in path.read_text() and path.stem != "report"
    } <= measured


def test_pytorch_is_handed_on():
    found = programs.chosen(["steps", "beside_torch"], "other/bin/python")
    assert list(found) == ["steps", "beside_torch"]
    assert found["beside_torch"].flags == ("--torch=other/bin/python",)
    assert not found["beside_torch"].without
    assert "TORCH" in programs.chosen(["beside_torch"], None)["beside_torch"].without


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--only=ranking,nonsense", "'nonsense' is none of client, "),
        ("--pictures=nowhere", "'nowhere' is no folder"),
        ("--torch=nowhere", "nowhere: No such file"),
        ("--torch=false", "false is no Python that has torch"),
    ],
)
def test_flags_are_checked(flag, message):
    line = [sys.executable, "-m", "benchmarks", flag]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
