"""A run below a folder of any name is trained, scored and exported by the commands."""

import os

from tests.support import small_data


def test_a_folder_that_is_a_pattern_and_not_utf8(tmp_path):
    root = os.path.join(tmp_path, os.fsdecode(b"caf\xe9 run[1]\\*"))
    run = os.path.join(root, "run")
    for line in (
        small_data.command(
            "arn_tf.train", small_data.settings(run, **small_data.SHORT, cache_dir=f"{root}/cache")
        ),
        small_data.command(
            "arn_tf.evaluate", model_dir=run, ranked_lists=os.path.join(root, "lists.png")
        ),
        small_data.command("arn_tf.export", model_dir=run, export_dir=os.path.join(root, "arn")),
    ):
        status, _, err = small_data.finish(line)
        assert status == 0, err
    assert {"cache", "lists.png"} < set(os.listdir(root))
    assert sorted(os.listdir(os.path.join(root, "arn"))) == [".last_version", "1"]
