"""Divides clusters that hold two tracklets of one camera at the same time: they are two persons.

Within such a cluster of DBSCAN's, units are merged in the order of their distance (Kruskal, 1956),
and a merge that would bring two such tracklets together, be it through third ones, is refused:
single linkage under the cannot-link constraints of Wagstaff et al. (ICML 2001). Other clusters stay
as they are.

Tracklets overlap when each starts before the other ends. One that ends as another starts does not,
nor do two of the same moment: clocks may count whole seconds, and a tracker that loses a person
soon begins another tracklet of them. A tracklet of a moment within another's time does.
"""

import bisect

import numpy as np
import scipy.sparse

from arn_tf.strong.tracklets import Units


class Timeline:
    """Who was where and when: of each camera, spans that don't overlap."""

    def __init__(self) -> None:
        # {camera: (starts, ends)}, both ascending, as the spans don't overlap.
        self._spans: dict[int, tuple[list[float], list[float]]] = {}
        self._count = 0

    def overlaps(self, other: "Timeline") -> bool:
        """Whether a span of each overlaps one of the other."""
        few, many = sorted((self, other), key=lambda each: each._count)
        for camera, (starts, ends) in few._spans.items():
            if camera not in many._spans:
                continue
            all_starts, all_ends = many._spans[camera]
            for start, end in zip(starts, ends, strict=True):
                # Those that start before the end come first, those that end after the start last.
                if bisect.bisect_left(all_starts, end) > bisect.bisect_right(all_ends, start):
                    return True
        return False

    def add(self, camera: int, start: float, end: float) -> None:
        """Adds a span that overlaps none; NaN is no time, and adds nothing."""
        if start == start:
            for times, time in zip(
                self._spans.setdefault(camera, ([], [])), (start, end), strict=True
            ):
                bisect.insort(times, time)
            self._count += 1

    def merged(self, other: "Timeline") -> "Timeline":
        """Returns the spans of both, which don't overlap; one of the two is changed."""
        few, many = sorted((self, other), key=lambda each: each._count)
        for camera, spans in few._spans.items():
            for span in zip(*spans, strict=True):
                many.add(camera, *span)
        return many


def separated(
    labels: np.ndarray,
    core: np.ndarray,
    graph: scipy.sparse.csr_array,
    eps: float,
    units: Units,
) -> tuple[np.ndarray, int]:
    """Returns clusters none of which holds two tracklets that overlap.

    What is no core joins the nearest core that it may, or no cluster.

    Args:
        labels: int64 [U], clusters of DBSCAN; -1 in none.
        core: bool [U], whether DBSCAN took a unit for a core.
        graph: CSR [U, U], distances that DBSCAN was given.
        eps: its radius.
        units: whose cameras and times decide.

    Returns:
        int64 [U], labels as given but for the clusters that were divided; and their number.
    """
    if not np.isfinite(units.span).any():
        return labels, 0
    labels = labels.copy()
    following, divided = labels.max(initial=-1) + 1, 0
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(following + 1))
    for members in np.split(order, starts)[1:-1]:
        if not _conflict(members, units):
            continue
        divided += 1
        groups = _grouped(members, core, graph, eps, units)
        kept = groups >= 0
        labels[members[~kept]] = -1
        # The first part keeps the number.
        fresh = groups > 0
        labels[members[fresh]] = following + groups[fresh] - 1
        following += int(groups.max())
    return labels, divided


def _conflict(members: np.ndarray, units: Units) -> bool:
    whole = Timeline()
    for member in members.tolist():
        alone = _timeline(member, units)
        if whole.overlaps(alone):
            return True
        whole = whole.merged(alone)
    return False


def _grouped(
    members: np.ndarray, core: np.ndarray, graph: scipy.sparse.csr_array, eps: float, units: Units
) -> np.ndarray:
    """Returns the part of the cluster that each member is in, int64 [M] from 0; -1 in none."""
    edges = graph[members][:, members].tocoo()
    first, second, distance = edges.row, edges.col, edges.data
    is_core = core[members]
    both = is_core[first] & is_core[second] & (first < second)
    joins = ~is_core[first] & is_core[second]
    parent = list(range(len(members)))
    timelines = [_timeline(member, units) for member in members.tolist()]

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def merge(one: int, other: int) -> None:
        if one != other and not timelines[one].overlaps(timelines[other]):
            parent[other] = one
            timelines[one] = timelines[one].merged(timelines[other])

    near = distance <= eps
    for wanted in (both, joins):
        chosen = np.flatnonzero(wanted & near)
        chosen = chosen[np.lexsort((second[chosen], first[chosen], distance[chosen]))]
        for one, other in zip(first[chosen].tolist(), second[chosen].tolist(), strict=True):
            if is_core[one]:
                merge(root(one), root(other))
            elif parent[one] == one:
                # Under the core, so that it is joined once.
                merge(root(other), one)
    roots = np.array([root(member) for member in range(len(members))])
    labels = np.full(len(members), -1)
    placed = is_core[roots]
    _, at, inverse = np.unique(roots[placed], return_index=True, return_inverse=True)
    labels[placed] = np.argsort(np.argsort(at))[inverse]
    return labels


def _timeline(member: int, units: Units) -> Timeline:
    alone = Timeline()
    alone.add(int(units.camera_id[member]), *units.span[member].tolist())
    return alone
