"""The ranking protocol: worked examples, a slow oracle, and a golden file."""

import json
import math
from typing import Any

import numpy as np
import pytest

from arn_tf.ranking import match_ranks, protocol, reranking
from tests.support.places import SHARED

GOLDEN = SHARED / "reference" / "ranking_golden.npz"
ARGUMENTS = (
    "query_embeddings",
    "gallery_embeddings",
    "query_person_id",
    "gallery_person_id",
    "query_camera_id",
    "gallery_camera_id",
)


def line(flags: str) -> dict[str, Any]:
    """Returns one query whose gallery, in the order of its rows, matches as the flags say."""
    angle = np.arange(len(flags)) / 10
    return {
        "query_embeddings": np.array([[1.0, 0.0]]),
        "gallery_embeddings": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        "query_person_id": [1],
        "gallery_person_id": [1 if flag == "1" else 2 for flag in flags],
        "query_camera_id": [1],
        "gallery_camera_id": [2] * len(flags),
    }


def random_arguments(
    seed: int,
    queries: int = 40,
    gallery: int = 150,
    persons: int = 12,
    cameras: int = 3,
    width: int = 16,
) -> dict[str, np.ndarray]:
    """Returns junk, distractors, queries without a match, and exact ties by the hundred.

    Embeddings are +1 and -1 in a power of 4 dimensions: normalised, and multiplied in
    any order, they stay exact, so equal similarities are equal to the last bit.
    """
    random = np.random.default_rng(seed)
    return {
        "query_embeddings": random.choice([-1.0, 1.0], (queries, width)).astype(np.float32),
        "gallery_embeddings": random.choice([-1.0, 1.0], (gallery, width)).astype(np.float32),
        "query_person_id": random.integers(1, persons + 4, queries),
        "gallery_person_id": random.integers(-1, persons + 1, gallery),
        "query_camera_id": random.integers(0, cameras, queries),
        "gallery_camera_id": random.integers(0, cameras, gallery),
    }


def oracle(
    arguments: dict[str, Any], max_rank: int
) -> tuple[dict[str, Any], list[tuple[list[int], np.ndarray]]]:
    """Applies the protocol in loops over one stably sorted list per query.

    Returns:
        scores by name, and (rows, similarities) of each query.
    """
    query, gallery, q_person, g_person, q_camera, g_camera = (
        np.asarray(arguments[name]) for name in ARGUMENTS
    )
    query = query / np.linalg.norm(query, axis=1, keepdims=True)
    gallery = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    lists, first, ap, trapezoid, inverse_penalty = [], [], [], [], []
    for i in range(len(query)):
        scores = gallery @ query[i]
        order = [
            row
            for row in np.argsort(-scores, kind="stable").tolist()
            if g_person[row] != -1
            and not (g_person[row] == q_person[i] and g_camera[row] == q_camera[i])
        ]
        lists.append((order, scores[order]))
        flags = [g_person[row] == q_person[i] for row in order]
        matches, before, precisions, trapezes = 0, 1.0, [], []
        for position, flag in enumerate(flags, 1):
            matches += flag
            now = matches / position
            if flag:
                precisions.append(now)
                trapezes.append((before + now) / 2)
            before = now
        first.append(flags.index(True) + 1 if matches else 0)
        ap.append(np.mean(precisions) if matches else math.nan)
        trapezoid.append(np.mean(trapezes) if matches else math.nan)
        inverse_penalty.append(precisions[-1] if matches else math.nan)
    hits = [rank for rank in first if rank]
    return {
        "cmc": [sum(rank <= k for rank in hits) / len(hits) for k in range(1, max_rank + 1)],
        "mean_ap": np.nanmean(ap),
        "mean_ap_trapezoid": np.nanmean(trapezoid),
        "mean_inp": np.nanmean(inverse_penalty),
        "valid_queries": len(hits),
        "average_precision": ap,
        "first_match_rank": first,
    }, lists


