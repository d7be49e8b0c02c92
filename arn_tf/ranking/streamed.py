"""Ranks a gallery that need not fit in memory: `protocol.rank_gallery` over blocks, read twice.

What a match's rank needs is its similarity and how many pictures lie above it. The first reading
computes the similarities of the matches alone, few as they are; the second multiplies every block
with the queries, sorts the products without their rows, and looks each match up. So the gallery is
multiplied once, and what is held of it is one block.

A matrix product rounds a similarity differently from place to place. Here rounding decides nothing:
products within its reach of a match are computed again in float64, one by one. Ranks are those of
these similarities, equal ones by row (copies of a picture are equal), whatever the blocks are.
`rank_gallery` takes the product's own order there, and may rank pictures apart by 1e-7 otherwise.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from arn_tf.ranking import arguments, gallery_blocks, results
from arn_tf.ranking.arguments import DISTRACTOR
from arn_tf.ranking.gallery_blocks import Block

# Gallery pictures multiplied at a time: the products of `block` queries take 32 MiB.
_COLUMNS = 32768
# Pairs of embeddings compared one by one at a time.
_PAIRS = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class _Queries:
    """The queries; `order` has those of a person side by side."""

    units: np.ndarray
    person: np.ndarray
    camera: np.ndarray
    order: np.ndarray

    def pairs(self, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns (query, picture) of every pair of one person, ascending by query.

        Args:
            person: int64 [B], of the pictures.
        """
        first = np.searchsorted(self.person, person, "left", self.order)
        count = np.searchsorted(self.person, person, "right", self.order) - first
        picture = np.repeat(np.arange(len(person)), count)
        place = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
        query = self.order[place]
        ascending = np.lexsort((picture, query))
        return query[ascending], picture[ascending]


@dataclasses.dataclass(frozen=True, eq=False)
class _Matches:
    """Pairs of a query and a match, the queries ascending, the best match of each first.

    `similarity` is float64, and a matrix product may make of it what lies from `low` to `high`.
    `row` counts from the gallery's first picture that is no junk; those of a query begin at
    `starts[query]`.
    """

    similarity: np.ndarray
    low: np.ndarray
    high: np.ndarray
    row: np.ndarray
    starts: np.ndarray


def rank_blocks(
    query_embeddings: npt.ArrayLike,
    query_person_id: npt.ArrayLike,
    query_camera_id: npt.ArrayLike,
    gallery: Iterable[Block],
    *,
    max_rank: int = 20,
    block: int = 256,
) -> results.RankingResult:
    """Ranks the gallery for every query by the protocol of `arn_tf.ranking.protocol`.

    Memory beside the arguments: a normalised copy of the queries and of one block of the gallery
    (of 32768 pictures, where blocks are smaller), 40 bytes for every pair of a query and a match,
    and 2 * `block` * 32768 numbers.

    Args:
        query_embeddings: real [Q, D], of any length above zero; normalised here.
        query_person_id: integers [Q], at least 1.
        query_camera_id: integers [Q].
        gallery: (embeddings, person_id, camera_id) of each block, as `rank_gallery` takes them for
            the whole. Read twice: a list, or an object whose `__iter__` starts anew.
        max_rank: length of the CMC curve.
        block: queries compared at a time.

    Raises:
        ValueError: an argument has a wrong shape, type or value (it is named, with the block where
            there is one), the second reading differs from the first, or no query has a match.
    """
    max_rank = arguments.positive("max_rank", max_rank)
    block = arguments.positive("block", block)
    query = arguments.embeddings("query_embeddings", query_embeddings)
    person = arguments.ids("query_person_id", query_person_id, query, 1)
    camera = arguments.ids("query_camera_id", query_camera_id, query)
    if isinstance(gallery, Iterator):
        raise ValueError(
            "gallery is read twice, and an iterator can be read once: give a list, or an object "
            "whose __iter__ starts anew"
        )
    dtype = arguments.common_dtype(query, query)
    query = arguments.unit_rows("query_embeddings", query, dtype, np.full(len(query), True))
    queries = _Queries(query, person, camera, np.argsort(person, kind="stable"))

    matches, checksums, junk, distractors = _find_matches(queries, gallery)
    before = np.zeros(len(matches.row), np.int64)
    parts = gallery_blocks.again(gallery_blocks.checked(gallery, query), checksums)
    for start, units, gallery_person in gallery_blocks.tiles(parts, _COLUMNS):
        _count_before(queries, matches, start, units, gallery_person, block, before)
    count = np.diff(matches.starts)
    place = np.arange(1, len(before) + 1) - np.repeat(matches.starts[:-1], count)
    return results.of_ranks(before + place, count, max_rank, junk=junk, distractors=distractors)


