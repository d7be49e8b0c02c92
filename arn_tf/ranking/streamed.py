"""Ranks a gallery that need not fit in memory: `protocol.rank_gallery` over blocks, read twice.

What a match's rank needs is its similarity and how many pictures lie above it. The first reading
computes the similarities of the matches alone, few as they are; the second multiplies every block
with the queries, and counts the products above each match. So the gallery is multiplied once, and
what is held of it is one block.

A matrix product rounds a similarity differently from place to place. Here rounding decides nothing
(`arn_tf.ranking.tile_ranks`): ranks are those of similarities in float64, equal ones by row (copies
of a picture are equal), whatever the blocks are.
`rank_gallery` takes the product's own order there, and may rank pictures apart by 1e-7 otherwise.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from arn_tf.ranking import arguments, gallery_blocks, results, tile_ranks
from arn_tf.ranking.arguments import DISTRACTOR
from arn_tf.ranking.gallery_blocks import Block
from arn_tf.ranking.same_person import ByPerson
from arn_tf.ranking.tile_ranks import Matches, Queries

# Gallery pictures multiplied at a time: the products of `block` queries take 32 MiB.
_COLUMNS = 32768


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
    and `block` * 32768 numbers.

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
    queries = Queries(query, person, camera, ByPerson(person))

    matches, checksums, junk, distractors = _find_matches(queries, gallery)
    before = np.zeros(len(matches.row), np.int64)
    parts = gallery_blocks.again(gallery_blocks.checked(gallery, query), checksums)
    for start, units, gallery_person in gallery_blocks.tiles(parts, _COLUMNS):
        tile_ranks.add_before(before, queries, matches, start, units, gallery_person, block)
    count = np.diff(matches.starts)
    place = np.arange(1, len(before) + 1) - np.repeat(matches.starts[:-1], count)
    return results.of_ranks(before + place, count, max_rank, junk=junk, distractors=distractors)


def _find_matches(
    queries: Queries, gallery: Iterable[Block]
) -> tuple[Matches, list[int], int, int]:
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
        similarity = tile_ranks.similarity(queries.units, query, part.units, picture)
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
    matches = tile_ranks.found(query, similarity, row, queries)
    return matches, checksums, junk, distractors
