"""The printed table and results.json: tracklets beside pictures, and what a match is."""

import dataclasses
import json
import types

import numpy as np

from arn_tf.ranking import scores, tracklets
from arn_tf.run import results
from arn_tf.run.folder import RunDir
from tests.support import small_kept

SETTINGS = types.SimpleNamespace(source="market", target="site", direction="market to site")


def reported(folder, evaluation):
    results.report(RunDir(str(folder)), SETTINGS, evaluation, "digest")
    return json.loads((folder / "results.json").read_text())["rows"]


def test_the_row_by_tracklet_is_last_and_counts_for_itself(tmp_path, capsys):
    plain = small_kept.kept()
    before = reported(tmp_path, small_kept.evaluation(plain))
    numbers = np.arange(len(plain.query)) // 2
    kept = dataclasses.replace(plain, query=dataclasses.replace(plain.query, tracklet=numbers))
    row, _ = tracklets.row(kept, "adapted")
    evaluation = dataclasses.replace(small_kept.evaluation(kept), by_tracklet=row)
    capsys.readouterr()
    after = reported(tmp_path, evaluation)
    assert list(after) == [*before, f"{small_kept.TITLE}, by tracklet"]
    assert {title: after[title] for title in before} == before
    saved = after[row.title]
    assert saved == json.loads(json.dumps(scores.metrics([row.result])))
    assert saved["queries"] == 18 and "mean_inp" in saved and "mean_ap_interval" in saved
    shown = capsys.readouterr().out
    assert "36 of 36 queries have a match on another camera and count" in shown
    assert "By tracklet: 18 of 18 query tracklets have a match and count" in shown


def test_where_pictures_of_one_camera_match_no_other_camera_is_spoken_of(tmp_path, capsys):
    kept = small_kept.kept()
    views = np.arange(len(kept.query)), 1000 + np.arange(len(kept.gallery))
    query, gallery = (
        dataclasses.replace(each, views=view)
        for each, view in zip((kept.query, kept.gallery), views, strict=True)
    )
    kept = dataclasses.replace(kept, query=query, gallery=gallery)
    reported(tmp_path, small_kept.evaluation(kept))
    shown = capsys.readouterr().out
    assert "36 of 36 queries have a match and count" in shown and "another camera" not in shown
