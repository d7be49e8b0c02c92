"""The table over seeds: its rows, its paired differences, and runs that are finished already."""

import dataclasses
import itertools
import json
import os
import sys
import types

import absl.flags
import numpy as np
import pytest

from arn_tf import ablate, recipes
from arn_tf.errors import UserError
from arn_tf.paper import ablation as paper_ablation
from arn_tf.paper import evaluate as paper_evaluate
from arn_tf.paper import train as paper_train
from arn_tf.paper.settings import Settings
from arn_tf.ranking import intervals, protocol
from arn_tf.ranking import scores as ranking_scores
from arn_tf.ranking.evaluation import Evaluation, Row
from arn_tf.run import scored, seed_rows
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import TARGETS_OWN, Labelled
from arn_tf.strong import ablation as strong_ablation
from arn_tf.strong import evaluate as strong_evaluate
from tests.support import shared_folders, small_data, small_strong
from tests.support.user_errors import refused

QUERIES = 12


def ranked(seed, gain=0.0):
    """A ranking of 12 queries among 60 pictures of 6 persons, the better the larger `gain`."""
    random = np.random.default_rng(seed)
    query, gallery = np.arange(QUERIES) % 6 + 1, np.arange(60) % 6 + 1
    persons = np.random.default_rng(100).normal(size=(7, 16))
    return protocol.rank_gallery(
        random.normal(size=(QUERIES, 16)) + gain * persons[query],
        random.normal(size=(60, 16)) + gain * persons[gallery],
        query,
        gallery,
        np.ones(QUERIES, np.int64),
        np.full(60, 2),
    )


def small_flags(**given):
    """The table's own flags, as absl has them."""
    found = absl.flags.FlagValues()
    absl.flags.DEFINE_integer("seeds", 1, "", flag_values=found)
    for name in ("query", "gallery", "beside", "beside_weights", "beside_input_size"):
        absl.flags.DEFINE_string(name, "", "", flag_values=found)
    found(["ablate", *(f"--{name}={value}" for name, value in given.items())])
    return found


TITLES = {
    "full": "full ARN",
    "no_private": "w/o E_S, E_T",
    "rec_diff": "w/o L_ctrs, L_class",
    "rec": "w/o L_ctrs, L_class, E_S, E_T",
}
BASELINES = {
    key: paper_evaluate.TITLES[key]
    for key in (paper_evaluate.UNTRAINED, paper_evaluate.SOURCE_ONLY_TARGET_STATISTICS)
}


def of_all_rows(seeds=2):
    """The papers' rows over seeds, baselines first."""
    gains = {key: 0.2 * i for i, key in enumerate([*TITLES, *BASELINES])}
    order = [*BASELINES, *reversed(TITLES)]
    return {
        key: seed_rows.SeedRow(
            (TITLES | BASELINES)[key],
            [ranked(round(50 * gains[key]) + seed, gains[key]) for seed in range(seeds)],
        )
        for key in order
    }


def test_baselines_come_first_and_then_the_papers_order(monkeypatch, tmp_path):
    """Every run has baselines and its adapted row; the full one speaks for all of the first."""
    rows = of_all_rows()

    class Pool:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, settings, labelled):
            assert function is ablate._train_and_score
            assert labelled is TARGETS_OWN
            folder, seed = os.path.basename(settings.model_dir), settings.seed
            found = [Row(key, rows[key].title, rows[key].results[seed]) for key in BASELINES]
            found.append(Row("arn", "ARN", rows[folder].results[seed]))
            evaluation = Evaluation(found, None, [f"of {folder}"])
            return types.SimpleNamespace(result=lambda: evaluation)

    monkeypatch.setattr(ablate.concurrent.futures, "ProcessPoolExecutor", Pool)
    settings = small_data.settings(tmp_path)
    ablation = dataclasses.replace(paper_ablation.ABLATION, notes=("of all",))
    found, notes = ablate.ablate(settings, ablation, 2, TARGETS_OWN)
    assert list(found) == list(rows)
    for key, row in found.items():
        assert (row.title, row.results) == (rows[key].title, rows[key].results)
    assert notes[:3] == [
        "of all",
        "seed 0, w/o L_ctrs, L_class, E_S, E_T: of rec",
        "seed 0, w/o L_ctrs, L_class: of rec_diff",
    ]
    assert [name for name, _ in seed_rows.summary(found)] == [
        *BASELINES.values(),
        "w/o L_ctrs, L_class, E_S, E_T",
        "w/o L_ctrs, L_class",
        "w/o E_S, E_T",
        "full ARN",
    ]
    for (_, metrics), row in zip(seed_rows.summary(found), rows.values(), strict=True):
        assert metrics == ranking_scores.metrics(row.results)


