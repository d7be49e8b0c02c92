"""Ranking in blocks: the same as in memory, a slow oracle, copies of pictures, bad blocks."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from arn_tf.ranking import protocol, streamed, tile_ranks

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def exact(seed: int, pictures: int, persons: int, width: int = 16) -> Arrays:
    """Returns +1 and -1 in a power of 4 dimensions: similarities are exact, and many are equal."""
    random = np.random.default_rng(seed)
    return (
        random.choice([-1.0, 1.0], (pictures, width)).astype(np.float32),
        random.integers(-1, persons, pictures),
        random.integers(0, 3, pictures),
    )


def queries_of(arrays: Arrays) -> Arrays:
    """Returns them without junk and distractors, which no query is."""
    embeddings, person, camera = arrays
    return embeddings, np.abs(person) + 1, camera


def cut(gallery: Arrays, *places: int) -> list[Arrays]:
    """Returns the gallery in blocks that begin at 0 and at the places."""
    ends = (0, *places, len(gallery[0]))
    return [
        tuple(array[start:stop] for array in gallery) for start, stop in itertools.pairwise(ends)
    ]


def ranks_by_sorting(query: Arrays, gallery: Arrays) -> list[list[int]]:
    """Returns the ranks of each query's matches by a stable sort of float64 similarities."""
    q, g = (
        (each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float64)
        for each in (query[0], gallery[0])
    )
    found = []
    for unit, person, camera in zip(q, query[1], query[2], strict=True):
        scores = (g * unit).sum(axis=1)
        order = [
            row
            for row in np.argsort(-scores, kind="stable").tolist()
            if gallery[1][row] != -1
            and not (gallery[1][row] == person and gallery[2][row] == camera)
        ]
        found.append([rank for rank, row in enumerate(order, 1) if gallery[1][row] == person])
    return found


def assert_equal(actual: object, expected: object) -> None:
    for name, value in dataclasses.asdict(expected).items():
        np.testing.assert_array_equal(getattr(actual, name), value, err_msg=name)


@pytest.mark.parametrize("places", [(), (1,), (64, 65, 130), tuple(range(1, 150))])
@pytest.mark.parametrize(("block", "columns"), [(256, 16384), (7, 10), (1, 1)])
def test_equals_ranking_in_memory_whatever_the_blocks(places, block, columns, monkeypatch):
    monkeypatch.setattr(streamed, "_COLUMNS", columns)
    query, gallery = queries_of(exact(1, 40, 14)), exact(2, 150, 12)
    expected = protocol.rank_gallery(
        query[0], gallery[0], query[1], gallery[1], query[2], gallery[2]
    )
    assert expected.junk and expected.distractors and expected.valid_queries < 40
    assert_equal(streamed.rank_blocks(*query, cut(gallery, *places), block=block), expected)


@pytest.mark.parametrize("width", [48, 256])
def test_copies_rank_by_row_though_products_round_them_apart(width, monkeypatch):
    # Each picture stands in the gallery sixteen times, under any person.
    random = np.random.default_rng(3)
    pictures = random.standard_normal((120, width), np.float32) + 0.5
    which = random.integers(0, len(pictures), 1919)
    query = queries_of((pictures[:30], random.integers(0, 9, 30), random.integers(0, 3, 30)))
    gallery = pictures[which], random.integers(-1, 60, 1919), random.integers(0, 3, 1919)

    def rounded_apart(query: np.ndarray, gallery: np.ndarray, out: np.ndarray) -> np.ndarray:
        # As some machines do it, by where a picture stands.
        np.matmul(query, gallery.T, out=out)
        out *= 1 + np.finfo(np.float32).eps * random.integers(-1, 2, out.shape).astype(np.float32)
        return out

    monkeypatch.setattr(tile_ranks, "_products", rounded_apart)
    result = streamed.rank_blocks(*query, cut(gallery, 700, 1000))
    for row, ranks in enumerate(ranks_by_sorting(query, gallery)):
        precisions = np.arange(1, len(ranks) + 1) / ranks
        assert result.first_match_rank[row] == ranks[0]
        assert result.average_precision[row] == pytest.approx(precisions.mean(), abs=1e-15)


