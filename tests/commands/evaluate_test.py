"""Scores of a finished run, beside a computation with nothing but the model and the pictures."""

import dataclasses
import json
import os
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from arn_tf import evaluate as evaluate_command
from arn_tf import recipes
from arn_tf.data.images import decode
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.paper import evaluate
from arn_tf.ranking import intervals, protocol, reranking, scores
from arn_tf.run import command_line
from arn_tf.run import results as run_results
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from tests.support import own_pictures, shared_folders, small_data
from tests.support.user_errors import refused

ROWS = [
    "untrained pooled backbone",
    "source only",
    "source only, target statistics",
    "ARN",
]
METRICS = ("rank-1", "rank-5", "rank-10", "rank-20", "mean_ap", "mean_ap_trapezoid")


@pytest.fixture(scope="module")
def run(paper_run):
    return paper_run


@pytest.fixture(scope="module")
def found(run):
    return evaluate.evaluate(run, recipes.settings_of(run))


@pytest.fixture(scope="module")
def target():
    data = ReidData("duke", **small_data.inputs())
    return data.split("query"), data.split("gallery")


def by_title(evaluation):
    """{title: RankingResult}"""
    return {row.title: row.result for row in evaluation.rows}


def images(split):
    size = (small_data.HEIGHT, small_data.WIDTH)
    return np.stack([decode(image, size).numpy() for image in split.images])


def rank(embed, query, gallery):
    return protocol.rank_gallery(
        embed(images(query)),
        embed(images(gallery)),
        query.person_id,
        gallery.person_id,
        query.camera_id,
        gallery.camera_id,
    )


def test_the_table_has_the_baselines(found):
    assert list(by_title(found)) == ROWS
    assert [row.key for row in found.rows] == list(evaluate.TITLES)
    assert found["arn"] is found.rows[-1].result
    with pytest.raises(KeyError):
        found["other"]


def test_reranked_rows(run, found, target):
    results = by_title(evaluate.evaluate(run, recipes.settings_of(run), rerank=True))
    assert list(results) == [row + end for row in ROWS for end in ("", " + re-ranking")]
    for row in ROWS:
        assert results[row].to_json() == by_title(found)[row].to_json()
    arn = run.load_model("model.keras")
    query, gallery = target
    expected = protocol.rank_gallery(
        arn.embed(images(query)),
        arn.embed(images(gallery)),
        query.person_id,
        gallery.person_id,
        query.camera_id,
        gallery.camera_id,
        distance=reranking.rerank,
    )
    assert results["ARN + re-ranking"].mean_ap == pytest.approx(expected.mean_ap, abs=1e-3)
    assert results["ARN + re-ranking"].mean_ap != results["ARN"].mean_ap


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_scores_are_those_of_the_models_on_the_pictures(run, target, cache):
    settings = dataclasses.replace(recipes.settings_of(run), feature_cache=cache)
    results = by_title(evaluate.evaluate(run, settings))
    initial, source_only, arn = (
        run.load_model(f"{name}.keras") for name in ("initial", "source_only", "model")
    )

    def pooled(pictures):
        return initial.feature_maps(pictures).numpy().mean(axis=(1, 2))

    embed = [
        pooled,
        lambda pictures: source_only.embed(pictures, domain=SOURCE),
        lambda pictures: source_only.embed(pictures, domain=TARGET),
        arn.embed,
    ]
    expected = [rank(function, *target).to_json() for function in embed]
    for name, wanted in zip(ROWS, expected, strict=True):
        for metric in METRICS:
            assert results[name].to_json()[metric] == pytest.approx(wanted[metric], abs=1e-3), name
    # They tell the models apart.
    assert len({row["mean_ap"] for row in expected}) >= 3


