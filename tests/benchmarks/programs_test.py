"""The programs that measure: their flags, and the arithmetic of their tables."""

import math
import sys

import pytest

from benchmarks import beside_torch, children, other_work, step_costs, turns
from tests.support.program import Program

EXPORT = ["--model_dir=.", "--pictures=."]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["beside_torch", "--rounds=0"], "'0' is no whole number from 1"),
        (["beside_torch", "--kinds", "nonsense"], "invalid choice"),
        (["camera_batches", "--json=nowhere/a.json"], "'nowhere/a.json' can't be written"),
        (["camera_batches", "Nonsense"], "Nonsense"),
        (["client", "--json=."], "'.' can't be written"),
        (["embedding_job", "--model=.", "--pictures=nowhere"], "'nowhere' is no folder"),
        (["embedding_job", "--model=nowhere", "--pictures=."], "nowhere"),
        (["embedding_job", *EXPORT, "--dtype=int"], "invalid choice"),
        (["first_step", "--pictures=1.5"], "'1.5' is no whole number from 1"),
        (["first_step", "--input_size=128"], "'128' is no HEIGHTxWIDTH"),
        (["first_step", "--folder=nowhere"], "'nowhere' is no folder"),
        (["inspect", "--pictures=many"], "'many' is no whole number from 1"),
        (["runtimes", "--exports", "nowhere/1"], "--exports and --pictures are needed"),
        (["runtimes", "--exports", "nowhere/1", "--pictures=."], "--exports: nowhere/1/"),
        (["serving", "--model_dir=.", "--pictures=nowhere"], "'nowhere' is no folder"),
        (["serving", *EXPORT], "--pictures"),
        (["soak", *EXPORT, "--minutes=0.5"], "'0.5' is no whole number from 1"),
        (["soak", *EXPORT], "--pictures"),
        (["steps", "Nonsense"], "Nonsense"),
        (["strong_steps", "Nonsense"], "Nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_values_are_told(line, message, tmp_path):
    program = Program([sys.executable, "-m", f"benchmarks.{line[0]}", *line[1:]], tmp_path)
    out, err = program.communicate(timeout=120)
    assert program.returncode and message in out + err
    assert "Traceback" not in err


def test_the_cells_of_a_step():
    found = {"cpu_seconds": 0.5, "seconds": 0.25, "multiply_adds": 4e9, "matrix_rate": 2e10}
    found["peak_mib"] = 100.0
    cells = dict(zip(step_costs.COLUMNS, step_costs.cells(found, 64), strict=True))
    assert cells == {
        "% of the bound, CPU": pytest.approx(40),  # 0.2 s of 0.5
        "pictures/CPU s": pytest.approx(128),
        "CPU ms": pytest.approx(500),
        "bound, CPU ms": pytest.approx(200),
        "clock ms": pytest.approx(250),
        "pictures/s of the clock": pytest.approx(256),
        "G multiply-adds": pytest.approx(4),
        "peak MiB": 100,
    }


def test_shares_are_taken_within_a_round():
    def answers(*cpu):
        rest = {"seconds": 2.0, "kernel_seconds": 0.5, "page_faults": 8, "peak_mib": 10.0}
        return [rest | {"cpu_seconds": each} for each in cpu]

    found = {"Keras step": answers(1.0, 4.0, 2.0), "self-training": answers(3.0, 3.0, 3.0)}
    row = dict(zip(beside_torch.COLUMNS, beside_torch.row("self-training", found), strict=True))
    # 32 pictures x 4 steps beside 64 x 3: 128 / (1, 4, 2) and 192 / 3 pictures a second.
    assert row["times the rate, CPU"] == pytest.approx(64 / 64)
    assert row["of"] == "Keras step"
    assert row["pictures/CPU s"] == pytest.approx(64)
    assert row["pictures/s of the clock"] == pytest.approx(96)
    assert row["kernel, % of CPU"] == pytest.approx(100 / 6)
    assert row["page faults a step"] == 3
    found["torch step"] = answers(2.0, 2.0, 1.0)
    row = dict(zip(beside_torch.COLUMNS, beside_torch.row("self-training", found), strict=True))
    assert row["of"] == "torch step" and row["times the rate, CPU"] == pytest.approx(1)
    assert beside_torch.row("torch step", found)[1:3] == [None, None]


def test_other_work_is_what_neither_this_process_nor_its_children_did(monkeypatch):
    # Clock, all of the CPU, this process.
    times = iter([(10.0, 100.0, 5.0), *[(20.0, 115.0, 8.0)] * 2, (30.0, 101.0, 9.0)])
    monkeypatch.setattr(other_work, "_now", lambda: next(times))
    others = other_work.OtherWork()
    assert others.cores() == pytest.approx(1.2)
    assert others.cores(unwaited=5) == pytest.approx(0.7)
    assert others.cores() == 0  # ticks are rounded


def test_other_work_is_read_from_the_system():
    assert math.isfinite(other_work.OtherWork().cores())


def test_a_program_that_ends_in_its_turn_is_told(tmp_path):
    line = [sys.executable, "-c", "print('ready'); input()"]
    with pytest.raises(SystemExit, match=r"this one: .* ended"):
        turns.take({"this one": line}, {"this one": 1}, 1, str(tmp_path))
    with pytest.raises(SystemExit, match=r"this one: .* ended"):
        turns.take({"this one": [sys.executable, "-c", ""]}, {"this one": 1}, 1, str(tmp_path))


def test_a_child_answers_in_its_last_line(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text("import sys\nprint('noise')\nprint('[1, 2]')\nsys.exit(0)")
    (tmp_path / "worse.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert children.answer("child", []) == [1, 2]
    with pytest.raises(SystemExit, match="python -m worse 1 failed"):
        children.answer("worse", ["1"])
