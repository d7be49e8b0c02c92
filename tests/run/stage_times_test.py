"""How long stages took: what adds up, what was killed, what is told."""

import json
import os
import types

import pytest

from arn_tf.run import stage_times
from arn_tf.run.folder import RunDir


@pytest.fixture
def clock(monkeypatch):
    """Seconds on the clock and of CPUs, which a test moves."""
    now = types.SimpleNamespace(wall=1000.0, cpu=50.0)
    monkeypatch.setattr(stage_times.time, "monotonic", lambda: now.wall)
    monkeypatch.setattr(stage_times, "_cpu_seconds", lambda: now.cpu)
    return now


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path))


def kept(run):
    with open(run.file("times.json")) as file:
        return json.load(file)


def spend(clock, wall, cpu):
    clock.wall += wall
    clock.cpu += cpu


def test_seconds_of_stages(run, clock):
    with stage_times.timed(run, "source"):
        spend(clock, 90, 150)
    spend(clock, 1000, 1000)  # of nothing that is timed
    with stage_times.timed(run, "round 1"):
        spend(clock, 30, 60)
    assert kept(run) == {
        "source": {"wall_s": 90, "cpu_s": 150, "attempts": 1, "measured": 1},
        "round 1": {"wall_s": 30, "cpu_s": 60, "attempts": 1, "measured": 1},
    }
    assert stage_times.told(run) == [
        "minutes (of CPUs): source 1.5 (2.5), round 1 0.5 (1.0); together 2.0 (3.5)"
    ]


def test_what_stopped_and_went_on_adds_up(run, clock):
    with pytest.raises(KeyboardInterrupt), stage_times.timed(run, "source"):
        spend(clock, 60, 60)
        raise KeyboardInterrupt
    with stage_times.timed(run, "source"):
        spend(clock, 120, 180)
    assert kept(run)["source"] == {"wall_s": 180, "cpu_s": 240, "attempts": 2, "measured": 2}
    assert stage_times.told(run) == [
        "minutes (of CPUs): source 3.0 (4.0) in 2 attempts; together 3.0 (4.0)"
    ]


def test_an_attempt_that_was_killed_is_said(run, clock):
    killed = stage_times.timed(run, "round 1")
    killed.__enter__()  # and never left
    assert kept(run)["round 1"] == {"wall_s": 0, "cpu_s": 0, "attempts": 1, "measured": 0}
    with stage_times.timed(run, "round 1"):
        spend(clock, 60, 120)
    [told] = stage_times.told(run)
    assert "round 1 1.0 (2.0) without 1 of 2 attempts, which were killed" in told


def test_a_file_that_is_lost_while_a_stage_runs(run, clock):
    with stage_times.timed(run, "round 1"):
        spend(clock, 60, 120)
        os.remove(run.file("times.json"))
    assert stage_times.told(run) == ["minutes (of CPUs): round 1 1.0 (2.0); together 1.0 (2.0)"]


def test_nothing_is_told_of_a_run_that_kept_no_times(run):
    assert stage_times.told(run) == []
    with open(run.file("times.json"), "w") as file:
        file.write("[half a")
    assert stage_times.told(run) == []


def test_a_file_that_cannot_be_written_ends_no_training(run, clock, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage_times, "replace_text", refuse)
    with stage_times.timed(run, "source"):
        spend(clock, 1, 1)
    assert "times.json can't be written (No space left on device)" in capsys.readouterr().out


def test_cpu_seconds_are_those_of_the_process():
    before = stage_times._cpu_seconds()
    assert sum(range(3_000_000)) > 0
    assert stage_times._cpu_seconds() >= before > 0
