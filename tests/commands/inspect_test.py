"""`python -m arn_tf.inspect`: its one argument, its exit status, and no TensorFlow."""

import pytest

from tests.support.doors import answer
from tests.support.small_crops import two_cameras

HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "tensorboard")


def test_a_folder_is_inspected_without_tensorflow(tmp_path):
    two_cameras(tmp_path / "crops")
    (tmp_path / "site").mkdir()
    done = answer(
        tmp_path / "site",
        "arn_tf.inspect",
        str(tmp_path / "crops"),
        f"--json={tmp_path / 'report.json'}",
        f"--contact_sheets={tmp_path / 'sheets'}",
        refused=HEAVY,
    )
    assert done.returncode == 0, done.stderr
    assert "80 pictures" in done.stdout and "Traceback" not in done.stderr
    assert len(list((tmp_path / "sheets").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "error: name the folder"),
        (["crops", "more"], 2, "what is 'more'?"),
        (["nowhere"], 2, "nowhere: neither a folder"),
        (["crops"], 1, ""),
    ],
)
def test_the_exit_status(tmp_path, arguments, status, words):
    (tmp_path / "crops").mkdir()
    (tmp_path / "site").mkdir()
    given = [str(tmp_path / each) if each == "crops" else each for each in arguments]
    done = answer(tmp_path / "site", "arn_tf.inspect", *given, refused=HEAVY)
    assert done.returncode == status
    assert words in done.stderr and "Traceback" not in done.stderr
    # Lines are broken, a long path's too.
    assert (status == 1) == ("no pictures there" in " ".join(done.stdout.split()))