def test_without_the_baseline_there_is_no_row_for_it(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    os.remove(folder / "source_only.keras")
    alone = dataclasses.replace(recipes.settings_of(run), source_only_baseline=False)
    results = evaluate.evaluate(RunDir(str(folder)), alone)
    assert list(by_title(results)) == [ROWS[0], ROWS[3]]


def test_what_is_kept_gives_the_row_that_it_names(run, found):
    kept = found.kept
    again = scores.score(kept.query_embeddings, kept.gallery_embeddings, kept.query, kept.gallery)
    assert again.to_json() == by_title(found)[kept.title].to_json() == found["arn"].to_json()
    embeddings, notes = evaluate.embed(run, recipes.settings_of(run), kept.query)
    np.testing.assert_allclose(embeddings, kept.query_embeddings, atol=1e-3)
    assert notes == []


def test_the_report(run, found, capsys):
    run_results.report(run, recipes.settings_of(run), found)
    shown = capsys.readouterr().out
    assert "market to duke" in shown
    assert "8 of 8 queries" in shown and "2 distractors kept" in shown
    with open(run.file("results.json")) as file:
        saved = json.load(file)
    assert (saved["source"], saved["target"]) == ("market", "duke")
    assert list(saved["rows"]) == ROWS
    for name, row in saved["rows"].items():
        [line] = [text for text in shown.splitlines() if text.startswith(f"| {name} ")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        low, high = row["mean_ap_interval"]
        assert cells.pop(6) == f"[{100 * low:.1f}, {100 * high:.1f}]"
        assert cells[1:] == [f"{100 * row[metric]:.1f}" for metric in METRICS]
        assert row["mean_ap"] == pytest.approx(by_title(found)[name].mean_ap)
        assert (low, high) == intervals.interval(by_title(found)[name].average_precision)
        assert low < row["mean_ap"] < high
        low, high = row["rank-1_interval"]
        assert low <= row["rank-1"] <= high


def test_results_that_cannot_be_written(run, found, tmp_path):
    with pytest.raises(UserError, match=r"^model_dir=.*nowhere") as error:
        run_results.report(RunDir(str(tmp_path / "nowhere")), recipes.settings_of(run), found)
    assert command_line.message(error.value).startswith("--model_dir=")


def test_the_command_line(run, tmp_path):
    lists = tmp_path / "lists.png"
    moved = tmp_path / "moved"
    shutil.copytree(small_data.inputs()["data_dir"], moved)
    status, out, err = small_data.finish(
        small_data.command(
            "arn_tf.evaluate", model_dir=run.path, ranked_lists=lists, data_dir=moved, cache_dir=""
        )
    )
    assert status == 0, err
    assert [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")][
        1:
    ] == ["-" * len(ROWS[2]), *ROWS]
    picture = Image.open(lists)
    assert picture.format == "PNG"
    assert picture.height > 8 * 128
    assert os.path.exists(run.file("results.json"))


def test_an_unfinished_run(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    os.remove(tmp_path / "run" / "model.keras")
    with pytest.raises(UserError, match=r"model.keras is not there; finish the run"):
        evaluate.evaluate(RunDir(str(tmp_path / "run")), recipes.settings_of(run))


def test_a_run_whose_data_are_gone(run, tmp_path):
    lost = dataclasses.replace(
        recipes.settings_of(run), data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path)
    )
    with pytest.raises(UserError, match=r"neither DukeMTMC-reID.zip nor the folder"):
        evaluate.evaluate(run, lost)


def test_a_run_its_data_and_its_cache_may_be_read_only(run, found, tmp_path, capsys):
    folder, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(run.path, folder, ignore=shutil.ignore_patterns("results.json"))
    shutil.copytree(small_data.inputs()["data_dir"], data)
    settings = dataclasses.replace(
        recipes.settings_of(run), data_dir=str(data), cache_dir=str(tmp_path / "none" / "cache")
    )
    (tmp_path / "none").mkdir()
    copy = RunDir(str(folder))
    with shared_folders.read_only(folder, data, tmp_path / "none"):
        evaluation = evaluate.evaluate(copy, settings)
        run_results.report(copy, settings, evaluation)
    for title, result in by_title(evaluation).items():
        assert result.mean_ap == pytest.approx(by_title(found)[title].mean_ap, abs=1e-3)
    shown = capsys.readouterr().out
    assert f"results.json can't be written in {folder}: " in shown
    assert shown.count("missing maps are computed here and not kept") == 1
    assert "market to duke, in percent" in shown
    assert not os.path.exists(folder / "results.json")


def test_where_the_picture_cannot_be_is_said_before_the_work(tmp_path):
    for path, words in (
        (tmp_path / "none" / "x.png", "ranked_lists=.*x.png: can't be written: No such file"),
        (tmp_path / "x", "ranked_lists=.*x: name a PNG file"),
    ):
        with pytest.raises(UserError, match=words):
            evaluate_command._check_picture(str(path))
    with (
        shared_folders.read_only(tmp_path),
        pytest.raises(UserError, match=r"x.png: can't be written: (Read-only|Permission)"),
    ):
        evaluate_command._check_picture(str(tmp_path / "x.png"))


def test_no_file_is_written_among_the_pictures(tmp_path):
    run = RunDir(str(tmp_path / "crops" / "run"))
    for folder in ("crops/lift", "crops/run", "source", "query", "gallery", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "crops" / "lift")
    settings = types.SimpleNamespace(source=str(tmp_path / "source"), target=f"{tmp_path}/crops/")
    labelled = Labelled(str(tmp_path / "query"), str(tmp_path / "gallery"))
    for folder, name in (
        ("crops", "target"),
        ("crops/lift", "target"),
        ("link", "target"),
        ("source", "source"),
        ("query", "query"),
        ("gallery", "gallery"),
    ):
        with refused(f"--report=.*{folder}/x.html: lies among the pictures of {name}; name a"):
            evaluate_command._check_place(
                "report", str(tmp_path / folder / "x.html"), run, settings, labelled
            )
    # Of a run's folder among the crops nothing is listed; a table lists its rows alone.
    tables = types.SimpleNamespace(source="duke", target=str(tmp_path / "source" / "site.csv"))
    for folder, given in (("crops/run", settings), ("elsewhere", settings), ("source", tables)):
        evaluate_command._check_place("report", str(tmp_path / folder / "x.html"), run, given)


@pytest.mark.parametrize("argument", ["report", "ranked_lists"])
def test_the_command_refuses_to_write_among_the_pictures(run, tmp_path, argument):
    root = own_pictures.write(tmp_path / "query", {"1_2.png": own_pictures.encoded(1)})
    path = os.path.join(root, "x.html" if argument == "report" else "x.png")
    more = {"query": root, "names": "{person_id}_{camera}", argument: path}
    line = small_data.command("arn_tf.evaluate", model_dir=run.path, **more)
    status, _, err = small_data.finish(line)
    assert status == 2 and f"--{argument}={path}: lies among the pictures of query" in err


def test_without_labels_it_says_which_runs_have_a_page(run, tmp_path):
    files = {f"{c}/{n}.png": own_pictures.encoded(9 * n + c) for c in (1, 2) for n in range(3)}
    root = own_pictures.write(tmp_path / "crops", files)
    copy = RunDir(str(tmp_path / "run"))
    os.mkdir(copy.path)
    settings = dataclasses.replace(recipes.settings_of(run), target=root)
    with refused("drawn or reported: .* Only runs of --preset=strong have"):
        evaluate.evaluate(copy, settings)


def test_the_results_name_the_model_that_was_scored(run, found, tmp_path):
    """Not the one that a calibration has put there since."""
    copy = RunDir(str(tmp_path / "run"))
    shutil.copytree(run.path, copy.path)
    scored = copy.digest("model.keras")
    with open(copy.file("model.keras"), "ab") as file:
        file.write(b"another")
    run_results.report(copy, recipes.settings_of(run), found, scored)
    assert run_results.scores_of_model(copy, ["ARN"]) is None
