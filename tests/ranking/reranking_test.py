"""Re-ranking and Jaccard distances: worked examples, a dense oracle, other variants, memory."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from arn_tf.ranking import reciprocal, reranking


def random_embeddings(
    seed: int, images: int = 60, persons: int = 8, width: int = 8, noise: float = 0.7
) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((persons, width))
    person = random.integers(0, persons, images)
    return centres[person] + noise * random.standard_normal((images, width))


def tied_embeddings(seed: int, images: int = 60, width: int = 16) -> np.ndarray:
    """Returns +1 and -1 in a power of 4 dimensions: distances are exact, and many are equal."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], (images, width))


def on_circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def oracle(
    embeddings: np.ndarray,
    k1: int,
    k2: int,
    *,
    others: int = 1,  # N(p, k) holds p and k others, as in the code, or k - 1
    half: Callable[[float], float] = np.around,
    squared: bool = True,
    scaled: bool = True,
    accepted: Callable[[int, int], bool] = lambda common, size: 3 * common > 2 * size,
    divided: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (Jaccard, d), [N, N], in loops and sets from the equations of the paper."""
    x = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    n = len(x)
    d = np.sum((x[:, np.newaxis] - x) ** 2, axis=2)
    if not squared:
        d = np.sqrt(d)
    if scaled:
        d = d / d.max(axis=1, keepdims=True)
    order = [sorted(range(n), key=lambda g: (g != p, round(d[p, g], 12), g)) for p in range(n)]

    def near(p: int, k: int) -> list[int]:
        return order[p][: k + others]

    def mutual(p: int, k: int) -> set[int]:  # R, equation 3
        return {g for g in near(p, k) if p in near(g, k)}

    v = np.zeros((n, n))
    for p in range(n):
        star = mutual(p, k1)  # R*, equation 5
        for q in mutual(p, k1):
            more = mutual(q, int(half(k1 / 2)))
            if accepted(len(more & mutual(p, k1)), len(more)):
                star = star | more
        for g in star:
            v[p, g] = math.exp(-d[p, g])  # equation 7
        if divided:
            v[p] /= v[p].sum()
    v = np.array([np.mean(v[order[p][:k2]], axis=0) for p in range(n)])  # equation 11
    jaccard = np.zeros((n, n))
    for p in range(n):
        for g in range(n):  # equation 10
            jaccard[p, g] = 1 - np.minimum(v[p], v[g]).sum() / np.maximum(v[p], v[g]).sum()
    return jaccard, d


def reranked(embeddings: np.ndarray, queries: int, **options: Any) -> np.ndarray:
    return np.concatenate(
        list(reranking.rerank(embeddings[:queries], embeddings[queries:], **options))
    )


def dense(graph: sparse.csr_array) -> np.ndarray:
    """Returns the graph as a matrix, with 1 for what it does not store."""
    matrix = np.ones(graph.shape)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    matrix[rows, graph.indices] = graph.data
    return matrix


def test_three_images_by_hand():
    # d(0, 60) = 1, d(60, 180) = 3, d(0, 180) = 4 degrees. 0 and 60 choose each other, 180 chooses
    # 60 in vain. Weights on {0, 60}: 1 and exp(-1/4) for 0, exp(-1/3) and 1 for 60.
    a, b = math.exp(-1 / 4), math.exp(-1 / 3)
    common = b / (1 + b) + a / (1 + a)
    jaccard = 1 - common / (2 - common)
    distances = reranked(on_circle(0, 60, 180), 1, k1=1, k2=1)
    np.testing.assert_allclose(distances, [[0.7 * jaccard + 0.3 / 4, 1]], rtol=0, atol=1e-6)
    graph = reranking.jaccard_distance(on_circle(0, 60, 180), k1=1, k2=1)
    expected = [[0, jaccard, 1], [jaccard, 0, 1], [1, 1, 0]]
    np.testing.assert_allclose(dense(graph), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("embeddings", [random_embeddings, tied_embeddings])
@pytest.mark.parametrize("sizes", [(20, 6), (5, 3), (7, 1), (1, 1), (2, 8), (100, 100)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equals_dense_oracle(embeddings, sizes, dtype):
    embeddings, (k1, k2) = embeddings(seed=1), sizes
    jaccard, d = oracle(embeddings, k1, k2)
    embeddings = embeddings.astype(dtype)
    for weight in (0.3, 0.0, 1.0):
        actual = reranked(embeddings, 15, k1=k1, k2=k2, lambda_value=weight)
        expected = ((1 - weight) * jaccard + weight * d)[:15, 15:]
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    graph = reranking.jaccard_distance(embeddings, k1=k1, k2=k2, radius=0.8)
    np.testing.assert_allclose(
        dense(graph), np.where(jaccard <= 0.8, jaccard, 1), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    "variant",
    [
        {"others": 0},
        {"half": np.ceil},
        {"squared": False},
        {"scaled": False},
        {"accepted": lambda common, size: 3 * common >= 2 * size},
        {"accepted": lambda common, size: False},
        {"divided": False},
    ],
    ids=["k with itself", "half up", "Euclidean", "not scaled", ">= 2/3", "no R*", "sum free"],
)
def test_which_variant(variant):
    # The same data, k1 odd, tells this variant from every other.
    embeddings = random_embeddings(seed=2)
    actual = dense(reranking.jaccard_distance(embeddings, k1=9, k2=3, radius=0.99))
    ours, other = (
        np.where(jaccard <= 0.99, jaccard, 1)
        for jaccard, _ in (oracle(embeddings, 9, 3), oracle(embeddings, 9, 3, **variant))
    )
    np.testing.assert_allclose(actual, ours, rtol=0, atol=1e-5)
    assert np.abs(actual - other).max() > 1e-3


def test_graph_is_symmetric_sorted_and_within_the_radius():
    graph = reranking.jaccard_distance(random_embeddings(seed=3), radius=0.6)
    assert graph.dtype == np.float32 and graph.data.max() <= 0.6
    np.testing.assert_array_equal(dense(graph), dense(graph).T)
    np.testing.assert_array_equal(graph.diagonal(), 0)
    for row in range(len(graph.indptr) - 1):
        entries = slice(graph.indptr[row], graph.indptr[row + 1])
        keys = list(zip(graph.data[entries], graph.indices[entries], strict=True))
        assert keys == sorted(keys)
        assert row in graph.indices[entries]  # an absent diagonal would be "far from itself"


@pytest.mark.parametrize("block", [1, 7, 60, 1000])
def test_block_changes_nothing(block, monkeypatch):
    embeddings = tied_embeddings(seed=4)
    expected = reranked(embeddings, 20)
    graph = reranking.jaccard_distance(embeddings)
    for name in ("_ROWS", "_PAIRS", "_TERMS"):
        monkeypatch.setattr(reciprocal, name, block)
    blocks = list(reranking.rerank(embeddings[:20], embeddings[20:], block=block))
    assert [len(part) for part in blocks[:-1]] == [block] * (len(blocks) - 1)
    # Not to the last bit: the products of pieces add up in another order.
    np.testing.assert_allclose(np.concatenate(blocks), expected, rtol=0, atol=1e-6)
    other = reranking.jaccard_distance(embeddings, block=block)
    np.testing.assert_allclose(dense(other), dense(graph), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-42, 1e-12, 1e35])
def test_length_of_embeddings_changes_nothing(scale):
    embeddings = tied_embeddings(seed=5).astype(np.float32)
    expected = reranked(embeddings, 20)
    np.testing.assert_array_equal(reranked(embeddings * np.float32(scale), 20), expected)


def test_order_of_images_changes_nothing():
    embeddings = random_embeddings(seed=6)
    order = np.random.default_rng(0).permutation(len(embeddings))
    expected = dense(reranking.jaccard_distance(embeddings))[np.ix_(order, order)]
    actual = dense(reranking.jaccard_distance(embeddings[order]))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_copies_of_a_picture():
    # More copies than k1: the last ones are outside all lists but their own.
    embeddings = np.concatenate([np.tile(on_circle(0), (30, 1)), on_circle(90, 91, 92)])
    jaccard, _ = oracle(embeddings, 20, 6)
    graph = dense(reranking.jaccard_distance(embeddings, radius=0.99))
    np.testing.assert_allclose(graph, np.where(jaccard <= 0.99, jaccard, 1), rtol=0, atol=1e-5)
    assert graph[:30, :30].max() < 1


def test_all_images_the_same():
    same = np.ones((30, 4))
    assert np.isfinite(reranked(same, 5)).all()
    assert (dense(reranking.jaccard_distance(same)) < 1).all()


def test_one_query_and_one_gallery_picture():
    np.testing.assert_allclose(reranked(on_circle(0, 60), 1, lambda_value=1.0), [[1.0]])


def test_a_lone_look_alike_falls_behind():
    # Nearest to the query, at 0 degrees, is the picture at -5. That one's own four nearest
    # are those around -9, though; the query is among the four nearest of 7, 8 and 8.5.
    gallery = on_circle(-5, -9, -9.2, -9.4, -9.6, 7, 8, 8.5)
    query = on_circle(0)
    assert np.argmax(query @ gallery.T) == 0
    (distances,) = reranking.rerank(query, gallery, k1=4, k2=1)
    assert np.argsort(distances[0])[:3].tolist() == [5, 6, 7]
    # It shares no neighbour with the query: 0.7 for that, and its share of the distance.
    d = 2 - 2 * np.cos(np.radians([5, 9.6]))
    assert distances[0, 0] == pytest.approx(0.7 + 0.3 * d[0] / d[1], abs=1e-6)


def test_too_many_pairs_is_a_collapse(monkeypatch):
    monkeypatch.setattr(reranking, "_CROWD", 10)
    with pytest.raises(reranking.CollapsedError, match=r"over 10 for each of the 60"):
        reranking.jaccard_distance(np.ones((60, 4)), block=8)
    reranking.jaccard_distance(random_embeddings(seed=9), block=8, k1=4)


def test_memory_is_far_below_images_squared(monkeypatch):
    monkeypatch.setattr(reciprocal, "_TERMS", 2**16)
    images = 2000
    embeddings = random_embeddings(7, images, persons=200, width=16).astype(np.float32)
    tracemalloc.start()
    try:
        reranking.jaccard_distance(embeddings, block=32)
        for _ in reranking.rerank(embeddings[:300], embeddings[300:], block=32):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < images**2 * 4 / 2, peak  # half of one float32 [N, N]


def test_progress_only_where_it_takes_long(monkeypatch, capsys):
    embeddings = random_embeddings(seed=8)
    reranked(embeddings, 20)
    assert not capsys.readouterr().out
    monkeypatch.setattr(reciprocal, "_LONG", 60)
    reranking.jaccard_distance(embeddings)
    shown = capsys.readouterr().out
    assert "k-reciprocal neighbours: 60 images" in shown and "Jaccard distances: 60" in shown
    assert "60/60" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_embeddings": np.ones(2)}, r"query_embeddings must be real .*\[N, D\]"),
        ({"gallery_embeddings": np.ones((0, 2))}, "gallery_embeddings must be"),
        ({"gallery_embeddings": np.ones((1, 3))}, "gallery_embeddings have 3 numbers"),
        ({"gallery_embeddings": [[0, 0]]}, "gallery_embeddings: row 0 is all zeros"),
        ({"query_embeddings": [[1, np.nan]]}, "query_embeddings: row 0 is not finite"),
        ({"k1": 0}, "k1 must be an integer of at least 1, not 0"),
        ({"k2": 1.5}, "k2 must be an integer"),
        ({"block": 0}, "block must be an integer"),
        ({"lambda_value": 1.1}, "lambda_value must lie between 0 and 1, not 1.1"),
        ({"lambda_value": math.nan}, "lambda_value must lie"),
    ],
)
def test_wrong_arguments_are_named_at_once(changes, message):
    arguments = {"query_embeddings": np.ones((1, 2)), "gallery_embeddings": np.ones((1, 2))}
    with pytest.raises(ValueError, match=message):
        reranking.rerank(**(arguments | changes))


@pytest.mark.parametrize("radius", [0, 1, -0.1, math.nan])
def test_radius_must_leave_most_pairs_out(radius):
    with pytest.raises(ValueError, match="radius must lie above 0 and below 1"):
        reranking.jaccard_distance(np.eye(3), radius=radius)
    with pytest.raises(ValueError, match="embeddings must be real"):
        reranking.jaccard_distance(np.ones(3))
