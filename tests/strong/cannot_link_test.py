"""Clusters divided between tracklets that one camera saw at the same time."""

import itertools

import numpy as np
import pytest
import scipy.sparse

from arn_tf.strong import cannot_link
from arn_tf.strong.cannot_link import Timeline
from arn_tf.strong.tracklets import Units

NAN = np.nan


def units(camera: list[int], span: list[tuple[float, float]]) -> Units:
    count = len(camera)
    return Units(
        np.arange(count),
        np.full(count, 5),
        np.array(camera),
        np.full(count, True),
        np.array(span, float).reshape(-1, 2),
    )


def graph_of(count: int, edges: dict[tuple[int, int], float]) -> scipy.sparse.csr_array:
    """Returns a symmetric graph with a stored diagonal of 0."""
    both = {(i, i): 0.0 for i in range(count)} | edges | {(j, i): d for (i, j), d in edges.items()}
    rows, columns = zip(*both, strict=True)
    return scipy.sparse.csr_array(
        (np.array(list(both.values()), np.float32), (rows, columns)), shape=(count, count)
    )


def separated(graph, found, eps=0.5, core=None, labels=None) -> tuple[list[int], int]:
    count = len(found)
    core = np.full(count, True) if core is None else np.array(core)
    labels = np.zeros(count, np.int64) if labels is None else np.array(labels)
    before = labels.copy()
    result, divided = cannot_link.separated(labels, core, graph, eps, found)
    np.testing.assert_array_equal(labels, before)
    return result.tolist(), divided


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0, 5), (3, 8), True),
        ((0, 9), (3, 4), True),
        ((0, 5), (0, 5), True),
        ((0, 5), (3, 3), True),  # a moment within
        ((0, 5), (5, 8), False),  # it ends as the other starts
        ((0, 5), (5, 5), False),
        ((0, 5), (0, 0), False),
        ((3, 3), (3, 3), False),
        ((0, 5), (6, 8), False),
    ],
)
def test_what_overlaps(one, other, overlap):
    for first, second in ((one, other), (other, one)):
        timelines = Timeline(), Timeline(), Timeline()
        for timeline, (camera, span) in zip(
            timelines, ((1, first), (1, second), (2, second)), strict=True
        ):
            timeline.add(camera, *span)
        assert timelines[0].overlaps(timelines[1]) is overlap
        assert not timelines[0].overlaps(timelines[2])


def test_unknown_times_forbid_nothing():
    graph = graph_of(3, {(0, 1): 0.1, (1, 2): 0.1})
    found = units([1, 1, 1], [(NAN, NAN), (0, 5), (NAN, NAN)])
    assert separated(graph, found) == ([0, 0, 0], 0)
    assert separated(graph, units([1, 1, 1], [(NAN, NAN)] * 3)) == ([0, 0, 0], 0)


def test_the_nearer_merge_is_made_and_the_farther_refused():
    # 0 and 1 overlap; 2 of another camera is nearer to 1.
    graph = graph_of(3, {(0, 2): 0.3, (1, 2): 0.2, (0, 1): 0.1})
    found = units([1, 1, 2], [(0, 5), (4, 9), (0, 9)])
    assert separated(graph, found) == ([0, 1, 1], 1)


def test_not_through_a_third():
    # 0 and 3 overlap and are no neighbours: a chain joins them, and breaks where it is longest.
    found = units([1, 2, 3, 1], [(0, 5), (0, 5), (0, 5), (4, 9)])
    for longest in range(3):
        edges = {(i, i + 1): 0.4 if i == longest else 0.1 + 0.1 * i for i in range(3)}
        labels, divided = separated(graph_of(4, edges), found)
        assert (labels, divided) == ([int(i > longest) for i in range(4)], 1)


def test_not_through_what_others_have_brought():
    # 0-1 and 2-3 are merged first; 1-2 would bring 0 and 3 together.
    graph = graph_of(4, {(0, 1): 0.1, (2, 3): 0.1, (1, 2): 0.2})
    found = units([1, 2, 2, 1], [(0, 5), (10, 15), (20, 25), (4, 9)])
    assert separated(graph, found) == ([0, 0, 1, 1], 1)


