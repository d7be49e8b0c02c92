"""The demo: how long it takes comes first, then what training shows; on a run that is finished."""

import os
import shutil

from arn_tf import demo
from arn_tf.run.folder import RunDir
from tests.support import small_data


def test_it_says_how_long_it_takes_and_ends_with_what_there_is_to_see(paper_run, tmp_path, capsys):
    run = RunDir(shutil.copytree(paper_run.path, tmp_path / "demo"))
    demo.main(small_data.settings(run.path))
    lines = capsys.readouterr().out.splitlines()
    assert "minutes on 2 cores" in lines[0]
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert rows[0].startswith("untrained") and "source only" in rows and rows[-1] == "ARN"
    for title, file in (("ranked lists", "ranked_lists.png"), ("model", "model.keras")):
        path = run.file(file)
        assert f"{title:14}{path}" in lines and os.path.getsize(path)
    assert f"TensorBoard   tensorboard --logdir={run.logs}" in lines
