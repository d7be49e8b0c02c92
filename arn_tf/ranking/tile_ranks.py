"""How many pictures of a part of a gallery stand before each match, rounding deciding nothing.

A matrix product rounds a similarity differently from place to place. So products within its reach
of a match are computed again in float64, one by one: equal for equal pictures, wherever they stand.
"""

import dataclasses

import numpy as np

from arn_tf.ranking import match_ranks
from arn_tf.ranking.same_person import ByPerson

# Pairs of embeddings compared one by one at a time.
_PAIRS = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class Queries:
    """Queries whose matches are looked for.

    Attributes:
        units: float [Q, D] of unit length.
        person: int64 [Q].
        camera: int64 [Q].
        by_person: the same persons, for pairs of one person.
    """

    units: np.ndarray
    person: np.ndarray
    camera: np.ndarray
    by_person: ByPerson

    def pairs(self, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns (query, picture) of every pair of one person, ascending by query.

        Args:
            person: int64 [B], of the pictures.
        """
        picture, query = self.by_person.pairs(person)
        ascending = np.argsort(query, kind="stable")
        return query[ascending], picture[ascending]


@dataclasses.dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of a query and a match, the queries ascending, the best match of each first.

    Attributes:
        similarity: float64 [M].
        low: float [M], the least that a matrix product may make of it.
        high: float [M], the most.
        row: int64 [M], counted from the gallery's first picture that is no junk.
        starts: int64 [Q + 1]; those of a query begin at `starts[query]`.
    """

    similarity: np.ndarray
    low: np.ndarray
    high: np.ndarray
    row: np.ndarray
    starts: np.ndarray


def found(query: np.ndarray, similarity: np.ndarray, row: np.ndarray, queries: Queries) -> Matches:
    """Returns matches in their order.

    Args:
        query: integers [M], whose match it is.
        similarity: float64 [M].
        row: int64 [M], of the gallery.
        queries: all Q.
    """
    order = np.lexsort((row, -similarity, query))
    starts = np.searchsorted(query, np.arange(len(queries.units) + 1), sorter=order)
    similarity = similarity[order]
    low, high = _rounded(similarity, queries.units)
    return Matches(similarity, low, high, row[order], starts)


def similarity(
    query: np.ndarray, queries: np.ndarray, gallery: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Returns similarities of pairs, float64 [P]: equal for equal pictures, wherever they stand.

    Args:
        query: float [Q, D].
        queries: int64 [P], rows of it.
        gallery: float [G, D].
        rows: int64 [P], rows of it.
    """
    values = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS):
        stop = start + _PAIRS
        pair = query[queries[start:stop]].astype(np.float64)
        pair *= gallery[rows[start:stop]]
        values[start:stop] = pair.sum(axis=1)
    return values


def add_before(
    before: np.ndarray,
    queries: Queries,
    matches: Matches,
    start: int,
    units: np.ndarray,
    person: np.ndarray,
    block: int,
) -> None:
    """Adds the pictures of other persons that stand before each match.

    Args:
        before: int64 [M], which is added to.
        queries: whose matches they are.
        matches: all M.
        start: pictures of the gallery before this part of it.
        units: float [C, D] of unit length, of this part.
        person: int64 [C].
        block: queries compared at a time.
    """
    own_query, own = queries.pairs(person)
    valid = np.flatnonzero(np.diff(matches.starts))
    worst = matches.low[matches.starts[valid + 1] - 1]
    scores = np.empty((min(block, len(valid)), len(units)), units.dtype)
    for first in range(0, len(valid), block):
        chosen = valid[first : first + block]
        products = _products(queries.units[chosen], units, scores[: len(chosen)])
        # Pictures of the query's own person count by their similarities, or not at all.
        pairs = slice(*np.searchsorted(own_query, [chosen[0], chosen[-1] + 1]))
        row = np.searchsorted(chosen, own_query[pairs])
        here = chosen[row] == own_query[pairs]
        products[row[here], own[pairs][here]] = -np.inf
        least = worst[first : first + block]
        for query, line, low in zip(chosen.tolist(), products, least, strict=True):
            contending = line >= low
            count = int(np.count_nonzero(contending))
            if not count:
                continue
            ordered = match_ranks.ascending(line, contending, count)
            mine = slice(matches.starts[query], matches.starts[query + 1])
            above = ordered.searchsorted(matches.high[mine], "right")
            before[mine] += len(ordered) - above
            near = ordered.searchsorted(matches.low[mine], "left") < above
            for match in mine.start + np.flatnonzero(near) if near.any() else ():
                before[match] += _near_before(queries, matches, start, units, query, line, match)


def _products(query: np.ndarray, gallery: np.ndarray, out: np.ndarray) -> np.ndarray:
    return np.matmul(query, gallery.T, out=out)


def _near_before(
    queries: Queries,
    matches: Matches,
    start: int,
    units: np.ndarray,
    query: int,
    scores: np.ndarray,
    match: int,
) -> int:
    """Returns how many of the pictures within the reach of a match stand before it."""
    rows = np.flatnonzero((scores >= matches.low[match]) & (scores <= matches.high[match]))
    again = similarity(queries.units, np.full(len(rows), query), units, rows)
    wanted = matches.similarity[match]
    tied = (again == wanted) & (start + rows < matches.row[match])
    return int(np.count_nonzero((again > wanted) | tied))


def _rounded(similarities: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and the most that a matrix product may make of similarities.

    Each of D sums is rounded by half of `eps` of itself; they grow to the similarity, and their
    errors add up like the square root of their number. The worst of a million pairs reached half.
    """
    eps = np.finfo(units.dtype).eps
    reach = 2 * eps * (1 + np.sqrt(units.shape[1]) * np.abs(similarities))
    return (similarities - reach).astype(units.dtype), (similarities + reach).astype(units.dtype)
