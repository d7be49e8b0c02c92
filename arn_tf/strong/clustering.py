"""Clusters unlabelled images into pseudo-identities for self-training.

Jaccard distance of k-reciprocal encodings, then DBSCAN (Ester et al., KDD 1996), as in
Fan et al. (TPAMI 2018 and after). A cluster that one camera alone saw teaches the network
nothing about other cameras, and a very large one is rarely one person: both are dropped.

Where tracklets are known, what is clustered are these units, by their mean feature, and the images
that have none. All images of a unit get its label, and no cluster holds two tracklets that were in
one camera at the same time.
"""

import dataclasses
import math

import numpy as np
import scipy.sparse
from sklearn.cluster import DBSCAN

from arn_tf.ranking import arguments, reranking
from arn_tf.strong import cannot_link, tracklets

UNUSED = -1
# How close pictures of one person are depends on how many there are of each.
EPS = (0.35, 0.4, 0.45, 0.5, 0.55)

# A cluster may hold this many units, or this share of all.
_LARGE, _LARGE_SHARE = 40, 0.05
# Of units with many images each, at least so many are looked at, and averaged over.
_LEAST_K1, _LEAST_K2 = 4, 2
# Self-training stops below these, or where one large cluster holds this share of what is used.
_FEWEST_CLUSTERS, _LEAST_USED, _GIANT = 8, 0.2, 0.2


@dataclasses.dataclass(frozen=True)
class ClusterCounts:
    """What a clustering found, for logs and for `stop_reason`.

    Attributes:
        images: all images.
        used: images in the clusters that were kept.
        clusters: clusters kept.
        largest: images of the largest cluster kept; 0 without any.
        too_large: clusters dropped for their size.
        one_camera: others dropped because one camera alone saw them.
        noise: images in no cluster at all.
        eps: the radius, Jaccard distance.
        collapsed: the embeddings hardly differ between images, and nothing was clustered.
        tracklets: tracklets whose images are used.
        forbidden_pairs: pairs of tracklets, used or not, that are two persons by their times.
        divided: clusters that held such a pair, and were divided, before any was dropped.
    """

    images: int
    used: int
    clusters: int
    largest: int
    too_large: int
    one_camera: int
    noise: int
    eps: float
    collapsed: bool = False
    tracklets: int = 0
    forbidden_pairs: int = 0
    divided: int = 0

    @property
    def used_share(self) -> float:
        """Share of all images that are used."""
        return self.used / self.images

    @property
    def largest_share(self) -> float:
        """Share of the used images that the largest cluster holds; 0 without any."""
        return self.largest / self.used if self.used else 0.0


def cluster(
    embeddings: np.ndarray,
    camera_id: np.ndarray,
    *,
    tracklet: np.ndarray | None = None,
    time: np.ndarray | None = None,
    eps: float | tuple[float, ...] = EPS,
    min_samples: int = 4,
    k1: int = 20,
    k2: int = 6,
) -> tuple[np.ndarray, ClusterCounts]:
    """Groups images by DBSCAN on their Jaccard distance, and keeps the clusters of use.

    A unit is a tracklet, or an image that has none. Kept are clusters of at most 40 units or 5% of
    all, whichever is more, and, where the images come from more than one camera, those seen by two
    cameras or more.

    Args:
        embeddings: real [N, D], of any length above zero.
        camera_id: integers [N]; below 0 is unknown, and counts as no camera.
        tracklet: integers [N]; below 0 for an image that has none; None where none has.
        time: real [N], seconds, NaN where it is unknown; None where none is known.
        eps: Jaccard distance within which units are neighbours, above 0 and below 1; of several
            the one that gives most clusters that are kept, the smallest where some give as many.
        min_samples: neighbours that make a unit the core of a cluster, itself included, counted in
            images: a tracklet of as many is one.
        k1: nearest neighbours considered (see `arn_tf.ranking.reranking`), counted in images: as
            many units as hold so many on average, four at least.
        k2: images an encoding is averaged over; likewise, two units at least.

    Returns:
        labels: int64 [N], clusters numbered from 0 in the order of their first images; -1
            for an image that is not used.
        counts: `ClusterCounts`.

    Raises:
        ValueError: an argument has a wrong shape, type or value, which is named, or a tracklet has
            two cameras.
    """
    min_samples = arguments.positive("min_samples", min_samples)
    k1, k2 = arguments.positive("k1", k1), arguments.positive("k2", k2)
    radii = sorted(eps) if isinstance(eps, tuple) else [eps]
    if not all(0 < radius < 1 for radius in radii):
        raise ValueError(f"eps must lie above 0 and below 1, not {eps!r}")
    embeddings = arguments.embeddings("embeddings", embeddings)
    camera = arguments.ids("camera_id", camera_id, embeddings)
    images = len(embeddings)
    units = tracklets.units(camera, tracklet, time)
    # As many units as hold that many images.
    k1, k2 = (
        max(round(k * len(units) / images), min(k, least))
        for k, least in ((k1, _LEAST_K1), (k2, _LEAST_K2))
    )
    try:
        graph = reranking.jaccard_distance(
            units.features(embeddings), k1=k1, k2=k2, radius=radii[-1]
        )
    except reranking.CollapsedError:
        counts = ClusterCounts(images, 0, 0, 0, 0, 0, 0, radii[-1], collapsed=True)
        return np.full(images, UNUSED), counts
    results = []
    for radius in radii:
        found, divided = dense(graph, units, radius, min_samples)
        results.append(kept(found, units, radius, divided))
    return max(results, key=lambda result: result[1].clusters)