def test_a_row_that_some_seeds_lack_says_so():
    rows = {
        "a": seed_rows.SeedRow("one", [ranked(0), ranked(1)]),
        "b": seed_rows.SeedRow("other", [ranked(2)]),
    }
    assert [name for name, _ in seed_rows.summary(rows)] == ["one", "other (1 of 2)"]


def test_paired_differences_of_the_papers_rows():
    rows = of_all_rows()
    found = seed_rows.differences(rows, paper_ablation.ABLATION)
    assert set(found) == {
        "full ARN less source only, target statistics",
        "full ARN less w/o E_S, E_T",
    }
    by_title = {row.title: row.results for row in rows.values()}
    for name, value in found.items():
        per_query = [
            np.mean([each.average_precision for each in by_title[row]], axis=0)
            for row in name.split(" less ")
        ]
        assert value == intervals.difference(*per_query)
    assert found["full ARN less w/o E_S, E_T"][0] < 0  # gains are 0 and 0.2


def test_paired_differences_of_the_strong_recipe():
    keys = (
        strong_evaluate.SOURCE_ONLY,
        strong_evaluate.SOURCE_ONLY_CAMERAS,
        strong_evaluate.ADAPTED_CAMERAS,
        strong_evaluate.ADAPTED_RERANKED,
    )
    ablation = strong_ablation.ablation(small_strong.settings("unused"), {})
    rows = {
        key: seed_rows.SeedRow(strong_evaluate.TITLES[key], [ranked(0, gain), ranked(1, gain)])
        for gain, key in enumerate(keys)
    }
    names = [strong_evaluate.TITLES[key] for key in keys]
    found = seed_rows.differences(rows, ablation)
    assert list(found) == [f"{one} less {other}" for other, one in itertools.pairwise(names)]
    assert all(found.values())
    # Where one seed stopped before self-training there are no pairs.
    rows[strong_evaluate.ADAPTED_CAMERAS].results.pop()
    found = seed_rows.differences(rows, ablation)
    assert [value is None for value in found.values()] == [False, True, True]
    del rows[strong_evaluate.ADAPTED_CAMERAS]
    assert len(seed_rows.differences(rows, ablation)) == 1


def test_the_papers_rows_choose_their_own_weights():
    recipe = recipes.RECIPES["paper"]
    recipe.ablation(Settings())
    with refused("--beside has no meaning with --preset=paper"):
        recipe.ablation(Settings(), {"backbone": "MobileNetV2"})
    for changes in ({"private_encoders": False}, {"reconstruction_weight": 0.0}):
        with pytest.raises(UserError, match=r"choose private_encoders and the zero weights"):
            recipe.ablation(Settings(**changes))


def test_what_is_printed_and_saved(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "a table"
    folder.mkdir()
    scores = of_all_rows()
    scores["no_private"].results.pop()
    notes = ["seed 0, strong: kept as it was"]
    monkeypatch.setattr(ablate, "ablate", lambda settings, ablation, seeds, own: (scores, notes))
    monkeypatch.setattr(ablate.recipes, "from_flags", lambda: small_data.settings(folder))
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags(seeds=2))
    monkeypatch.setattr(sys, "argv", ["ablate", "--seeds=2", f"--model_dir={folder}"])
    ablate.main()
    text = (folder / "table.md").read_text()
    assert text in capsys.readouterr().out + "\n"
    assert "market to duke, in percent, mean ± deviation of 2 seeds" in text
    assert ranking_scores.table(seed_rows.summary(scores)) in text
    # As a shell takes it.
    command = f"python -m arn_tf.ablate --seeds=2 '--model_dir={folder}'"
    assert f"Made by `{command}`" in text
    record = json.loads((folder / "table.json").read_text())
    assert record["command"] == command
    assert record["notes"] == notes
    assert notes[0] in text
    assert record["settings"]["target"] == "duke"
    assert list(record["rows"]) == [name for name, _ in seed_rows.summary(scores)]
    low, high = record["rows"]["full ARN"]["mean_ap_interval"]
    assert low < record["rows"]["full ARN"]["mean_ap"][0] < high
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text
    assert len(record["seeds"]["full ARN"]) == 2
    [name] = record["differences"]
    assert name == "full ARN less source only, target statistics"
    mean, (low, high) = record["differences"][name]
    assert f"* {name}: {100 * mean:+.1f} [{100 * low:+.1f}, " in text
    assert low < mean < high
    assert "full ARN less w/o E_S, E_T: not compared, as not every seed has both" in text