def test_copies_have_distance_zero():
    graph = graph_of(3, {(0, 1): 0.0, (1, 2): 0.0})
    assert separated(graph, units([1, 2, 1], [(0, 5), (0, 5), (1, 2)])) == ([0, 0, 1], 1)


def test_other_clusters_stay():
    graph = graph_of(6, {(0, 1): 0.1, (2, 3): 0.1, (4, 5): 0.3})
    found = units([1, 1, 1, 2, 1, 1], [(0, 5), (2, 6), (0, 5), (0, 5), (0, 5), (8, 9)])
    # The first part keeps the number, the other gets a new one.
    assert separated(graph, found, labels=[1, 1, 0, 0, 2, -1]) == ([1, 3, 0, 0, 2, -1], 1)


def test_what_is_no_core_joins_the_nearest_core_that_it_may():
    # 2 and 3 are no cores, and both overlap core 0; 3 overlaps core 1 too.
    graph = graph_of(4, {(0, 1): 0.4, (0, 2): 0.1, (1, 2): 0.3, (0, 3): 0.1, (1, 3): 0.2})
    found = units([1, 1, 1, 1], [(0, 5), (6, 9), (3, 6), (4, 7)])
    core = [True, True, False, False]
    assert separated(graph, found, core=core) == ([0, 0, -1, -1], 1)
    # Where 0 and 1 overlap themselves, 2 joins the second.
    found = units([1, 1, 1, 1], [(0, 5), (4, 4.5), (4.5, 6), (NAN, NAN)])
    assert separated(graph, found, core=core) == ([0, 1, 1, 0], 1)


def test_what_is_no_core_brings_no_cores_together():
    graph = graph_of(3, {(0, 2): 0.1, (1, 2): 0.1})
    found = units([1, 1, 2], [(0, 5), (4, 9), (0, 9)])
    core = [True, True, False]
    assert separated(graph, found, core=core) == ([0, 1, 0], 1)


def test_distances_above_the_radius_are_none():
    # 0 and 1 overlap, and 2 and 3; 0 and 3 may be one, but are too far from one another.
    graph = graph_of(4, {(0, 1): 0.1, (1, 2): 0.05, (1, 3): 0.1, (0, 3): 0.2})
    found = units([1, 1, 2, 2], [(0, 5), (4, 9), (0, 5), (4, 9)])
    assert separated(graph, found, eps=0.12) == ([0, 1, 1, 2], 1)
    assert separated(graph, found, eps=0.2) == ([0, 1, 1, 0], 1)


def slow(matrix, eps, found) -> list[int]:
    """Single linkage of cores on the whole matrix, every pair of every two groups compared."""
    groups = [{i} for i in range(len(matrix))]

    def overlap(i: int, j: int) -> bool:
        (a, b), (c, d) = found.span[i], found.span[j]
        return found.camera_id[i] == found.camera_id[j] and a < d and c < b

    edges = sorted(
        (matrix[i, j], i, j)
        for i, j in itertools.combinations(range(len(matrix)), 2)
        if matrix[i, j] <= eps
    )
    for _, i, j in edges:
        [one] = [group for group in groups if i in group]
        [other] = [group for group in groups if j in group]
        if one is not other and not any(overlap(a, b) for a in one for b in other):
            groups = [g for g in groups if g is not one and g is not other] + [one | other]
    labels = np.empty(len(matrix), int)
    for number, group in enumerate(sorted(groups, key=min)):
        labels[list(group)] = number
    return labels.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_against_a_slow_single_linkage(seed):
    random = np.random.default_rng(seed)
    count = 40
    matrix = np.round(random.random((count, count)), 2).astype(np.float32)  # with ties
    matrix = np.minimum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    start = random.integers(0, 60, count).astype(float)
    span = np.stack([start, start + random.integers(0, 12, count)], axis=1)
    span[random.random(count) < 0.2] = NAN
    found = units(random.integers(0, 3, count), span)
    edges = {
        (i, j): float(matrix[i, j])
        for i, j in itertools.combinations(range(count), 2)
        if matrix[i, j] <= 0.3
    }
    labels, divided = separated(graph_of(count, edges), found, eps=0.25)
    assert divided == 1
    assert labels == slow(matrix, np.float32(0.25), found)
    assert 2 < max(labels) + 1 < count
