"""Each row of a table over seeds has a process: what it is told, and how either of the two ends."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time
import types

from arn_tf import ablate
from arn_tf.paper import ablation as paper_ablation
from arn_tf.run.labelled import TARGETS_OWN, Labelled
from tests.support import small_data, small_rows
from tests.support.places import ROOT
from tests.support.user_errors import refused


def one_row(monkeypatch, function):
    """A table of one run, which another process makes by a function of `small_rows`."""
    monkeypatch.setattr(ablate, "_train_and_score", function)
    return dataclasses.replace(paper_ablation.ABLATION, runs=paper_ablation.ABLATION.runs[-1:])


def test_each_row_has_a_process_of_its_own(monkeypatch, tmp_path):
    ablation = one_row(monkeypatch, small_rows.scored)
    labelled = Labelled("searched/")
    found, notes = ablate.ablate(small_data.settings(tmp_path), ablation, 2, labelled)
    expected = [
        small_rows.scored(types.SimpleNamespace(seed=seed, model_dir=""), labelled)
        for seed in range(2)
    ]
    assert [each.mean_ap for each in found["full"].results] == [
        each["arn"].mean_ap for each in expected
    ]
    own = [re.fullmatch(r"seed \d, full ARN: process (\d+) of (\d+)", note) for note in notes[::3]]
    assert len({match[1] for match in own}) == 2
    assert {match[2] for match in own} == {str(os.getpid())}
    # Which would have written its notes.
    assert all(note.endswith("TensorFlow False") for note in notes[1::3])
    assert [note.split(": ")[1] for note in notes[2::3]] == [
        f"{tmp_path}/seed_{seed}/full searched/" for seed in range(2)
    ]


def test_a_process_that_is_killed_says_how_to_go_on(monkeypatch, tmp_path):
    ablation = one_row(monkeypatch, small_rows.killed)
    with refused(
        "row 'full ARN', seed 0, was killed, perhaps for want of memory. The same command"
    ):
        ablate.ablate(small_data.settings(tmp_path), ablation, 1, TARGETS_OWN)


ENDS_WITH_IT = """
import dataclasses, sys
from arn_tf import ablate
from arn_tf.paper import ablation
from arn_tf.run.labelled import Labelled
from tests.support import small_data, small_rows

ablate._train_and_score = small_rows.waiting
table = dataclasses.replace(ablation.ABLATION, runs=ablation.ABLATION.runs[-1:])
ablate.ablate(small_data.settings(sys.argv[1]), table, 1, Labelled())
"""


def test_a_rows_process_ends_with_the_tables(tmp_path):
    """Which would otherwise train on, and keep its folder locked."""
    file = tmp_path / "seed_0" / "full" / "process"
    with subprocess.Popen([sys.executable, "-c", ENDS_WITH_IT, tmp_path], cwd=ROOT) as table:
        try:
            wait_for(lambda: file.exists() and file.read_text())
        finally:
            table.kill()
    status = pathlib.Path("/proc", file.read_text(), "status")

    def ended():
        """Its new parent may not have asked how."""
        try:
            return "State:\tZ" in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_for(ended)


def wait_for(happens):
    """Waits until something is so."""
    deadline = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)
