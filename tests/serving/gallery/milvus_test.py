"""A gallery in Milvus, here Milvus Lite, answers as one in a folder does."""

import dataclasses
import re
import time

import numpy as np
import pytest
from PIL import Image

from serving.errors import ServingError
from serving.gallery import place
from serving.gallery.records import EVERYTHING, Hit, Selection
from serving.gallery.search import exact
from tests.support.fake_embedder import by_colour
from tests.support.gallery_shell import SERVER, run
from tests.support.milvus_galleries import ODD, PLACES, both, loaded, pictures, rows
from tests.support.small_gallery import BINDING, unit_vectors

pytest_plugins = ["tests.support.gallery_fixtures"]  # fake, work

pytest.importorskip("milvus_lite")
milvus_recall = pytest.importorskip("serving.gallery.milvus_recall")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


SELECTIONS = [
    EVERYTHING,
    Selection(cameras=("1",)),
    Selection(cameras=(ODD, "2")),
    Selection(other_than_camera=ODD),
    Selection(other_than_camera="1", cameras=("1", "2")),
    Selection(inserted_before=1020),
    Selection(inserted_before=1020, cameras=("2",)),
    Selection(cameras=("none",)),
    Selection(taken_after=0.1, taken_before=2.6),
    Selection(taken_before=1e-9),
    Selection(taken_after=3.0, cameras=(ODD, "2")),
    Selection(taken_after=3.0, other_than_camera="1"),
]
BY_NAME = [
    Selection(files=("/crops/0/[000].jpg", "/nowhere")),
    Selection(patterns=("/crops/1/*",)),
    Selection(patterns=("*[[]00?].jpg",), files=("/crops/0/[055].jpg",), cameras=("2", ODD)),
]


@pytest.mark.parametrize("selection", SELECTIONS + BY_NAME)
def test_the_same_rows_are_selected(selection):
    (folder, milvus), _ = both()
    assert rows(milvus.pictures(selection)) == rows(folder.pictures(selection))
    assert milvus.count(selection) == folder.count(selection)
    for store in (folder, milvus):
        pages = list(store.pages(selection, 7))
        assert all(0 < len(page) <= 7 for page in pages)
        assert sum(map(len, pages)) == store.count(selection)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_exact_search_finds_the_same_with_the_same_scores(selection):
    (folder, milvus), _ = both()
    queries = unit_vectors(5, seed=3)
    for top in (1, 10, 100):
        expected = folder.nearest(queries, top, selection)
        found = milvus.nearest(queries, top, selection)
        for one, other in zip(expected, found, strict=True):
            assert rows(hit.picture for hit in other) == rows(hit.picture for hit in one)
            np.testing.assert_allclose(
                [hit.score for hit in other], [hit.score for hit in one], atol=1e-6
            )


def test_queries_that_leave_out_their_own_cameras():
    (folder, milvus), vectors = both()
    left_out = ["1", None, ODD]
    for one, other in zip(
        exact(folder, vectors[:3], 9, EVERYTHING, left_out),
        exact(milvus, vectors[:3], 9, EVERYTHING, left_out),
        strict=True,
    ):
        assert rows(hit.picture for hit in other) == rows(hit.picture for hit in one)


def test_what_is_added_replaced_moved_and_removed():
    stores, _ = both()
    results = []
    for store in stores:
        read = {each.file: each for each in store.pictures()}
        first, second, third, fourth = list(read.values())[:4]
        changed = dataclasses.replace(first, content_hash=bytes(32), inserted_at=77)
        again = dataclasses.replace(second, camera="9", tracklet=None, inserted_at=0)
        copy = dataclasses.replace(third, file="/copy")
        apart = dataclasses.replace(third, file="/apart", camera="9", inserted_at=5)
        newer = unit_vectors(4, seed=8)
        copies = store.add([changed, again, copy, apart], newer, once=True)
        overtaken = (first, dataclasses.replace(first, file="/lost"))
        # Two exchange their names; one goes over another's, which is thus removed.
        done = store.move(
            [
                (third, dataclasses.replace(third, file=fourth.file, tracklet=None)),
                (fourth, dataclasses.replace(fourth, file=third.file, camera="8")),
                overtaken,
            ],
            stale=[second],
        )
        removed = store.remove(Selection(cameras=("2",), inserted_before=1030))
        left = store.remove_rows([first, *store.pictures(Selection(files=("/apart",)))])
        assert store.unerased()
        results.append(
            (
                copies,
                [(old.file, new.file) for old, new in done],
                removed,
                left,
                loaded(store),
                store.cameras(),
                store.tracklets(),
                {key: rows(each) for key, each in store.by_content([third.content_hash]).items()},
            )
        )
    for expected, found in zip(*results, strict=True):
        if isinstance(expected, dict):
            for key in {**expected, **found}:
                assert found.get(key) == expected.get(key)
        assert found == expected
    assert results[0][0] == {"/copy": third.file} and len(results[0][1]) == 2


