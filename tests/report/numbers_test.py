"""The page's numbers, beside a slow computation that goes from picture to picture."""

import dataclasses

import numpy as np
import pytest

from arn_tf.ranking.evaluation import Kept
from arn_tf.report import camera_pairs, cameras, histograms, lists, neighbours
from tests.support import small_kept


def cosine(left, right):
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def average_precision(kept, row, column_camera):
    """(rank-1, AP) of a query among the gallery pictures of one camera; None without a match."""
    query, gallery = kept.query, kept.gallery
    found = []
    for other in range(len(gallery)):
        same = gallery.person_id[other] == query.person_id[row]
        own = gallery.view_id[other] == query.view_id[row]
        if gallery.camera_id[other] != column_camera or gallery.person_id[other] == -1:
            continue
        if same and own:
            continue
        found.append((cosine(kept.query_embeddings[row], kept.gallery_embeddings[other]), same))
    right = [same for _, same in sorted(found, key=lambda each: -each[0])]
    if not any(right):
        return None
    precision = [sum(right[: k + 1]) / (k + 1) for k in range(len(right)) if right[k]]
    return float(right[0]), float(np.mean(precision))


def test_scores_from_camera_to_camera():
    kept = small_kept.kept()
    found = camera_pairs.scores(kept)
    assert found.names == ["c1", "c2", "c5"]
    for row, one in enumerate((1, 2, 5)):
        for column, other in enumerate((1, 2, 5)):
            queries = np.flatnonzero(kept.query.camera_id == one)
            wanted = [average_precision(kept, query, other) for query in queries]
            wanted = [each for each in wanted if each]
            assert found.counts[row, column] == len(wanted) == (12 if row != column else 0)
            got = found.values["rank-1"][row, column], found.values["mAP"][row, column]
            if row == column:
                assert np.isnan(got).all()
            else:
                np.testing.assert_allclose(got, np.mean(wanted, axis=0))


def test_where_the_own_camera_counts_it_has_a_score():
    kept = small_kept.kept()
    query, gallery = (
        dataclasses.replace(split, views=np.arange(first, first + len(split)))
        for first, split in ((0, kept.query), (1000, kept.gallery))
    )
    kept = Kept(kept.title, query, gallery, kept.query_embeddings, kept.gallery_embeddings)
    found = camera_pairs.scores(kept)
    queries = np.flatnonzero(query.camera_id == 2)
    wanted = np.mean([average_precision(kept, row, 2) for row in queries], axis=0)
    np.testing.assert_allclose([found.values[n][1, 1] for n in ("rank-1", "mAP")], wanted)


def test_few_queries_have_a_dash():
    found = camera_pairs.scores(small_kept.kept(persons=4))
    assert found.counts[0, 1] == 8 < camera_pairs.LEAST_QUERIES
    assert np.isnan(found.values["mAP"]).all()


@pytest.mark.parametrize("block", [5, 256])
def test_mutual_nearest_neighbours(monkeypatch, block):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    kept = small_kept.kept()
    split, vectors = kept.query, kept.query_embeddings
    found = neighbours.neighbours(kept)

    def nearest(row, chosen):
        return max(chosen, key=lambda other: cosine(vectors[row], vectors[other]))

    places = {camera: np.flatnonzero(split.camera_id == camera) for camera in (1, 2, 5)}
    for row, one in enumerate(places):
        for column, other in enumerate(places):
            if one == other:
                assert np.isnan(found.matrix.values["reciprocity"][row, column])
                continue
            pairs = [(p, nearest(p, places[other])) for p in places[one]]
            pairs = [(p, q) for p, q in pairs if nearest(q, places[one]) == p]
            mean = np.mean([cosine(vectors[p], vectors[q]) for p, q in pairs])
            got = {name: value[row, column] for name, value in found.matrix.values.items()}
            assert got["reciprocity"] == pytest.approx(len(pairs) / 12)
            assert got["mean similarity"] == pytest.approx(mean)
            assert found.matrix.counts[row, column] == len(pairs)
    over_all = [
        nearest(row, np.flatnonzero(split.camera_id != split.camera_id[row]))
        for row in range(len(split))
    ]
    assert found.nearest.tolist() == over_all
    mutual = [p for p, q in enumerate(over_all) if over_all[q] == p and p < q]
    assert found.mutual().tolist() == mutual
    np.testing.assert_allclose(found.similarity[3], cosine(vectors[3], vectors[over_all[3]]))


