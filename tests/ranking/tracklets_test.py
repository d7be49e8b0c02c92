"""Scores by tracklet: by hand, against plain loops, and as pictures' where each has one."""

import dataclasses

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.ranking import scores, tracklets
from arn_tf.ranking.evaluation import Kept
from tests.support import small_kept


def split(persons, cameras, numbers=None, views=None, first=0):
    names = [f"{first + row:03d}.png" for row in range(len(persons))]
    images = np.empty(len(names), object)
    images[:] = [name.encode() for name in names]
    return Split(
        images,
        np.array(persons),
        np.array(cameras),
        names,
        tracklet=None if numbers is None else np.array(numbers),
        views=None if views is None else np.array(views),
    )


def at(*degrees):
    """Vectors of several lengths at these angles."""
    angles = np.radians(degrees)
    length = 1 + np.arange(len(angles))[:, np.newaxis] % 3
    return length * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def scored(kept):
    found, notes = tracklets.row(kept, "adapted")
    return found, notes


def test_by_hand():
    """One query tracklet at 10 degrees; gallery tracklets at 40 (person 1) and 20 (person 2).

    By pictures, those of person 1 at 0 and 80 degrees rank first and last.
    """
    query = split([1, 1], [1, 1], [0, 0])
    gallery = split([1, 1, 2, 2, 1], [2, 2, 2, 2, 1], [5, 5, 3, 3, 7])
    kept = Kept("m", query, gallery, at(0, 20), at(0, 80, 15, 25, 10))
    found, notes = scored(kept)
    assert (found.key, found.title, notes) == ("adapted_by_tracklet", "m, by tracklet", [])
    result = found.result
    # Tracklet 7 is of the query's own camera and takes no part.
    assert (result.queries, result.valid_queries) == (1, 1)
    assert result.first_match_rank.tolist() == [2]
    assert (result.mean_ap, result.mean_inp, result.rank(1)) == (0.5, 0.5, 0)
    assert scores.metrics([result])["mean_ap_interval"] == (0.5, 0.5)
    # Means are of unit vectors: at their lengths of 1 and 2 the first would be at 13.3 degrees.
    assert tracklets.counts(found).startswith("By tracklet: 1 of 1 query tracklets have a match")


def test_the_length_of_an_embedding_is_no_weight():
    """Person 1's pictures at 0 and 90 degrees are at 45, however long they are."""
    query, gallery = split([1], [1], [0]), split([1, 1, 2], [2, 2, 2], [0, 0, 1])
    vectors = np.array([[1, 0], [0, 50], [0.6, 0.8]])
    [near] = at(46)
    kept = Kept("m", query, gallery, near[np.newaxis], vectors)
    assert scored(kept)[0].result.first_match_rank.tolist() == [1]


@pytest.mark.parametrize("sides", ["both", "query", "gallery"])
def test_tracklets_of_one_picture_score_as_pictures(sides):
    kept = small_kept.kept()
    expected = scores.score(
        kept.query_embeddings, kept.gallery_embeddings, kept.query, kept.gallery
    )
    query, gallery = (
        dataclasses.replace(each, tracklet=np.random.default_rng(3).permutation(len(each)))
        if sides in ("both", side)
        else each
        for side, each in (("query", kept.query), ("gallery", kept.gallery))
    )
    found, notes = scored(dataclasses.replace(kept, query=query, gallery=gallery))
    assert notes == []
    assert found.result.to_json() == pytest.approx(expected.to_json(), abs=1e-12)
    np.testing.assert_array_equal(found.result.first_match_rank, expected.first_match_rank)


def test_agrees_with_loops():
    kept = small_kept.kept(noise=2.0)
    rng = np.random.default_rng(8)
    query, gallery = (
        dataclasses.replace(each, tracklet=rng.integers(-1, 12, len(each)))
        for each in (kept.query, kept.gallery)
    )
    kept = dataclasses.replace(kept, query=query, gallery=gallery)

    def groups(part, embeddings):
        """[(person, camera, mean)] in the order of first pictures."""
        found = {}
        for row in range(len(part)):
            own = part.tracklet[row] if part.tracklet[row] >= 0 else f"alone {row}"
            key = own, part.person_id[row], part.camera_id[row]
            unit = embeddings[row] / np.linalg.norm(embeddings[row])
            found.setdefault(key, []).append(unit)
        return [(p, c, np.mean(v, axis=0)) for (_, p, c), v in found.items()]

    entries = [each for each in groups(gallery, kept.gallery_embeddings) if each[0] != -1]
    precisions = []
    for person, camera, mean in groups(query, kept.query_embeddings):
        ranked = sorted(
            (each for each in entries if each[0] != person or each[1] != camera),
            key=lambda each: -(each[2] @ mean) / np.linalg.norm(each[2]),
        )
        right = np.array([each[0] == person for each in ranked])
        precisions.append(np.mean(np.arange(1, right.sum() + 1) / (np.flatnonzero(right) + 1)))
    found, _ = scored(kept)
    np.testing.assert_allclose(found.result.average_precision, precisions)
    assert found.result.distractors == 1 and found.result.junk == 1


def test_without_tracklets_there_is_no_row():
    kept = small_kept.kept()
    assert scored(kept) == (None, [])
    none = dataclasses.replace(kept.query, tracklet=np.full(len(kept.query), -1))
    assert scored(dataclasses.replace(kept, query=none)) == (None, [])


def test_a_tracklet_of_two_persons_is_told_and_taken_apart():
    query, gallery = split([1], [1], [0]), split([1, 2, -1], [2, 2, 2], [4, 4, 4], first=10)
    found, [note] = scored(Kept("m", query, gallery, at(0), at(30, 10, 0)))
    assert found.result.first_match_rank.tolist() == [2]
    assert found.result.junk == 1
    assert note == (
        "1 tracklets hold pictures of more than one person, such as that of 010.png; each counts "
        "as one tracklet for each person"
    )


def test_with_views_of_pictures_a_tracklet_is_no_match_of_its_own():
    """Pictures are searched among themselves, in one camera: tracklets 0 and 1 are of person 1."""
    both = split([1, 1, 1, 2], [1] * 4, [0, 0, 1, 2], views=[0, 1, 2, 3])
    vectors = at(0, 10, 40, 20)
    found, _ = scored(Kept("m", both, both, vectors, vectors))
    assert found.result.queries == 3 and found.result.valid_queries == 2
    # From 5 degrees: 20 (person 2), then 40. From 40: 20, then 5.
    assert found.result.first_match_rank.tolist() == [2, 2, 0]
    # A gallery tracklet that shares one picture with the query's is that tracklet, too.
    query = both.subset(np.array([0, 1]))
    gallery = both.subset(np.array([1, 2, 3]))
    found, _ = scored(Kept("m", query, gallery, vectors[:2], vectors[1:]))
    assert found.result.first_match_rank.tolist() == [2]


def test_where_no_tracklet_has_a_match_a_note_says_so():
    both = split([1, 1], [1, 1], [0, 0], views=[0, 1])
    found, [note] = scored(Kept("m", both, both, at(0, 10), at(0, 10)))
    assert found is None and note.startswith("no query tracklet has a match")