def test_float16_blocks_are_taken():
    query, gallery = queries_of(exact(4, 20, 9)), exact(5, 90, 9)
    expected = streamed.rank_blocks(*query, [gallery])
    half = (gallery[0].astype(np.float16), *gallery[1:])
    assert_equal(streamed.rank_blocks(*query, cut(half, 30)), expected)


@pytest.mark.parametrize("scale", [1e-42, 1e35])
def test_length_of_embeddings_changes_nothing(scale):
    query, gallery = queries_of(exact(6, 20, 9)), exact(7, 90, 9)
    expected = streamed.rank_blocks(*query, [gallery])
    scaled = (gallery[0] * np.float32(scale), *gallery[1:])
    assert_equal(streamed.rank_blocks(*query, [scaled]), expected)


def test_an_iterator_is_refused_before_it_is_read():
    def blocks() -> Iterator[Arrays]:
        raise AssertionError("read")
        yield

    with pytest.raises(ValueError, match="gallery is read twice"):
        streamed.rank_blocks(*queries_of(exact(1, 3, 3)), blocks())


class Changing:
    """Gives other blocks when it is read again."""

    def __init__(self, *readings: list[Arrays]) -> None:
        self.readings = list(readings)

    def __iter__(self) -> Iterator[Arrays]:
        return iter(self.readings.pop(0))


@pytest.mark.parametrize(
    ("places", "blocks", "message"),
    [
        ((30, 60), 2, "of 3 blocks only 2 came again"),
        ((30, 60, 80), 4, "block 2 had other pictures"),
        ((31, 60), 3, "block 0 had other pictures"),
    ],
)
def test_a_gallery_that_changes_between_the_readings_is_refused(places, blocks, message):
    query, gallery = queries_of(exact(1, 20, 9)), exact(2, 90, 9)
    changing = Changing(cut(gallery, 30, 60), cut(gallery, *places)[:blocks])
    with pytest.raises(ValueError, match=message):
        streamed.rank_blocks(*query, changing)


def test_an_error_of_the_reader_is_passed_on():
    def cut_off() -> Iterator[Arrays]:
        yield exact(2, 90, 9)
        raise OSError("shard 1 is cut off")

    gallery = Changing([])
    gallery.readings = [cut_off()]
    with pytest.raises(OSError, match="shard 1 is cut off"):
        streamed.rank_blocks(*queries_of(exact(1, 20, 9)), gallery)


def bad(place: int, value: object) -> Arrays:
    """Returns a block of two pictures, of which one argument is another."""
    good = [np.eye(2, dtype=np.float32), np.array([1, 2]), np.array([5, 5])]
    good[place] = value
    return tuple(good)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (bad(0, np.eye(3)[:2]), "embeddings have 3 numbers each, the query's 2: .* one model"),
        (bad(0, np.eye(2)), "embeddings are float64, the queries float32"),
        (bad(0, np.float32([[1, 0], [0, 0]])), "embeddings: row 1 is all zeros"),
        (bad(0, np.float32([[1, 0], [np.nan, 0]])), "embeddings: row 1 is not finite"),
        (bad(0, np.ones(2, np.float32)), r"embeddings must be real numbers of shape \[N, D\]"),
        (bad(1, np.array([1])), "person_id must be 2 integers"),
        (bad(1, np.array([1, -2])), "person_id: row 1 is -2"),
        (bad(2, np.array([1.0, 2.0])), "camera_id must be 2 integers"),
        (np.eye(2), "must be a tuple of embeddings, person_id and camera_id"),
    ],
)
def test_a_bad_block_is_named(block, message):
    query = np.eye(2, dtype=np.float32), np.array([1, 2]), np.array([0, 0])
    with pytest.raises(ValueError, match=f"gallery: block 1: {message}"):
        streamed.rank_blocks(*query, [bad(2, np.array([5, 5])), block])


@pytest.mark.parametrize(
    ("gallery", "message"),
    [
        ([], "gallery has no block"),
        ([bad(2, np.array([0, 0]))], "no query has a match.* camera id 0"),
        ([bad(1, np.array([-1, -1]))], "no query has a match.* every gallery picture is junk"),
        ([bad(1, np.array([7, 8]))], "no query has a match.* no person of query_person_id"),
    ],
)
def test_without_any_match(gallery, message):
    query = np.eye(2, dtype=np.float32), np.array([1, 2]), np.array([0, 0])
    with pytest.raises(ValueError, match=message):
        streamed.rank_blocks(*query, gallery)
