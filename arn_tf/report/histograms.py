"""How similar pictures are, within a camera and between two, of one person and of others."""

import dataclasses

import numpy as np

from arn_tf.ranking.arguments import JUNK, units_of
from arn_tf.ranking.evaluation import Kept

EDGES = np.linspace(-1, 1, 101)
# Of large splits so many are compared, evenly spread.
MOST_QUERIES, MOST_GALLERY = 1000, 10_000
WITHIN, BETWEEN = "within a camera", "between cameras"
SAME, OTHER, ANY = "same person", "other person", "all pairs"
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Histograms:
    """Numbers of pairs by cosine similarity.

    Attributes:
        counts: {WITHIN or BETWEEN: {SAME and OTHER, or ANY: int64 [100], in the bins of EDGES}}.
        queries: pictures that were compared,
        gallery: with so many.
    """

    counts: dict[str, dict[str, np.ndarray]]
    queries: int
    gallery: int


def histograms(kept: Kept, labelled: bool) -> Histograms:
    """Counts pairs of a query and a gallery picture by their cosine.

    Left out are a picture's pair with itself or its copy, pictures of an unknown camera, junk, and,
    where persons are told apart, gallery pictures whose person is unknown.

    Args:
        kept: the model's embeddings.
        labelled: whether persons are known.
    """
    rows = _spread(len(kept.query), MOST_QUERIES), _spread(len(kept.gallery), MOST_GALLERY)
    query, gallery = kept.query.subset(rows[0]), kept.gallery.subset(rows[1])
    left = units_of("query_embeddings", kept.query_embeddings[rows[0]])
    right = units_of("gallery_embeddings", kept.gallery_embeddings[rows[1]])
    content: dict[bytes, int] = {}
    pictures = [
        np.array([content.setdefault(each, len(content)) for each in split.content_hashes()])
        for split in (query, gallery)
    ]
    groups = (SAME, OTHER) if labelled else (ANY,)
    counts = {
        place: {group: np.zeros(len(EDGES) - 1, np.int64) for group in groups}
        for place in (WITHIN, BETWEEN)
    }
    usable = gallery.camera_id >= 0
    if labelled:
        usable &= gallery.person_id > JUNK
    for start in range(0, len(query), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Rounding takes copies of a picture beyond 1.
        cosine = np.clip(left[block] @ right.T, -1, 1)
        camera = query.camera_id[block, np.newaxis]
        counted = (pictures[0][block, np.newaxis] != pictures[1]) & usable & (camera >= 0)
        same = query.person_id[block, np.newaxis] == gallery.person_id
        for place, there in ((WITHIN, camera == gallery.camera_id), (BETWEEN, None)):
            chosen = counted & (camera != gallery.camera_id if there is None else there)
            for group in groups:
                of = chosen if group == ANY else chosen & (same if group == SAME else ~same)
                counts[place][group] += np.histogram(cosine[of], EDGES)[0]
    return Histograms(counts, len(query), len(gallery))


def _spread(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
