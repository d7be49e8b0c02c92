"""What a file is, told by its first bytes, whatever its name."""

import os

import pytest

from datasets.files import formats
from tests.support.small_pictures import FORMATS, encoded


def ftyp(main: bytes, *others: bytes) -> bytes:
    brands = main + bytes(4) + b"".join(others)
    return (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08meta" + bytes(40)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_told(form):
    assert formats.kind(encoded(form)[: formats.HEAD]) == FORMATS[form]


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (ftyp(b"heic", b"mif1"), "a HEIC picture"),
        (ftyp(b"mif1", b"mif1", b"heic"), "a HEIC picture"),
        (ftyp(b"heix"), "a HEIC picture"),
        (ftyp(b"isom", b"mp41", b"avc1"), "a video"),
        (ftyp(b"qt  "), "a video"),
        (b"", "an empty file"),
        (bytes(64), "zeros"),
        (b"P1 is the first person, P2 the second", "text"),
        (b"BM is how this text begins, and goes on", "text"),
        ("Größe: 12 пикселей, und mehr als das, damit es reicht ……".encode()[:64], "text"),
        (b"\xef\xbb\xbfname,camera\r\n", "text"),
        (b"\0\x05\x16\x07" + bytes(60), "a sidecar of macOS"),
        (b"PK\x03\x04", "a zip archive"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xff\x0a\x12\x34", "a JPEG XL picture"),
        (b"\x93NUMPY", "nothing known (it begins with 93 4e 55 4d)"),
    ],
)
def test_what_is_no_picture_of_ours_is_said(head, what):
    assert formats.kind(head) is None
    assert formats.described(head).startswith(what)


def test_heic_is_told_from_avif():
    assert formats.is_heic(ftyp(b"mif1", b"heic"))
    assert not formats.is_heic(ftyp(b"mif1", b"avif", b"miaf"))
    assert formats.kind(ftyp(b"mif1", b"miaf", b"avif")) == "AVIF"
    assert formats.kind(ftyp(b"avis", b"msf1")) == "AVIF"
    assert "convert it to JPEG or PNG" in formats.described(ftyp(b"heic"))


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "b.JFIF", "c.Png", "d.tif", "e.WebP", "f.bmp"])
def test_names_of_pictures_in_any_case(name):
    assert formats.named_as_picture(os.path.join("folder.txt", name))


@pytest.mark.parametrize("name", ["jpg", "a.jpg.txt", "a", "a.heic", ".jpg", "a.jpg.json"])
def test_names_of_others(name):
    assert not formats.named_as_picture(name)


def test_pipes_folders_and_what_is_not_there_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop", ".", "nowhere", "a\0b"):
        assert not formats.looks_like_picture(os.path.join(tmp_path, name))
