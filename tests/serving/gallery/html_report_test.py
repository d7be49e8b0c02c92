"""The page of results: what it says, what it escapes, and how a browser draws it."""

import base64
import html.parser
import io
import os
import re
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from serving.errors import BadInputError
from serving.gallery import html_report
from serving.gallery.records import Picture
from serving.gallery.search import Hit, Result
from serving.gallery.tracklet_search import TrackletHit, TrackletResult
from tests.support.picture_formats import LOSSLESS, TURNED, drawn, encoded

CHROMIUM = shutil.which("chromium")
COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (40, 60, 230),
    "yellow": (230, 220, 40),
}
HOSTILE = "<script>document.title='owned'</script>\"'&.png"


class Page(html.parser.HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def images(self):
        return [attributes for tag, attributes in self.elements if tag == "img"]


def draw(folder, name, colour, size=(64, 128)):
    path = folder / name
    Image.new("RGB", size, colour).save(path)
    return str(path)


def hit(file, score, camera=None):
    return Hit(Picture(file, camera, b"", 1_700_000_000, 1), score)


def written(folder, results, gallery="gal"):
    path = folder / "result.html"
    html_report.write(str(path), results, gallery)
    return Page(path.read_text())


def decoded(image):
    kind, data = image["src"].split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return picture.size, np.asarray(picture).mean(axis=(0, 1))


def test_pictures_ranks_scores_cameras_and_names_in_order(tmp_path):
    files = [draw(tmp_path, f"{name}.png", colour) for name, colour in COLOURS.items()]
    page = written(
        tmp_path,
        [
            Result(files[0], "7", [hit(files[1], 0.98765, "3"), hit(files[2], -0.5)]),
            Result(files[3], None, []),
        ],
    )
    assert [image["alt"] for image in page.images()] == [
        "query: red.png",
        "rank 1: green.png",
        "rank 2: blue.png",
        "query: yellow.png",
    ]
    for image, colour in zip(page.images(), COLOURS.values(), strict=True):
        size, mean = decoded(image)
        assert size == (64, 128)
        np.testing.assert_allclose(mean, colour, atol=4)
    start = page.texts.index("Query")
    assert page.texts[start:] == [
        *("Query", "camera 7", "red.png"),
        *("1", "0.9877", "camera 3", "green.png"),
        *("2", "-0.5000", "no camera", "blue.png"),
        *("Query", "no camera", "yellow.png"),
        "No picture of the gallery passes the filter.",
    ]
    bars = [attributes["style"] for tag, attributes in page.elements if tag == "i"]
    assert bars == ["width:98.8%", "width:0.0%"]
    assert "2 queries against the gallery gal. Scores are cosines." in page.texts


def test_the_page_asks_nothing_of_the_world(tmp_path):
    file = draw(tmp_path, "a.png", (1, 2, 3))
    page = written(tmp_path, [Result(file, None, [hit(file, 1.0)])])
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "a", "object", "form", "base"}
    for _, attributes in page.elements:
        assert not {"href", "srcset", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
    assert "url(" not in (tmp_path / "result.html").read_text()


def test_hostile_names_are_text(tmp_path):
    file = draw(tmp_path, HOSTILE.replace("/", ""), (1, 2, 3))
    camera = "<b onclick=x>"
    page = written(tmp_path, [Result(file, camera, [hit(file, 1.0, camera)])], "<i>gal</i>")
    name = os.path.basename(file)
    assert page.images()[1]["alt"] == f"rank 1: {name}"
    assert page.texts.count(name) == 2 and page.texts.count(f"camera {camera}") == 2
    assert not [tag for tag, _ in page.elements if tag in ("script", "b")]
    steering = str(tmp_path / "a\u202egnp.exe\x07")
    page = written(tmp_path, [Result(steering, None, [])])
    assert r"a\u202egnp.exe\x07" in page.texts


def test_tracklets_are_shown_by_a_few_pictures(tmp_path):
    files = [draw(tmp_path, f"{name}.png", colour) for name, colour in COLOURS.items()]
    gone = str(tmp_path / "gone.png")
    hits = [
        TrackletHit(HOSTILE, "3", 0.98765, 9, [hit(file, 0.9) for file in (*files[1:3], gone)]),
        TrackletHit(None, None, 0.5, 1, [hit(files[3], 0.5)]),
    ]
    results = [
        TrackletResult([files[0]] * 6, "t7", "7", hits),
        TrackletResult([files[3]], None, None, []),
    ]
    page = written(tmp_path, results)
    assert [image["alt"] for image in page.images()] == [
        *["query: red.png"] * 4,
        *("rank 1: green.png", "rank 1: blue.png", "rank 2: yellow.png"),
        "query: yellow.png",
    ]
    assert page.texts[page.texts.index("Query") :] == [
        *("Query", "camera 7", "tracklet", "t7", "6 pictures"),
        *("file is gone", "1", "0.9877", "camera 3", "tracklet", HOSTILE, "9 pictures"),
        *("2", "0.5000", "no camera", "yellow.png"),
        *("Query", "no camera", "yellow.png"),
        "No tracklet of the gallery passes the filter.",
    ]
    assert not [tag for tag, _ in page.elements if tag == "script"]


def bomb(path):
    """A PNG of a few bytes that says it has 30000 x 30000 pixels."""

    def part(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", b""))


def test_pictures_that_cannot_be_shown_have_a_placeholder(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 128), 50).convert("RGB").save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:900])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    bomb(tmp_path / "bomb.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ["cut.jpg", "text.jpg", "empty.jpg", "bomb.png", "pipe.jpg"]
    hits = [hit(str(tmp_path / name), 0.5) for name in [*names, "gone.jpg"]]
    page = written(tmp_path, [Result(str(whole), None, hits)])
    assert [image["alt"] for image in page.images()] == ["query: whole.jpg"]
    assert page.texts.count("file can't be shown") == 5
    assert page.texts.count("file is gone") == 1
    assert {*names, "gone.jpg"} <= set(page.texts)


def test_thumbnails_are_small_and_keep_their_proportions(tmp_path):
    large = draw(tmp_path, "large.jpg", (9, 99, 200), size=(1000, 4000))
    grey = tmp_path / "grey.png"
    Image.new("LA", (400, 400), (100, 0)).save(grey)
    page = written(tmp_path, [Result(large, None, [hit(str(grey), 1.0)])])
    sizes = [decoded(image)[0] for image in page.images()]
    assert sizes == [(96, 384), (192, 192)]
    assert (tmp_path / "result.html").stat().st_size < 20_000


def test_grey_of_16_bits_is_not_white(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((128, 64), 100 * 257, np.uint16)).save(path)
    page = written(tmp_path, [Result(str(path), None, [])])
    size, mean = decoded(page.images()[0])
    assert size == (64, 128)
    np.testing.assert_allclose(mean, [100] * 3, atol=2)


def shown(image):
    with Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_thumbnails_are_upright(tmp_path):
    upright = drawn()
    files = []
    for orientation in (1, *TURNED):
        files.append(str(tmp_path / f"{orientation}.jpg"))
        saved = {"format": "JPEG", "quality": 95, "subsampling": 0}
        (tmp_path / f"{orientation}.jpg").write_bytes(encoded(upright, orientation, **saved))
    page = written(tmp_path, [Result(files[0], None, [hit(file, 0.5) for file in files])])
    assert len(page.images()) == 9
    for image in page.images():
        pixels = shown(image)
        assert pixels.shape == (64, 32, 3)
        assert np.abs(pixels - np.asarray(upright)).mean() < 10


def test_pictures_of_every_format_are_shown(tmp_path):
    hits = []
    for ending, saved in LOSSLESS.items():
        (tmp_path / f"a{ending}").write_bytes(encoded(drawn(), **saved))
        hits.append(hit(str(tmp_path / f"a{ending}"), 0.5))
    page = written(tmp_path, [Result(hits[0].picture.file, None, hits)])
    assert len(page.images()) == 1 + len(hits)
    for image in page.images():
        assert np.abs(shown(image) - np.asarray(drawn())).mean() < 10


def test_a_page_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(result):
        raise KeyboardInterrupt

    monkeypatch.setattr(html_report, "_section", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, [Result("a", None, [])])
    assert os.listdir(tmp_path) == []


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    written(tmp_path, [])
    before = (tmp_path / "result.html").read_bytes()

    def full(result):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(html_report, "_section", full)
    with pytest.raises(BadInputError, match=r"html=.*result.html: can't be written: No space"):
        written(tmp_path, [Result("a", None, [])])
    assert (tmp_path / "result.html").read_bytes() == before
    assert os.listdir(tmp_path) == ["result.html"]


def browse(page, profile, *flags):
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=20000"),
        *("--hide-scrollbars", *flags, page.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def middle(screen, colour):
    """Where the pixels of a colour are: count, mean x, mean y."""
    close = (np.abs(screen.astype(int) - colour) < 12).all(axis=2)
    rows, columns = np.nonzero(close)
    return close.sum(), columns.mean(), rows.mean()


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium on the PATH")
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_draws_the_pictures_in_order_and_runs_nothing(tmp_path, dark):
    files = [draw(tmp_path, f"{name}.png", colour) for name, colour in COLOURS.items()]
    hostile = draw(tmp_path, HOSTILE.replace("/", ""), (120, 30, 160))
    hits = [hit(file, 0.9) for file in (files[2], files[3], files[1], hostile)]
    written(tmp_path, [Result(files[0], "1", hits)])
    page, profile = tmp_path / "result.html", tmp_path / "profile"
    flags = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    shot = tmp_path / "shot.png"
    browse(page, profile, *flags, "--window-size=1100,700", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        screen = np.asarray(picture.convert("RGB"))
    assert (screen[0, 0].max() < 60) == dark and (screen[0, 0].min() > 200) == (not dark)
    places = {name: middle(screen, colour) for name, colour in COLOURS.items()}
    across = sorted(places, key=lambda name: places[name][1])
    assert across == ["red", "blue", "yellow", "green"]
    assert all(count > 10_000 for count, _, _ in places.values())
    heights = [places[name][2] for name in ("blue", "yellow", "green")]
    assert max(heights) - min(heights) < 3
    # Narrow, the query stands above its results.
    browse(page, profile, *flags, "--window-size=500,900", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        screen = np.asarray(picture.convert("RGB"))
    assert middle(screen, COLOURS["red"])[2] + 100 < middle(screen, COLOURS["blue"])[2]

    dom = browse(page, profile, "--dump-dom")
    assert Page(dom).texts.count(os.path.basename(hostile)) == 1
    assert re.search("<title>Search results</title>", dom)