def test_what_the_flags_ask_for_is_what_is_made(tmp_path, monkeypatch):
    """Which pictures, which runs, how many seeds; the shares of the bound; a folder by itself."""
    keys = (
        strong_evaluate.SOURCE_ONLY_CAMERAS,
        strong_evaluate.ADAPTED_CAMERAS,
        strong_ablation.SUPERVISED,
    )
    rows = {key: seed_rows.SeedRow(key, [ranked(0, gain)]) for gain, key in enumerate(keys)}
    asked, checked = [], []

    def made(settings, *others):
        asked.append((settings, *others))
        os.makedirs(settings.run_dir)  # as its runs do
        return rows, []

    monkeypatch.setattr(ablate, "ablate", made)
    monkeypatch.setattr(scored, "check", lambda *arguments: checked.append(arguments))
    own = small_strong.settings("")
    monkeypatch.setattr(ablate.recipes, "from_flags", lambda: own)
    given = {"query": "~/q", "gallery": "g", "beside": "Tiny", "beside_weights": "random"}
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags(seeds=3, **given))
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.chdir(tmp_path)
    ablate.main()
    [(settings, table, seeds, labelled)] = asked
    assert labelled == Labelled(os.path.expanduser("~/q"), "g", own.names)
    assert checked == [(own, labelled)]
    assert [run.folder for run in table.runs] == ["strong", "supervised", "beside_Tiny"]
    assert (seeds, settings.model_dir) == (3, "runs/strong_market_to_duke")
    record = json.loads((tmp_path / "runs/strong_market_to_duke/table.json").read_text())
    start, reached, limit = (rows[key].results[0].mean_ap for key in keys)
    assert record["shares"] == pytest.approx(
        {"of_bound": reached / limit, "of_way": (reached - start) / (limit - start)}
    )


def test_a_table_that_cannot_be_written_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablate, "ablate", lambda *_: (of_all_rows(), []))
    monkeypatch.setattr(ablate.recipes, "from_flags", lambda: small_data.settings(tmp_path))
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags())
    with shared_folders.no_new_files(monkeypatch, tmp_path, "EROFS"):
        ablate.main()
    printed = capsys.readouterr().out
    assert f"table.md and table.json can't be written in {tmp_path}: Read-only" in printed
    assert "full ARN less source only, target statistics" in printed
    assert os.listdir(tmp_path) == []


def test_a_finished_run_is_only_scored(monkeypatch, paper_run):
    settings = recipes.settings_of(paper_run)

    def refuse(*_):
        raise AssertionError("this would train")

    monkeypatch.setattr(paper_train, "train", refuse)
    evaluation = ablate._train_and_score(settings, TARGETS_OWN)
    assert evaluation.notes == []
    assert evaluation.rows[-1].key == paper_evaluate.ADAPTED
    assert evaluation[paper_evaluate.ADAPTED].valid_queries == 8
    for changed in (
        dataclasses.replace(settings, margin=0.5),
        dataclasses.replace(settings, model_dir=f"{paper_run.path}_not_there"),
    ):
        assert not ablate._is_finished(RunDir(changed.run_dir), changed)
        with pytest.raises(AssertionError, match="would train"):
            ablate._train_and_score(changed, TARGETS_OWN)


def test_flags_of_a_network_beside_need_its_name(monkeypatch):
    given = {"beside_weights": "random", "beside_input_size": "64x32"}
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags(**given))
    with refused("--beside_weights=random: name the network with --beside=NAME"):
        ablate._beside()
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags(**given, beside="MobileNetV2"))
    assert ablate._beside() == {
        "backbone": "MobileNetV2",
        "backbone_weights": "random",
        "input_size": "64x32",
    }
    monkeypatch.setattr(ablate.flags, "FLAGS", small_flags())
    assert ablate._beside() == {}