def test_of_one_camera_or_none_all_others_are_neighbours():
    for camera in (4, -1):
        kept = small_kept.kept(cameras=[camera], shots=2)
        found = neighbours.neighbours(kept)
        assert found.matrix is None
        vectors = kept.query_embeddings
        others = [row for row in range(len(vectors)) if row != 5]
        assert found.nearest[5] == max(others, key=lambda row: cosine(vectors[5], vectors[row]))
        best, worst = lists.by_similarity(kept, found)
        assert best[0].score >= worst[0].score and best[0].rows[0] == found.nearest[best[0].query]


@pytest.mark.parametrize("labelled", [True, False])
def test_histograms(labelled):
    kept = small_kept.kept()
    # The first query is a gallery picture, too.
    images = kept.gallery.images.copy()
    images[0] = kept.query.images[0]
    gallery = dataclasses.replace(kept.gallery, images=images)
    kept = Kept(kept.title, kept.query, gallery, kept.query_embeddings, kept.gallery_embeddings)
    found = histograms.histograms(kept, labelled)
    assert (found.queries, found.gallery) == (len(kept.query), len(gallery))
    wanted = {}
    for row in range(len(kept.query)):
        for other in range(len(gallery)):
            if (row, other) == (0, 0) or (labelled and gallery.person_id[other] == -1):
                continue
            within = kept.query.camera_id[row] == gallery.camera_id[other]
            same = kept.query.person_id[row] == gallery.person_id[other]
            group = ("same person" if same else "other person") if labelled else "all pairs"
            key = "within a camera" if within else "between cameras", group
            value = cosine(kept.query_embeddings[row], kept.gallery_embeddings[other])
            wanted.setdefault(key, []).append(value)
    got = {(place, group): n for place, each in found.counts.items() for group, n in each.items()}
    assert set(got) == set(wanted)
    for key, values in wanted.items():
        bins = np.zeros(100, int)
        for value in values:
            bins[min(int((value + 1) / 0.02), 99)] += 1
        assert got[key].sum() == len(values)
        # A value at the edge of a bin may fall to either side.
        assert np.abs(got[key] - bins).sum() <= 2


def test_large_splits_are_sampled_evenly(monkeypatch):
    monkeypatch.setattr(histograms, "MOST_QUERIES", 5)
    found = histograms.histograms(small_kept.kept(), True)
    assert found.queries == 5


def test_the_lists_are_the_best_and_the_worst():
    kept = small_kept.kept()
    result = small_kept.evaluation(kept)["adapted"]
    best, worst = lists.by_precision(kept, result)
    precision = result.average_precision
    assert best[0].score == precision.max() and worst[0].score == precision.min()
    assert [each.score for each in best] == sorted((each.score for each in best), reverse=True)
    assert [each.score for each in worst] == sorted(each.score for each in worst)
    for some in (best, worst):
        assert len(some) == lists.COUNT
        # Six persons: each is there before one is there twice.
        assert len({kept.query.person_id[each.query] for each in some}) >= 5
    assert not {each.query for each in best} & {each.query for each in worst}
    one = worst[0]
    right = kept.gallery.person_id[one.rows] == kept.query.person_id[one.query]
    assert one.correct.tolist() == right.tolist()
    assert not (right & (kept.gallery.camera_id[one.rows] == kept.query.camera_id[one.query])).any()
    assert (np.diff(one.similarity) <= 0).all() and len(one.rows) == lists.LENGTH


def test_without_labels_the_lists_go_by_the_nearest():
    kept = small_kept.evaluation(small_kept.kept(), labelled=False).kept
    found = neighbours.neighbours(kept)
    best, worst = lists.by_similarity(kept, found)
    mutual = found.similarity[found.mutual()]
    assert (best[0].score, worst[0].score) == (mutual.max(), mutual.min())
    for each in (*best, *worst):
        assert each.correct is None
        assert each.rows[0] == found.nearest[each.query]
        camera = kept.query.camera_id
        assert (camera[each.rows] != camera[each.query]).all()


def test_cameras_are_in_a_readers_order():
    named = {2**52 + 1: "gate10", 2**52 + 9: "gate2", 2**60: "Außen"}
    split = small_kept.split([1] * 6, [11, 2**52 + 1, 3, 2**52 + 9, -1, 2**60], named)
    assert [*cameras.names(split).values()] == ["c3", "c11", "Außen", "gate2", "gate10"]
    assert cameras.name(split, 4) == "unknown camera"
