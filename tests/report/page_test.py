"""The page: what it says, that names in it are only names, and what a browser makes of it."""

import dataclasses
import html.parser
import re

import numpy as np
import pytest

from arn_tf.ranking import scores, tracklets
from arn_tf.report import charts, page
from tests.support import browser, small_kept

HOSTILE = "<script>document.title='owned'</script>\"'&"
NAMES = {1: HOSTILE, 2: "Straße Süd", 5: "x" * 90}


class Page(html.parser.HTMLParser):
    """Elements and texts of a page; that every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.text, self.elements, self.texts, self.open = text, [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def of(self, tag):
        return [attributes for each, attributes in self.elements if each == tag]


def made(labelled=True, names=NAMES, **changes):
    kept = small_kept.kept(names=names)
    notes = [f"a note on {HOSTILE}"]
    return page.page(
        small_kept.about(**changes), small_kept.evaluation(kept, labelled, notes)
    ), kept


@pytest.mark.parametrize("labelled", [True, False])
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(labelled):
    text, _ = made(labelled, title=HOSTILE, settings={"seed": 1, "names": HOSTILE})
    found = Page(text)
    assert not re.search(r"(?i)https?://|<script|javascript:|@import|url\(", text)
    assert not {tag for tag, _ in found.elements} & {"script", "link", "iframe", "object", "a"}
    assert not [name for _, each in found.elements for name in each if name.startswith("on")]
    policy = [each["content"] for each in found.of("meta") if "http-equiv" in each]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert all(each["src"].startswith("data:image/jpeg;base64,") for each in found.of("img"))
    assert len(text) < 2_000_000


@pytest.mark.parametrize("labelled", [True, False])
def test_names_are_shown_as_they_are(labelled):
    text, _ = made(labelled, title=HOSTILE)
    found = Page(text)
    assert HOSTILE in found.texts and "Straße Süd" in found.texts
    assert f"A note on {HOSTILE}." in found.texts


def test_what_cannot_be_written_is_escaped():
    text, _ = made(names={1: "caf\udce9", 2: "a\u202eb", 5: "a\x07"})
    text.encode()
    assert "caf\\udce9" in text and "a\\x202eb" in text and "a\\x07" in text


def test_the_scores_are_those_of_the_table():
    text, kept = made()
    row = small_kept.evaluation(kept).rows[1]
    numbers = scores.metrics([row.result])
    found = Page(text)
    assert f"{100 * numbers['mean_ap']:.1f}" in found.texts
    low, high = (f"{100 * each:.1f}" for each in numbers["mean_ap_interval"])
    assert f"[{low}, {high}]" in found.texts and f"95 %: {low} to {high}" in found.texts
    assert "round_2.keras: the latest." in found.texts
    assert "Seed 7. Scored with Python 3.12." in found.texts
    assert "ab" * 32 in found.texts


def test_the_row_by_tracklet_is_in_the_table_alone():
    kept = small_kept.kept()
    plain = small_kept.evaluation(kept)
    query = dataclasses.replace(kept.query, tracklet=np.arange(len(kept.query)) // 2)
    row, _ = tracklets.row(dataclasses.replace(kept, query=query), "adapted")
    about = small_kept.about()
    before = Page(page.page(about, plain)).texts
    after = Page(page.page(about, dataclasses.replace(plain, by_tracklet=row))).texts
    assert after.count(row.title) == 1 and row.title not in before
    assert f"{100 * row.result.mean_ap:.1f}" in after[after.index(row.title) :]
    assert any("By tracklet: 18 of 18 query tracklets" in text for text in after)
    # Pictures' counts, curves and lists are as they were.
    assert after[after.index("CMC") :] == before[before.index("CMC") :]


def test_every_picture_of_a_list_says_whether_it_is_right():
    text, _ = made()
    kinds = [each.get("class") for each in Page(text).of("figure")]
    assert kinds.count("query") == 16 and set(kinds) == {"query", "right", "wrong"}
    assert len(kinds) == 16 * 11
    text, _ = made(labelled=False)
    assert {each.get("class") for each in Page(text).of("figure")} == {"query", ""}


def test_without_labels_nothing_is_called_a_score():
    found = Page(made(labelled=False)[0])
    words = " ".join(found.texts)
    assert "reciprocity" in words and "Surest matches" in words and "mutual rate" in words
    assert "mAP" not in words and "average precision" not in words and "✓" not in words


def test_a_picture_that_cannot_be_shown_leaves_its_place():
    kept = small_kept.kept()
    kept.gallery.images[:] = [b"no picture"] * len(kept.gallery)
    text = page.page(small_kept.about(), small_kept.evaluation(kept))
    assert text.count("can’t be shown") == 160


def test_many_cameras_and_few_pictures_fit():
    kept = small_kept.kept(persons=2, cameras=range(30), shots=1)
    for labelled in (True, False):
        text = page.page(small_kept.about(), small_kept.evaluation(kept, labelled))
        assert "The 24 of 30 cameras" in text


def test_one_query_or_one_camera_is_enough():
    kept = small_kept.kept(persons=1, cameras=[1, 2], shots=1)
    Page(page.page(small_kept.about(choice=None), small_kept.evaluation(kept)))
    for cameras in ([3], [-1]):
        kept = small_kept.kept(persons=2, cameras=cameras, shots=1)
        Page(page.page(small_kept.about(), small_kept.evaluation(kept, labelled=False)))


def test_curves_go_through_their_points():
    x = charts.Axis("k", 1, 3, {1: "1"})
    y = charts.Axis("share", 0, 1, {})
    curve = charts.Line("<t>", np.array([1, 2, 3]), np.array([0, 0.5, 1]), "kept")
    drawn = charts.lines("about", [curve], x, y)
    assert 'd="M46.0 215.0L212.0 113.5L378.0 12.0"' in drawn
    assert "&lt;t&gt;" in drawn and "<t>" not in drawn
    logarithmic = charts.Axis("rate", 1e-3, 1, {}, logarithmic=True)
    np.testing.assert_allclose(logarithmic.share(np.array([0, 1e-3, 1e-1, 1])), [0, 0, 2 / 3, 1])


@pytest.mark.skipif(not browser.CHROMIUM, reason="needs chromium on the PATH")
@pytest.mark.parametrize("labelled", [True, False])
def test_a_browser_shows_everything_at_every_width(tmp_path, labelled):
    text, _ = made(labelled)
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    for width, dark in ((375, True), (1200, False)):
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        found = browser.asked(path, tmp_path / "profile", width, scheme)
        assert found["errors"] == []
        assert found["loaded"] == found["images"] == text.count("<img") > 50
        assert found["width"] <= width
        assert found["title"].startswith("market to duke")
        assert HOSTILE in found["text"]
        shade = int(re.search(r"\d+", found["background"])[0])
        assert (shade < 60) == dark and (shade > 200) == (not dark)
    _, log = browser.browse(path, tmp_path / "profile", "--dump-dom")
    assert "CONSOLE" not in log
