"""Scores, ranked lists and tables of splits."""

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.ranking import intervals as ranking_intervals
from arn_tf.ranking import results, scores
from tests.support import small_data


def split(persons: list[int], cameras: list[int]) -> Split:
    images = np.empty(len(persons), object)
    images[:] = [
        small_data.picture(p, c, shot)
        for shot, (p, c) in enumerate(zip(persons, cameras, strict=True))
    ]
    return Split(
        images, np.array(persons), np.array(cameras), [f"{i}.jpg" for i in range(len(images))]
    )


QUERY = split([1, 2], [1, 1])
GALLERY = split([1, 2, 0, 1, -1], [2, 2, 2, 1, 2])
# The first query finds its match at rank 2, behind a distractor; the second at rank 1.
QUERY_EMBEDDINGS = np.array([[1.0, 0.0], [0.0, 1.0]])
GALLERY_EMBEDDINGS = np.array([[0.9, 0.1], [0.0, 1.0], [1.0, 0.05], [1.0, 0.0], [1.0, 0.0]])


def test_scores_follow_the_protocol():
    result = scores.score(QUERY_EMBEDDINGS, GALLERY_EMBEDDINGS, QUERY, GALLERY)
    assert result.rank(1) == 0.5
    assert result.rank(5) == 1.0
    assert result.mean_ap == pytest.approx((1 / 2 + 1) / 2)
    assert (result.queries, result.junk, result.distractors) == (2, 1, 1)


@pytest.mark.parametrize(
    "gallery, value, words",
    [
        (split([1, 2], [1, 1]), 1.0, "all pictures have the camera id 1"),
        (split([3, 4], [2, 2]), 1.0, "no person of query_person_id"),
        (split([1, 2], [2, 2]), np.nan, "row 0 is not finite"),
    ],
)
def test_what_cannot_be_scored_is_an_error_with_the_reason(gallery, value, words):
    with pytest.raises(UserError, match=f"splits can't be scored: .*{words}"):
        scores.score(QUERY_EMBEDDINGS, np.full((2, 2), value), QUERY, gallery)


def test_ranked_lists_show_what_was_found(monkeypatch):
    drawn = {}

    def draw(rows, header):
        drawn.update(rows=rows, header=header)

    monkeypatch.setattr(scores.ranked_lists, "draw", draw)
    scores.draw_ranked_lists(QUERY_EMBEDDINGS, GALLERY_EMBEDDINGS, QUERY, GALLERY, "a title")
    assert drawn["header"] == "a title"
    first, second = drawn["rows"]
    assert first.query.image == QUERY.images[0]
    assert first.query.correct is None
    # Neither the junk nor the person's picture from the query's own camera.
    assert [t.image for t in first.gallery] == [GALLERY.images[i] for i in (2, 0, 1)]
    assert [t.correct for t in first.gallery] == [False, True, False]
    assert first.gallery[0].caption == "0.999\nc2"
    assert [t.correct for t in second.gallery][:1] == [True]


@pytest.mark.parametrize(
    ("cameras", "nearest"), [([1, 2, 2, 1], [(2, 1), (3, 0)]), ([4] * 4, [(3, 2, 1), (2, 3, 0)])]
)
def test_lists_without_labels_are_of_other_cameras_or_of_all(monkeypatch, cameras, nearest):
    drawn = []
    monkeypatch.setattr(scores.ranked_lists, "draw", lambda rows, header: drawn.extend(rows))
    pictures = split([1, 2, 3, 4], cameras)
    embeddings = np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6], [0.96, 0.28]])
    scores.draw_lists_across_cameras(embeddings, pictures, "title", count=4)
    for row, expected in enumerate(nearest):
        found = [thumbnail.image for thumbnail in drawn[row].gallery]
        assert found == [pictures.images[i] for i in expected]


@pytest.mark.parametrize("count, shown", [(1, 1), (2, 2), (8, 2)])
def test_ranked_lists_have_a_line_for_each_query(count, shown):
    arguments = QUERY_EMBEDDINGS, GALLERY_EMBEDDINGS, QUERY, GALLERY, "title"
    picture = scores.draw_ranked_lists(*arguments, count=count)
    one = scores.draw_ranked_lists(*arguments, count=1)
    assert picture.mode == "RGB"
    assert (picture.height - one.height) // 128 == shown - 1


def result(query_embeddings: np.ndarray = QUERY_EMBEDDINGS) -> results.RankingResult:
    return scores.score(query_embeddings, GALLERY_EMBEDDINGS, QUERY, GALLERY)


def test_metrics_of_one_seed():
    found = scores.metrics([result()])
    intervals = {name: found.pop(name) for name in ("rank-1_interval", "mean_ap_interval")}
    assert found == result().to_json()
    assert intervals == {
        "rank-1_interval": ranking_intervals.interval([0.0, 1.0]),
        "mean_ap_interval": ranking_intervals.interval([0.5, 1.0]),
    }
    # Of two queries either can be drawn twice.
    assert intervals["mean_ap_interval"] == (0.5, 1.0)


def test_metrics_over_seeds():
    """The other seed's first query finds its match at once, its second at rank 4."""
    other = result(np.array([[0.9, 0.1], [1.0, 0.0]]))
    assert other.average_precision.tolist() == pytest.approx([1.0, 1 / 4])
    found = scores.metrics([result(), other])
    assert found["rank-1"] == (0.5, 0.0)
    # Seeds have 3/4 and 5/8, whose deviation is 1/8 / sqrt(2); queries, over seeds, the same two.
    assert found["mean_ap"] == pytest.approx((11 / 16, 1 / 8 / np.sqrt(2)))
    assert found["mean_ap_interval"] == pytest.approx((5 / 8, 3 / 4))
    # Seed by seed one query is found and the other isn't; over both, each is found once.
    assert found["rank-1_interval"] == (0.5, 0.5)


def test_the_table():
    names = ("rank-1", "rank-5", "rank-10", "rank-20", "mean_ap", "mean_ap_trapezoid")
    spread = dict.fromkeys(names, (0.5, 0.0123)) | {"mean_ap_interval": (0.498, 0.6504)}
    table = scores.table([("ARN", scores.metrics([result()])), ("over seeds", spread)])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    ranks = ["rank-1", "rank-5", "rank-10", "rank-20"]
    assert cells[0] == ["", *ranks, "mAP", "mAP 95%", "trapezoid mAP"]
    assert set("".join(cells[1])) == {"-"}
    assert cells[2] == ["ARN", "50.0", "100.0", "100.0", "100.0", "75.0", "[50.0, 100.0]", "62.5"]
    assert cells[3] == ["over seeds", *["50.0 ± 1.2"] * 5, "[49.8, 65.0]", "50.0 ± 1.2"]
    assert len({len(line) for line in table.splitlines()}) == 1