@pytest.mark.parametrize(
    ("flags", "mean_ap", "trapezoid"),
    [
        ("1", 1, 1),
        ("01", 1 / 2, 1 / 4),
        ("0101", 1 / 2, 1 / 3),
        ("101", 5 / 6, 19 / 24),
        ("10011", 7 / 10, 59 / 90),
    ],
)
def test_average_precision_by_hand(flags, mean_ap, trapezoid):
    result = protocol.rank_gallery(**line(flags))
    assert result.mean_ap == pytest.approx(mean_ap, abs=1e-12)
    assert result.mean_ap_trapezoid == pytest.approx(trapezoid, abs=1e-12)
    assert result.mean_inp == pytest.approx(flags.count("1") / (flags.rindex("1") + 1))
    assert result.first_match_rank.tolist() == [flags.index("1") + 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sort_cost", [0, match_ranks._SORT_COST, 10**9])
def test_equals_slow_oracle(seed, sort_cost, monkeypatch):
    # The two ways of counting must agree, whichever would have been chosen.
    monkeypatch.setattr(match_ranks, "_SORT_COST", sort_cost)
    arguments = random_arguments(seed)
    expected, _ = oracle(arguments, max_rank=30)
    result = protocol.rank_gallery(**arguments, max_rank=30)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(result, name), value, rtol=0, atol=1e-12, err_msg=name)
    assert 0 < result.valid_queries < result.queries == 40
    assert result.junk == np.sum(arguments["gallery_person_id"] == -1) > 0
    assert result.distractors == np.sum(arguments["gallery_person_id"] == 0) > 0


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_ranked_list_equals_slow_oracle(k):
    arguments = random_arguments(seed=7)
    _, lists = oracle(arguments, max_rank=1)
    for i, (rows, scores) in enumerate(lists):
        one = {name: arguments[name] for name in ARGUMENTS if name.startswith("gallery")}
        one |= {name: arguments[name][i] for name in ("query_person_id", "query_camera_id")}
        actual = protocol.ranked_list(arguments["query_embeddings"][i], **one, k=k)
        assert actual[0].tolist() == rows[:k]
        np.testing.assert_array_equal(actual[1], scores[:k])


def test_equals_golden_file():
    if not GOLDEN.is_file():
        pytest.skip("shared/reference/ranking_golden.npz is not here")
    with np.load(GOLDEN) as golden:
        result = protocol.rank_gallery(**{name: golden[name] for name in ARGUMENTS})
        for name in ("cmc", "mean_ap", "mean_ap_trapezoid", "mean_inp", "valid_queries"):
            np.testing.assert_allclose(
                getattr(result, name), golden[name], rtol=0, atol=1e-6, err_msg=name
            )


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_block_changes_nothing(block):
    arguments = random_arguments(seed=3)
    expected = protocol.rank_gallery(**arguments).to_json()
    assert protocol.rank_gallery(**arguments, block=block).to_json() == expected


@pytest.mark.parametrize("block", [7, 1000])
def test_ranks_by_given_distances(block):
    arguments = random_arguments(seed=8)

    def distance(query, gallery, block):
        for start in range(0, len(query), block):
            yield query[start : start + block] @ gallery.T

    expected = protocol.rank_gallery(**arguments).to_json()
    arguments["query_embeddings"] = -2 * arguments["query_embeddings"]  # given normalised
    result = protocol.rank_gallery(**arguments, block=block, distance=distance)
    assert result.to_json() == expected


def test_junk_is_nobodys_neighbour_in_reranking():
    arguments = random_arguments(seed=9)
    junk = arguments["gallery_person_id"] == -1
    # Right beside the queries, where it would be everybody's neighbour.
    arguments["gallery_embeddings"][junk] = arguments["query_embeddings"][: junk.sum()]
    with_junk = protocol.rank_gallery(**arguments, distance=reranking.rerank)
    arguments |= {name: arguments[name][~junk] for name in ARGUMENTS if "gallery" in name}
    without = protocol.rank_gallery(**arguments, distance=reranking.rerank)
    assert with_junk.junk > 0
    assert with_junk.to_json() | {"junk": 0} == without.to_json()
    assert with_junk.mean_ap != protocol.rank_gallery(**arguments).mean_ap


@pytest.mark.parametrize(
    "blocks",
    [[], [np.ones((2, 2))], [np.ones((1, 3))], [np.ones((1, 2))] * 2, [np.full((1, 2), np.nan)]],
    ids=["none", "rows", "columns", "too many", "NaN"],
)
def test_wrong_distances_are_refused(blocks):
    with pytest.raises(ValueError, match=r"distance must yield finite \(1, 2\)|zip\(\)"):
        protocol.rank_gallery(**line("01"), distance=lambda query, gallery, block: iter(blocks))


