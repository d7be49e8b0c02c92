"""What can't be listed is one finding that stops training; what can't be meant is a usage error."""

import errno

import pytest

from arn_tf.inspection import arguments
from tests.support import silent_disk
from tests.support.small_crops import crop, inspected, write
from tests.support.user_errors import refused


def test_an_empty_folder(tmp_path):
    (tmp_path / "crops").mkdir()
    told = inspected(tmp_path / "crops")
    assert told["findings"].keys() == {"no_pictures"} and told["status"] == 1
    assert (told["pictures"], told["cameras"]) == (0, [])


def test_a_template_that_nothing_is_like(tmp_path):
    write(tmp_path / "crops", 40)
    told = inspected(tmp_path / "crops", "{camera}_{*}")
    assert told["findings"].keys() == {"unlike_names"} and told["status"] == 1
    assert "0000.jpg" in told["findings"]["unlike_names"]["what"]


def test_a_layout_that_can_not_be_guessed(tmp_path):
    for number in range(101):
        (tmp_path / "crops" / str(number)).mkdir(parents=True)
        crop(number).save(tmp_path / "crops" / str(number) / "a.png")
    told = inspected(tmp_path / "crops")
    assert told["findings"].keys() == {"unknown_layout"} and told["status"] == 1


def test_a_table_that_is_none(tmp_path):
    (tmp_path / "table.csv").write_text("path,camera\na.jpg,1\n")
    told = inspected(tmp_path / "table.csv")
    assert told["findings"].keys() == {"unusable_table"} and told["status"] == 1


def test_links_in_a_circle_end(tmp_path):
    write(tmp_path / "crops" / "in", 40)
    (tmp_path / "crops" / "in" / "loop").symlink_to("..")
    assert inspected(tmp_path / "crops", "{camera}/{*}")["pictures"] == 40


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path": "nowhere"}, "nowhere: neither a folder"),
        ({"path": "toy_market"}, "toy_market is a data set that has a name"),
        ({"path": "crops/0000.jpg"}, "neither a folder"),
        ({"names": "{kamera}/{*}"}, "--names={kamera}/.*names none of"),
        ({"path": "table.csv", "names": "{camera}_{*}"}, "--names=.* a table says itself"),
        ({"source": "nowhere"}, "--source=nowhere: neither"),
        ({"source": "market,nowhere"}, "--source=nowhere: neither"),
        ({"source": "market,"}, "--source=market,: name data sets"),
        ({"json": "no/such/report.json"}, "--json=.*no such folder"),
        ({"json": "crops"}, "--json=crops: is no file, but a folder"),
        ({"json": "/dev/null"}, "--json=/dev/null: is no file, but a folder or device"),
        ({"sheets": "crops/sheets"}, "--contact_sheets=.* among the pictures"),
        ({"sheets": "/proc/new/sheets"}, "--contact_sheets=.*: /proc can't be written"),
        ({"json": "/proc/report.json"}, "--json=.*: /proc can't be written"),
        ({"sheets": "table.csv"}, "--contact_sheets=table.csv: is no folder"),
    ],
)
def test_a_mistake_in_an_argument_names_it(tmp_path, monkeypatch, given, words):
    write(tmp_path / "crops", 2)
    (tmp_path / "table.csv").write_text("file\n")
    monkeypatch.chdir(tmp_path)
    usual = {"path": "crops", "names": "", "source": "", "json": "", "sheets": ""}
    with refused(words):
        arguments.check(**usual | given)


def test_a_drive_that_does_not_answer_is_not_missing(tmp_path, monkeypatch):
    (tmp_path / "drive").mkdir()
    silent_disk.below(tmp_path / "drive", errno.ESTALE, monkeypatch)
    with refused(r"drive: can't be read \(Stale file handle\); check its disk or network drive"):
        arguments.check(str(tmp_path / "drive"), "", "", "", "")
