"""What is checked of a user's folders before anything else is done."""

import errno

from tests.support import silent_disk, small_data
from tests.support.user_errors import refused


def test_one_folder_by_two_names_is_no_source_and_target(tmp_path):
    crops = tmp_path / "crops"
    crops.mkdir()
    (tmp_path / "link").symlink_to(crops)
    for other in (f"{crops}/", f"{tmp_path}/./crops", f"{tmp_path}/link"):
        settings = small_data.settings(tmp_path / "run", source=str(crops), target=other)
        with refused("--source and --target are both .*/crops"):
            settings.check()


def test_a_drive_that_does_not_answer_is_not_missing(tmp_path, monkeypatch):
    (tmp_path / "drive").mkdir()
    settings = small_data.settings(tmp_path / "run", target=str(tmp_path / "drive"))
    silent_disk.below(tmp_path / "drive", errno.ENOTCONN, monkeypatch)
    with refused(r"--target=.*/drive: can't be read \(Transport .*\); check its disk or network"):
        settings.check()