@pytest.mark.parametrize("scale", [1e-42, 1e-12, 1.0, 1e35])
def test_length_of_embeddings_changes_nothing(scale):
    arguments = random_arguments(seed=4)
    expected = protocol.rank_gallery(**arguments).to_json()
    for name in ("query_embeddings", "gallery_embeddings"):
        arguments[name] = arguments[name] * np.float32(scale)
    assert protocol.rank_gallery(**arguments).to_json() == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_takes_any_real_type(dtype):
    arguments = random_arguments(seed=5)
    expected = protocol.rank_gallery(**arguments).to_json()
    for name in ("query_embeddings", "gallery_embeddings"):
        arguments[name] = arguments[name].astype(dtype)
    assert protocol.rank_gallery(**arguments).to_json() == expected


def test_arguments_are_left_alone():
    arguments = random_arguments(seed=6)
    before = {name: np.copy(value) for name, value in arguments.items()}
    protocol.rank_gallery(**arguments)
    for name, value in arguments.items():
        np.testing.assert_array_equal(value, before[name])


def test_result_as_json():
    result = protocol.rank_gallery(**line("01"), max_rank=10)
    assert json.loads(json.dumps(result.to_json())) == {
        "rank-1": 0.0,
        "rank-5": 1.0,
        "rank-10": 1.0,  # of a gallery of two
        "mean_ap": 0.5,
        "mean_ap_trapezoid": 0.25,
        "mean_inp": 0.5,
        "queries": 1,
        "valid_queries": 1,
        "junk": 0,
        "distractors": 0,
    }
    assert result.cmc.dtype == np.float64 and result.cmc.shape == (10,)
    assert result.rank(2) == 1.0
    for k in (0, 11):
        with pytest.raises(ValueError, match="between 1 and max_rank, 10"):
            result.rank(k)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("query_embeddings", np.ones(2), r"query_embeddings must be real .*\[N, D\]"),
        ("query_embeddings", np.ones((0, 2)), "query_embeddings must be"),
        ("gallery_embeddings", np.ones((2, 0)), "gallery_embeddings must be"),
        ("gallery_embeddings", np.ones((2, 2), complex), "gallery_embeddings must be real"),
        ("gallery_embeddings", np.ones((2, 3)), "gallery_embeddings have 3 numbers each"),
        ("gallery_embeddings", [[1, 0], [0, 0]], "gallery_embeddings: row 1 is all zeros"),
        ("gallery_embeddings", [[1, 0], [1, np.nan]], "gallery_embeddings: row 1 is not finite"),
        ("query_embeddings", [[-np.inf, 0]], "query_embeddings: row 0 is not finite"),
        ("query_person_id", [1, 1], "query_person_id must be 1 integers"),
        ("gallery_person_id", [1], "gallery_person_id must be 2 integers"),
        ("query_camera_id", [[1]], "query_camera_id must be 1 integers"),
        ("gallery_camera_id", [1.0, 2.0], "gallery_camera_id must be 2 integers.*float64"),
        ("query_person_id", [0], "query_person_id: row 0 is 0"),
        ("gallery_person_id", [1, -2], "gallery_person_id: row 1 is -2"),
        ("max_rank", 0, "max_rank must be an integer of at least 1, not 0"),
        ("block", 2.0, "block must be an integer of at least 1"),
    ],
)
def test_wrong_arguments_are_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        protocol.rank_gallery(**(line("01") | {name: value}))


def test_ranked_list_names_wrong_arguments():
    arguments = line("01") | {"query_person_id": 1, "query_camera_id": 1}
    arguments["query_embedding"] = arguments.pop("query_embeddings")
    with pytest.raises(ValueError, match=r"query_embedding must be .*\[D\]"):
        protocol.ranked_list(**arguments)
    arguments["query_embedding"] = np.ones(2)
    with pytest.raises(ValueError, match="k must be"):
        protocol.ranked_list(**arguments, k=0)


def test_a_bad_junk_row_is_still_reported():
    arguments = line("01") | {"gallery_person_id": [-1, 1], "gallery_embeddings": np.eye(2) * 0}
    with pytest.raises(ValueError, match="row 0 is all zeros"):
        protocol.rank_gallery(**arguments)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gallery_camera_id": [1, 1]}, "all pictures have the camera id 1;.* different camera"),
        ({"gallery_person_id": [2, 0]}, "no person of query_person_id"),
        ({"gallery_camera_id": [2, 1]}, "one camera only"),
        ({"gallery_person_id": [-1, -1]}, "every gallery picture is junk"),
    ],
)
@pytest.mark.parametrize("distance", [None, reranking.rerank])
def test_no_match_at_all_is_explained(changes, why, distance):
    with pytest.raises(ValueError, match=f"no query has a match.*{why}"):
        protocol.rank_gallery(**(line("01") | changes), distance=distance)
