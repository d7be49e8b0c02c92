"""The table over seeds: its rows, its paired differences, and runs that are finished already."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest

from arn_tf import ablate, evaluate, recipes, train
from arn_tf.ranking import intervals, protocol
from arn_tf.ranking import scores as ranking_scores
from arn_tf.run.folder import RunDir
from arn_tf.strong import evaluate as strong_evaluate
from tests.support import small_data

QUERIES = 12


def ranked(seed, gain=0.0):
    """A ranking of 12 queries among 60 pictures of 6 persons, the better the larger `gain`."""
    random = np.random.default_rng(seed)
    query, gallery = np.arange(QUERIES) % 6 + 1, np.arange(60) % 6 + 1
    persons = np.random.default_rng(100).normal(size=(7, 16))
    return protocol.rank_gallery(
        random.normal(size=(QUERIES, 16)) + gain * persons[query],
        random.normal(size=(60, 16)) + gain * persons[gallery],
        query, gallery, np.ones(QUERIES, np.int64), np.full(60, 2),
    )  # fmt: skip


def of_all_rows(seeds=2):
    names = ["full ARN", "w/o E_S, E_T", "w/o L_ctrs, L_class", "w/o L_ctrs, L_class, E_S, E_T",
             evaluate.UNTRAINED, evaluate.SOURCE_ONLY_TARGET_STATISTICS]  # fmt: skip
    return {
        name: [ranked(10 * i + seed, 0.2 * i) for seed in range(seeds)]
        for i, name in enumerate(names)
    }


def test_baselines_come_first_and_then_the_papers_order():
    rows = ablate.summary(of_all_rows())
    assert [name for name, _ in rows] == [
        evaluate.UNTRAINED, evaluate.SOURCE_ONLY_TARGET_STATISTICS,
        "w/o L_ctrs, L_class, E_S, E_T", "w/o L_ctrs, L_class", "w/o E_S, E_T", "full ARN",
    ]  # fmt: skip
    for name, metrics in rows:
        assert metrics == ranking_scores.metrics(of_all_rows()[name])


def test_a_row_that_some_seeds_lack_says_so():
    scores = {"one": [ranked(0), ranked(1)], "other": [ranked(2)]}
    assert [name for name, _ in ablate.summary(scores)] == ["one", "other (1 of 2)"]


def test_paired_differences_of_the_papers_rows():
    scores = of_all_rows()
    found = ablate.differences(scores)
    assert set(found) == {
        "full ARN less source only, target statistics", "full ARN less w/o E_S, E_T",
    }  # fmt: skip
    for name, value in found.items():
        per_query = [
            np.mean([each.average_precision for each in scores[row]], axis=0)
            for row in name.split(" less ")
        ]
        assert value == intervals.difference(*per_query)
    assert found["full ARN less w/o E_S, E_T"][0] < 0  # gains are 0 and 0.2


def test_paired_differences_of_the_strong_recipe():
    rows = (strong_evaluate.SOURCE_ONLY, strong_evaluate.SOURCE_ONLY_CAMERAS,
            strong_evaluate.ADAPTED_CAMERAS, strong_evaluate.ADAPTED_RERANKED)  # fmt: skip
    scores = {name: [ranked(0, gain), ranked(1, gain)] for gain, name in enumerate(rows)}
    assert list(ablate.differences(scores)) == [
        f"{rows[1]} less {rows[0]}", f"{rows[2]} less {rows[1]}", f"{rows[3]} less {rows[2]}",
    ]  # fmt: skip
    # Of a stage chosen by labels the name says so.
    scores[f"ORACLE: {rows[2]}"] = scores.pop(rows[2])
    assert f"ORACLE: {rows[2]} less {rows[1]}" in ablate.differences(scores)
    scores[rows[2]] = scores.pop(f"ORACLE: {rows[2]}")
    # Where one seed stopped before self-training there are no pairs.
    scores[rows[2]].pop()
    assert list(ablate.differences(scores)) == [f"{rows[1]} less {rows[0]}"]
    assert list(ablate._left_out(scores)) == [
        f"{rows[2]} less {rows[1]}", f"{rows[3]} less {rows[2]}",
    ]  # fmt: skip


def test_what_is_printed_and_saved(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "a table"
    folder.mkdir()
    scores = of_all_rows()
    notes = ["seed 0, strong: kept as it was"]
    monkeypatch.setattr(ablate, "ablate", lambda settings, seeds: (scores, notes))
    monkeypatch.setattr(ablate.presets, "from_flags", lambda: small_data.settings(folder))
    monkeypatch.setattr(ablate.flags, "FLAGS", types.SimpleNamespace(seeds=2))
    monkeypatch.setattr(sys, "argv", ["ablate", "--seeds=2", f"--model_dir={folder}"])
    ablate.main()
    text = (folder / "table.md").read_text()
    assert text in capsys.readouterr().out + "\n"
    assert "market to duke, in percent, mean ± deviation of 2 seeds" in text
    assert ranking_scores.table(ablate.summary(scores)) in text
    # As a shell takes it.
    command = f"python -m arn_tf.ablate --seeds=2 '--model_dir={folder}'"
    assert f"Made by `{command}`" in text
    record = json.loads((folder / "table.json").read_text())
    assert record["command"] == command
    assert record["notes"] == notes
    assert notes[0] in text
    assert record["settings"]["target"] == "duke"
    assert list(record["rows"]) == [name for name, _ in ablate.summary(scores)]
    low, high = record["rows"]["full ARN"]["mean_ap_interval"]
    assert low < record["rows"]["full ARN"]["mean_ap"][0] < high
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text
    assert len(record["seeds"]["full ARN"]) == 2
    mean, (low, high) = record["differences"]["full ARN less w/o E_S, E_T"]
    assert f"* full ARN less w/o E_S, E_T: {100 * mean:+.1f} [{100 * low:+.1f}, " in text
    assert low < mean < high


def test_a_finished_run_is_only_scored(monkeypatch, paper_run):
    settings = recipes.settings_of(paper_run)

    def refuse(_):
        raise AssertionError("this would train")

    monkeypatch.setitem(train.OF_PRESET, "paper", refuse)
    results, notes = ablate._train_and_score(settings)
    assert notes == []
    assert list(results)[-1] == evaluate.ARN_ROW
    assert results[evaluate.ARN_ROW].valid_queries == 8
    for changed in (
        dataclasses.replace(settings, margin=0.5),
        dataclasses.replace(settings, model_dir=f"{paper_run.path}_not_there"),
    ):
        assert not ablate._is_finished(RunDir(changed.run_dir), changed)
        with pytest.raises(AssertionError, match="would train"):
            ablate._train_and_score(changed)
