"""The page and the pairs of a strong run, from the command to the file."""

import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.ranking import pair_scores, scores
from arn_tf.ranking.evaluation import Evaluation
from arn_tf.report.write import write
from arn_tf.run import scored
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import TARGETS_OWN
from arn_tf.run.results import report
from arn_tf.strong import evaluate as strong_evaluate
from tests.support import shared_folders, small_data
from tests.support.user_errors import refused


@pytest.fixture(scope="module")
def pairs(strong_run, tmp_path_factory):
    """A table of all pairs of the gallery's pictures, and their embeddings in its order."""
    settings = recipes.settings_of(strong_run)
    gallery = ReidData("duke", settings.data_dir, settings.manual_dir).split("gallery")
    gallery = gallery.subset(np.flatnonzero(gallery.person_id > 0))
    folder = tmp_path_factory.mktemp("pairs")
    lines = ["a;b;same"]
    for row, name in enumerate(gallery.file_name):
        (folder / name).write_bytes(gallery.images[row])
        for other in range(row):
            same = gallery.person_id[row] == gallery.person_id[other]
            lines.append(f"{name};{gallery.file_name[other]};{'yes' if same else 'no'}")
    table = folder / "pairs.csv"
    table.write_text("\n".join(lines))
    embeddings, notes = strong_evaluate.embed(strong_run, settings, gallery)
    assert notes == []
    return str(table), gallery, embeddings


def test_the_command_writes_page_and_results_of_a_run_that_is_to_be_read(
    strong_run, pairs, tmp_path
):
    table, gallery, embeddings = pairs
    folder = tmp_path / "run"
    shutil.copytree(strong_run.path, folder)
    page = tmp_path / "out" / "report.html"
    page.parent.mkdir()
    line = small_data.command(
        "arn_tf.evaluate", model_dir=folder, report=page, pairs=table, rerank=False
    )
    with shared_folders.read_only(folder):
        status, out, err = small_data.finish(line)
    assert status == 0, err
    assert f"report: {page}" in out and [each.name for each in page.parent.iterdir()] == [page.name]
    text = page.read_text(encoding="utf-8")
    digest = RunDir(str(folder)).digest("model.keras")
    assert digest in text and "market to duke" in text and "How the model was chosen" in text
    same = gallery.person_id[:, np.newaxis] == gallery.person_id
    similarity, lower = embeddings @ embeddings.T, np.tri(len(gallery), k=-1, dtype=bool)
    right, wrong = similarity[same & lower], similarity[~same & lower]
    auc = np.mean([(right > value).mean() for value in wrong])
    assert f"Pairs: {len(right)} of one person, {len(wrong)} of different ones." in out
    [printed] = re.findall(r"AUC ([\d.]+)\n", out)
    assert float(printed) == pytest.approx(auc, abs=2e-3)
    assert "Pairs of pictures" in text and "c1 and c2" in text


def test_results_have_the_pairs(strong_run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    similarity, same = rng.normal(size=300), np.arange(300) < 90
    found = pair_scores.score(similarity, same, [("gate", "yard")] * 300, 0.02)
    folder = tmp_path / "run"
    folder.mkdir()
    settings = recipes.settings_of(strong_run)
    numbers = {"model": {"number": 1.0}}
    report(RunDir(str(folder)), settings, Evaluation([], None, [], numbers, pairs=found), "digest")
    with open(folder / "results.json") as file:
        assert json.load(file)["pairs"] == json.loads(json.dumps(found.to_json()))
    printed = capsys.readouterr().out
    assert f"| gate and yard | {found.scores.auc:.4f}" in printed
    assert f"| {found.operations[0.02].threshold:.4f} " in printed
    assert "Note: a false-accept rate of 0.001 needs 1,000 pairs" in printed


def test_without_labels_the_page_is_about_the_training_pictures(strong_run, tmp_path, monkeypatch):
    monkeypatch.setattr(scored, "splits", lambda *_: None)
    settings = recipes.settings_of(strong_run)
    evaluation = strong_evaluate.evaluate(strong_run, settings)
    train = ReidData("duke", settings.data_dir, settings.manual_dir).split("train")
    assert evaluation.kept.query is evaluation.kept.gallery
    assert evaluation.kept.query.file_name == train.file_name
    assert evaluation.kept.title in evaluation.without_labels
    path = tmp_path / "page.html"
    write(str(path), strong_run, settings, TARGETS_OWN, evaluation, "digest")
    text = path.read_text(encoding="utf-8")
    assert "Surest matches" in text and "No person is known" in text


def test_what_is_kept_gives_the_row_that_it_names(strong_run):
    evaluation = strong_evaluate.evaluate(strong_run, recipes.settings_of(strong_run), rerank=False)
    kept = evaluation.kept
    again = scores.score(kept.query_embeddings, kept.gallery_embeddings, kept.query, kept.gallery)
    [row] = [each for each in evaluation.rows if each.title == kept.title]
    assert row.key == strong_evaluate.ADAPTED_CAMERAS
    assert again.to_json() == row.result.to_json()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"report": "page.png"}, "--report=page.png: name an HTML file, such as report.html"),
        ({"report": "{tmp}/nowhere/page.html"}, "--report=.*can't be written: No such file"),
        ({"pairs": "{tmp}/no.csv"}, "--pairs=.*no.csv: can't be read"),
        ({"pairs": "{tmp}/no.csv", "false_accept_rate": 2}, "--false_accept_rate=2.0: name a"),
    ],
)
def test_mistakes_are_told_before_the_work(strong_run, tmp_path, flags, words):
    flags = {name: str(value).format(tmp=tmp_path) for name, value in flags.items()}
    line = small_data.command("arn_tf.evaluate", model_dir=strong_run.path, **flags)
    status, out, err = small_data.finish(line)
    assert status == 2 and re.search(words, err), err
    assert "Traceback" not in err and "|" not in out


def test_a_page_that_cannot_be_written_leaves_what_was_there(strong_run, tmp_path):
    settings = recipes.settings_of(strong_run)
    evaluation = strong_evaluate.evaluate(strong_run, settings, rerank=False)
    folder = pathlib.Path(tmp_path / "page.html")
    folder.mkdir()
    with refused(r"^--report=.*page.html: can't be written"):
        write(str(folder), strong_run, settings, TARGETS_OWN, evaluation, "digest")
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