def dense(
    graph: scipy.sparse.csr_array, units: tracklets.Units, eps: float, min_samples: int
) -> tuple[np.ndarray, int]:
    """Returns clusters of DBSCAN, none of two tracklets that overlap; how many were divided for it.

    Args:
        graph: [U, U], distances that `reranking.jaccard_distance` stores up to `eps` or more.
        units: what is clustered.
        eps: Jaccard distance within which units are neighbours.
        min_samples: see `cluster`.

    Returns:
        int64 [U], from 0; -1 in none; and the number of clusters that were divided.
    """
    model = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed")
    model.fit(graph, sample_weight=units.pictures)
    core = np.zeros(len(units), bool)
    core[model.core_sample_indices_] = True
    return cannot_link.separated(model.labels_.astype(np.int64), core, graph, eps, units)


def kept(
    found: np.ndarray, units: tracklets.Units, eps: float, divided: int
) -> tuple[np.ndarray, ClusterCounts]:
    """Keeps the clusters of use; returns labels and `ClusterCounts` as `cluster` does.

    Args:
        found: int64 [U], clusters from 0; -1 in none.
        units: what was clustered.
        eps: the radius, for the counts.
        divided: likewise.
    """
    sizes = np.bincount(found[found >= 0])
    too_large = sizes > max(_LARGE, _LARGE_SHARE * len(units))
    one_camera = (_cameras(found, units.camera_id, len(sizes)) < 2) & ~too_large
    if np.unique(units.camera_id[units.camera_id >= 0]).size < 2:
        one_camera[:] = False
    keep = ~(too_large | one_camera)

    labels = np.full(len(units), UNUSED)
    used = np.flatnonzero(found >= 0)
    used = used[keep[found[used]]]
    # Units are numbered by their first images, and so are clusters.
    _, first, inverse = np.unique(found[used], return_index=True, return_inverse=True)
    labels[used] = np.argsort(np.argsort(first))[inverse]
    images = np.bincount(labels[used], units.pictures[used]).astype(int)
    return labels[units.of_picture], ClusterCounts(
        images=int(units.pictures.sum()),
        used=int(images.sum()),
        clusters=int(keep.sum()),
        largest=int(images.max(initial=0)),
        too_large=int(too_large.sum()),
        one_camera=int(one_camera.sum()),
        noise=int(units.pictures[found < 0].sum()),
        eps=eps,
        tracklets=int(units.is_tracklet[used].sum()),
        forbidden_pairs=tracklets.forbidden_pairs(units),
        divided=divided,
    )


def stop_reason(counts: ClusterCounts) -> str | None:
    """Returns why self-training must not go on with these clusters; None where it may."""
    if counts.collapsed:
        return "the embeddings hardly tell images apart, so there is nothing to cluster"
    if counts.clusters < _FEWEST_CLUSTERS:
        return (
            f"{counts.clusters} usable clusters of {counts.images} images, below the least of "
            f"{_FEWEST_CLUSTERS} ({counts.noise} images in no cluster, {counts.too_large} "
            f"clusters too large, {counts.one_camera} seen by one camera only)"
        )
    if counts.used_share < _LEAST_USED:
        return (
            f"the clusters hold {counts.used} of {counts.images} images, below the least of "
            f"{_LEAST_USED:.0%}"
        )
    if counts.largest > _LARGE_SHARE * counts.images and counts.largest_share > _GIANT:
        return (
            f"one cluster holds {counts.largest} of the {counts.used} images used, above the "
            f"most of {_GIANT:.0%}"
        )
    return None


def purity(labels: np.ndarray, person_id: np.ndarray) -> float:
    """Returns the share of used images that show their cluster's most frequent person.

    A diagnosis: it reads true labels.

    Nothing that trains or chooses may call this.

    Args:
        labels: integers [N], as `cluster` gives them.
        person_id: integers [N]; images of persons that aren't known, below 0, don't count, and
            those of distractors, 0, are wrong in any cluster.

    Returns:
        From 0 to 1; NaN where no image that is used counts.
    """
    labels = np.asarray(labels)
    person = arguments.ids("person_id", person_id, labels)
    used = (labels >= 0) & (person >= 0)
    if not used.any():
        return math.nan
    known = used & (person > 0)
    (cluster_of, _), count = np.unique([labels[known], person[known]], axis=1, return_counts=True)
    main = np.zeros(labels.max() + 1, np.int64)
    np.maximum.at(main, cluster_of, count)
    return float(main.sum() / used.sum())


def _cameras(found: np.ndarray, camera: np.ndarray, clusters: int) -> np.ndarray:
    """Returns the number of known cameras in each cluster, int [clusters]."""
    known = (found >= 0) & (camera >= 0)
    pairs = np.unique([found[known], camera[known]], axis=1)
    return np.bincount(pairs[0], minlength=clusters)
