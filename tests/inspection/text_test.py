"""The text says what the JSON says, and no name steers a terminal."""

import os
import re

import pytest

from arn_tf.inspection import amounts, names, text
from tests.support.small_crops import crop, inspected, two_cameras, write


@pytest.fixture
def messy(tmp_path):
    folder = tmp_path / "crops"
    inside, _ = two_cameras(folder)
    (inside / "empty.jpg").write_bytes(b"")
    crop(1, (90, 60)).save(inside / "wide.png")
    (folder / "@eaDir").mkdir()
    crop(1).save(folder / "@eaDir" / "thumb.png")
    return folder


def test_the_text_has_the_counts_of_the_json(messy, capsys):
    told = inspected(messy)
    printed = capsys.readouterr().out
    assert f"{messy}: {told['pictures']} pictures" in printed
    assert f"{told['readable']} of {told['pictures']}" in printed
    assert " ".join(printed.split()).count(told["told_by"]) == 1
    for camera in told["cameras"]:
        size = "x".join(map(str, camera["median_size"]))
        row = rf"^  {camera['name']} +{camera['pictures']} +{size} .* 2\.00$"
        assert camera["median_aspect"] == 2
        assert re.search(row, printed, re.MULTILINE)
        assert ", ".join(camera["examples"]) in " ".join(printed.split())
    findings = told["findings"].values()
    lines = re.findall(r"^(harms|note|stops) +(.*?) \((\d+)\)(?::|$)", printed, re.MULTILINE)
    assert lines == [(each["level"], each["what"], str(each["count"])) for each in findings]
    assert "@eaDir (1)" in printed and "@eaDir (1)" in told["notes"][0]


def test_no_line_is_longer_than_a_terminal_is_wide(messy, capsys):
    inspected(messy, "{camera}/{*}")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, [line for line in lines if str(messy) not in line])) <= 100


def test_names_are_escaped(tmp_path, capsys):
    folder = tmp_path / "crops"
    write(folder / "a\n\x1b[31mb", 20)
    write(folder / "Süd \"'", 20, 100)
    os.makedirs(os.fsencode(folder) + b"/w\xff")
    crop(1).save(os.fsencode(folder).decode() + "/w\udcff/p\udcfe.png")
    told = inspected(folder)
    printed = capsys.readouterr().out
    printed.encode()
    assert "\x1b" not in printed and r"a\n\x1b[31mb" in printed
    assert r"w\xff/p\xfe.png" in printed and "Süd \"'" in printed
    assert {camera["name"] for camera in told["cameras"]} == {
        "a\n\x1b[31mb",
        "Süd \"'",
        "w\udcff",
    }


def test_many_cameras_do_not_hide_the_findings(tmp_path, capsys):
    for number in range(45):
        (tmp_path / "crops" / f"camera{number}").mkdir(parents=True)
        crop(number).save(tmp_path / "crops" / f"camera{number}" / "a.png")
    assert len(inspected(tmp_path / "crops")["cameras"]) == 45
    printed = capsys.readouterr().out
    assert "5 more cameras are in --json" in printed


def test_columns_stay_in_line_with_wide_letters():
    assert text._width("门口") == text._width("door")


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (24_576, "24.6 KB"), (2e12, "2.0 TB"), (1.5e8, "150 MB")],
)
def test_amounts(size, words):
    assert amounts.amount(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (180000, "2 d 2 h")]
)
def test_durations(seconds, words):
    assert amounts.duration(seconds) == words


def test_shortened_names_keep_their_ends():
    assert names.shortened("abcdefghij", 5) == "ab…" + "ij"
    assert names.shortened("abc", 3) == "abc"
