"""Which stage a strong run keeps: without labels, by the oracle, and how that is told."""

import json
import os
import types

import numpy as np
from arn_tf.strong.keep_stage import StageChoice

from arn_tf.strong import keep_stage

STAGES = ["adapted.keras", "round_1.keras"]


def test_without_labels_follows_the_consensus():
    rng = np.random.default_rng(0)
    persons, cameras = np.repeat(np.arange(20), 8), np.tile([1, 2], 80)
    clear = rng.normal(size=(20, 32))[persons] + 0.2 * rng.normal(size=(160, 32))
    noisy = clear + 0.8 * rng.normal(size=(160, 32))
    for embeddings, best in (((noisy, clear), 1), ((clear, noisy), 0)):
        found = keep_stage.without_labels(STAGES, embeddings, cameras)
        assert found.stage == STAGES[best]
        assert list(found.scores) == STAGES
        assert max(found.scores, key=found.scores.get) == STAGES[best]
        assert "consensus" in found.reason


def test_a_choice_is_kept_and_told(tmp_path, capsys):
    run = types.SimpleNamespace(file=lambda name: str(tmp_path / name), logs=str(tmp_path / "logs"))
    choice = StageChoice("round_1.keras", "because", {STAGES[0]: np.nan, STAGES[1]: 0.5})
    keep_stage.record(run, "unlabelled", choice)
    assert "kept: round_1.keras (because)" in capsys.readouterr().out
    assert json.loads((tmp_path / "choice.json").read_text()) == {
        "keep_best": "unlabelled", "stage": "round_1.keras", "reason": "because",
        "scores": {STAGES[0]: None, STAGES[1]: 0.5},
    }  # fmt: skip
    assert os.listdir(tmp_path / "logs" / "choice")
