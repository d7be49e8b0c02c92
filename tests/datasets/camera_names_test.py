"""Cameras read off the names of files."""

import subprocess
import sys

import pytest

from datasets import camera_names
from tests.support.places import ROOT


@pytest.mark.parametrize(
    ("file", "camera"),
    [
        ("0002_c1s1_000451_03.jpg", "1"),
        ("0001_c12_f0046182.jpg", "12"),
        ("crops_c9/0001_c2.jpg", "2"),
        ("crops_c9/0001.jpg", None),
        ("\udcff_c3.jpg", "3"),
        ("", None),
    ],
)
def test_the_names_of_the_archives(file, camera):
    assert camera_names.name_of(file, camera_names.compile_pattern(camera_names.PATTERN)) == camera


def test_names():
    pattern = camera_names.compile_pattern(r"_c(\d*)")
    found = [camera_names.name_of(f"c/1_c{name}.jpg", pattern) for name in ("07", "", "x")]
    assert found == ["07", None, None]
    optional = camera_names.compile_pattern(r"_c7(\d)?")
    assert camera_names.name_of("1_c7.jpg", optional) is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("07", 7),
        (None, -1),
        ("0" * 30 + "5", 5),
        ("9" * 18, 10**18 - 1),
        (str(2**63 - 1), 2**63 - 1),
        ("", -1),
        ("-1", -1),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", 7),
    ],
)
def test_numbers(name, number):
    assert camera_names.number_of(name) == number


@pytest.mark.parametrize("name", ["door", "Löbby", "9" * 19, str(2**63), "9" * 5000, "²", "0x1"])
def test_other_names_have_numbers_of_their_own(name):
    number = camera_names.number_of(name)
    assert 2**52 <= number < 2**53  # a double holds it
    assert camera_names.number_of(name) == number
    assert camera_names.number_of(name + " ") != number


def test_the_number_of_a_name_stays_for_ever():
    """It is in checkpoints and exports; from `printf entrance | sha256sum`."""
    assert camera_names.number_of("entrance") == 5325515972701322


def test_a_name_has_one_number_however_its_umlaut_is_written():
    assert camera_names.number_of("Lo\u0308bby") == camera_names.number_of("L\u00f6bby")


def test_numbers_of_files():
    pattern = camera_names.compile_pattern(camera_names.PATTERN)
    files = ["a/1_c3.jpg", "a/2.jpg", "a/3_c0.jpg"]
    assert camera_names.numbers_of(files, pattern) == [3, -1, 0]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"_c(\d+", r"^missing \), unterminated .* no regular expression$"),
        (r"_c(\d{99999999999})", "no regular expression"),
        ("(" * 10**5, "no regular expression"),
        (r"_c\d+", r"^needs one group, as in '_c\(\\d\+\)'.* has 0$"),
        (r"_(c)(\d+)", "needs one group.* has 2$"),
    ],
)
def test_patterns_that_are_refused(pattern, words):
    with pytest.raises(ValueError, match=words):
        camera_names.compile_pattern(pattern)


def test_it_needs_the_standard_library_alone():
    code = "import sys, datasets.camera_names; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "datasets.camera_names" in loaded and "numpy" not in loaded
