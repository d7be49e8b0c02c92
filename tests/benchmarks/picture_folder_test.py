"""The benchmarks take the pictures that the client takes."""

import pytest

from benchmarks import picture_folder
from tests.support.picture_formats import drawn, encoded, pixels


def test_every_format_is_read_and_thumbnails_are_not(tmp_path, capsys):
    whole = {
        "1.jpg": encoded(drawn(1), format="JPEG"),
        "2.bmp": encoded(drawn(2), format="BMP"),
        "3.png": encoded(drawn(3), 6),
        "4.jpg": encoded(drawn(4), format="JPEG"),
        "@eaDir/1.jpg": encoded(drawn(5), format="JPEG"),
        "._1.jpg": b"\0\x05\x16\x07",
    }
    (tmp_path / "@eaDir").mkdir()
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data)
    found = picture_folder.read(str(tmp_path), most=10)
    assert len(found) == 4 and found[0] == whole["1.jpg"] and found[3] == whole["4.jpg"]
    assert pixels(found[1]).tolist() == pixels(whole["2.bmp"]).tolist()
    assert pixels(found[2]).shape == (64, 32, 3)
    assert picture_folder.read(str(tmp_path), most=2) == found[:2]
    assert "@eaDir (1)" in capsys.readouterr().err


@pytest.mark.parametrize("data", [None, b"no picture"])
def test_a_folder_without_good_pictures_ends_it(tmp_path, data):
    if data:
        (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(SystemExit, match=f"--pictures: {tmp_path}"):
        picture_folder.read(str(tmp_path), most=10)
