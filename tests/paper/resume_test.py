"""kill -9 at any moment: the same command goes on to the weights of an uninterrupted run."""

import os

from arn_tf.run.folder import RunDir
from tests.support import small_data


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, paper_run):
    run = RunDir(str(tmp_path / "run"))
    line = small_data.command("arn_tf.train", small_data.settings(run.path))

    small_data.killed_at(line, "before", run.file(run.checkpoint("pretrain", 1)))
    assert os.path.exists(run.file("checkpoints/.partial.keras"))
    assert run.newest_checkpoint("pretrain") == (None, None)

    text = small_data.killed_at(line, "before", run.file(run.checkpoint("pretrain", 2)))
    assert "epoch 2/2" in text
    assert run.newest_checkpoint("pretrain")[0] == 1

    text = small_data.killed_at(line, "after", run.file(run.checkpoint("arn", 3)))
    assert "pretrain: going on after epoch 1" in text
    assert "epoch 1/2" not in text
    assert not os.path.exists(run.file("model.keras"))

    status, out, err = small_data.finish(line)
    assert status == 0, err
    assert "arn: going on after epoch 3" in out
    assert "\nepoch" not in out
    for name in ("initial", "pretrained", "source_only", "model"):
        expected, found = (small_data.weights(r.file(f"{name}.keras")) for r in (paper_run, run))
        small_data.assert_equal(expected, found)
    assert os.listdir(run.file("checkpoints")) in ([], [".partial.keras"])
