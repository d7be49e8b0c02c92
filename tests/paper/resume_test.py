"""kill -9 at any moment: the same command goes on to the weights of an uninterrupted run."""

import os
import time

from arn_tf.run.folder import RunDir
from tests.support import small_data


def run_until(line, moment):
    """Runs a command line and kills it as soon as `moment(its output)` is true."""
    process = small_data.start(line)
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline and not moment(process.printed()):
        time.sleep(0.002)
    killed = process.poll() is None
    process.kill()
    process.wait()
    assert killed, "it ended before the moment came"
    return process.printed()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, paper_run):
    run = RunDir(str(tmp_path / "run"))
    line = small_data.command("arn_tf.train", small_data.settings(run.path))

    partial = run.file("checkpoints/.partial.keras")
    run_until(line, lambda _: os.path.exists(partial))
    assert os.path.exists(partial), "it should have died while it wrote a checkpoint"
    assert run.newest_checkpoint("pretrain") == (None, None)

    run_until(line, lambda text: "epoch 2/2" in text)
    assert run.newest_checkpoint("pretrain")[0] == 1

    after_last_epoch = run.file(run.checkpoint("arn", 3))
    text = run_until(line, lambda _: os.path.exists(after_last_epoch))
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