def test_it_is_there_when_it_is_opened_again():
    (folder, milvus), _ = both()
    before = loaded(milvus)
    milvus.close()
    with place.open_gallery("gal.db") as store:
        assert (store.binding, loaded(store)) == (BINDING, before)
        assert abs(store.created_at - folder.created_at) <= 5
    assert place.exists("gal.db") and not place.exists("other.db")


def test_more_than_the_server_returns_is_refused():
    (_, milvus), vectors = both(3)
    with pytest.raises(ServingError, match=r"top=20000: Milvus returns 16384"):
        milvus.nearest(vectors, 20000, EVERYTHING)


def test_the_commands_say_the_same(folder, fake, capsys):
    """But for where the gallery is, and what is told of its files."""
    fake(embed=by_colour)
    (folder / "crops").mkdir()
    for number, camera in enumerate((1, 1, 2, 3)):
        colour = (250, 60 * number, 10)
        Image.new("RGB", (16, 32), colour).save(folder / "crops" / f"{number}_c{camera}.png")
    Image.new("RGB", (16, 32), (240, 20, 20)).save(folder / "query_c1.png")
    outputs = []
    for each in PLACES:
        here = f"--gallery={each}"
        lines = [
            run(capsys, "build", SERVER, here, "crops/0_c1.png"),
            run(capsys, "add", SERVER, here, "crops"),
            run(capsys, "add", SERVER, here, "crops"),
            run(capsys, "search", SERVER, here, "query_c1.png"),
            run(capsys, "search", SERVER, here, "--camera=2", "--camera=1", "query_c1.png"),
            run(capsys, "search", SERVER, here, "--exclude_same_camera", "query_c1.png"),
            run(capsys, "remove", here, "--file=*/0_*", "--dry_run"),
            run(capsys, "remove", here, "--camera=3"),
            run(capsys, "check", here),
            "\n".join(run(capsys, "info", here).splitlines()[1:8]),
        ]
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
        outputs.append([re.sub(moment, "", line.replace(each, "")) for line in lines])
    assert outputs[0] == outputs[1]
    assert "1 pictures removed" in outputs[0][7]


def test_approximate_search_says_what_it_finds(folder, work, fake, capsys):
    run(capsys, "build", SERVER, "--gallery=gal.db", "crops")
    flags = ["--gallery=gal.db", "--approximate", "--exclude_same_camera", "crops/0001_c1s1.jpg"]
    found = run(capsys, "search", SERVER, *flags)
    # So few pictures that every list is visited.
    assert "approximate search: finds 100.0% of the exact 10 nearest" in found


def test_more_lists_are_visited_until_enough_is_found_under_each_filter():
    """The nearest of what passes are found where a fixed number of lists would miss them."""
    many = 4000
    vectors = unit_vectors(many)
    with place.create("gal.db", BINDING, pictures(many), vectors) as milvus:
        queries = unit_vectors(20, seed=3)
        for selection in (
            EVERYTHING,
            Selection(cameras=("1",)),
            Selection(taken_after=100.0, taken_before=200.0),
            Selection(cameras=("1",), inserted_before=1400),
        ):
            truth = milvus.nearest(queries, 10, selection)
            few, end = 1.0, time.monotonic() + 60
            # Until it has its index, of which it doesn't tell, every row is compared.
            while few == 1 and time.monotonic() < end:
                few = milvus_recall.recall(truth, milvus.search(queries, 10, selection, 1)).recall
            hits, quality = milvus_recall.search(milvus, queries, 10, selection)
            assert few < 0.6 < 0.95 <= quality.recall
            assert quality == milvus_recall.recall(truth, hits)


def test_the_share_that_is_found_is_counted_by_scores():
    def hits(*scores):
        return [Hit(picture, score) for score, picture in zip(scores, pictures(9), strict=False)]

    truth = [hits(0.9, 0.8, 0.7), [], hits(0.5)]
    # Equal scores are as good as the exact ones, lower ones aren't.
    found = [hits(0.9, 0.7, 0.6), [], hits(0.4)]
    assert milvus_recall.recall(truth, found) == milvus_recall.Quality(0.5, 10, 3)
    assert milvus_recall.recall([[]], [[]]).recall == 1