def _find_matches(
    queries: _Queries, gallery: Iterable[Block]
) -> tuple[_Matches, list[int], int, int]:
    """Reads the gallery for its matches.

    Returns:
        the matches, the checksum of each block, and the numbers of junk and of distractors.
    """
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    checksums: list[int] = []
    junk = distractors = 0
    persons, cameras = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for part in gallery_blocks.checked(gallery, queries.units):
        query, picture = queries.pairs(part.person)
        other = queries.camera[query] != part.camera[picture]
        query, picture = query[other], picture[other]
        similarity = _similarity(queries.units, query, part.units, picture)
        found.append((query.astype(np.int32), similarity, part.start + picture))
        checksums.append(part.checksum)
        junk += part.junk
        distractors += int(np.count_nonzero(part.person == DISTRACTOR))
        # For the error below: of other persons one will do, there may be a million.
        told = np.concatenate([part.person[:1], part.person[np.isin(part.person, queries.person)]])
        persons, cameras = np.union1d(persons, told), np.union1d(cameras, part.camera)
    if not checksums:
        raise ValueError("gallery has no block")
    query, similarity, row = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not query.size:
        raise ValueError(arguments.no_match(queries.person, persons, queries.camera, cameras))
    order = np.lexsort((row, -similarity, query))
    starts = np.searchsorted(query, np.arange(len(queries.units) + 1), sorter=order)
    similarity = similarity[order]
    low, high = _rounded(similarity, queries.units)
    matches = _Matches(similarity, low, high, row[order], starts)
    return matches, checksums, junk, distractors


def _count_before(
    queries: _Queries,
    matches: _Matches,
    start: int,
    units: np.ndarray,
    person: np.ndarray,
    block: int,
    before: np.ndarray,
) -> None:
    """Adds the pictures of other persons that stand before each match, of a tile of the gallery."""
    own_query, own = queries.pairs(person)
    valid = np.flatnonzero(np.diff(matches.starts))
    scores = np.empty((min(block, len(valid)), len(units)), units.dtype)
    ordered = np.empty_like(scores)
    for first in range(0, len(valid), block):
        chosen = valid[first : first + block]
        products = np.matmul(queries.units[chosen], units.T, out=scores[: len(chosen)])
        # Pictures of the query's own person count by their similarities, or not at all.
        row = np.searchsorted(chosen, own_query)
        here = row < len(chosen)
        here[here] = chosen[row[here]] == own_query[here]
        products[row[here], own[here]] = -np.inf
        ordered[: len(chosen)] = products
        ordered[: len(chosen)].sort(axis=1)
        for query, line, score in zip(chosen.tolist(), ordered, products, strict=False):
            mine = slice(matches.starts[query], matches.starts[query + 1])
            above = line.searchsorted(matches.high[mine], "right")
            before[mine] += len(line) - above
            near = line.searchsorted(matches.low[mine], "left") < above
            for match in mine.start + np.flatnonzero(near) if near.any() else ():
                rows = np.flatnonzero(
                    (score >= matches.low[match]) & (score <= matches.high[match])
                )
                again = _similarity(queries.units, np.full(len(rows), query), units, rows)
                wanted, row_of_match = matches.similarity[match], matches.row[match]
                tied = (again == wanted) & (start + rows < row_of_match)
                before[match] += np.count_nonzero((again > wanted) | tied)


def _rounded(similarity: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and the most that a matrix product may make of similarities.

    Each of D sums is rounded by half of `eps` of itself; they grow to the similarity, and their
    errors add up like the square root of their number. The worst of a million pairs reached half.
    """
    eps = np.finfo(units.dtype).eps
    reach = 2 * eps * (1 + np.sqrt(units.shape[1]) * np.abs(similarity))
    return (similarity - reach).astype(units.dtype), (similarity + reach).astype(units.dtype)


def _similarity(
    query: np.ndarray, queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Returns similarities of pairs, float64: equal for equal pictures, wherever they stand."""
    similarity = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS):
        stop = start + _PAIRS
        pair = query[queries[start:stop]].astype(np.float64)
        pair *= gallery[rows[start:stop]]
        similarity[start:stop] = pair.sum(axis=1)
    return similarity
