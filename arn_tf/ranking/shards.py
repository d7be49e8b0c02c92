"""Ranks the pictures of one embedding job for those of another, from their shards.

What a job has are names of persons and cameras; here they become numbers, the same in query and
gallery. A gallery picture without a name, or of Market-1501's -1, is junk: it could show anybody.
Pictures whose camera is unknown count as of one camera.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from arn_tf.errors import ArgumentError, UserError
from arn_tf.ranking import arguments, reciprocal, streamed
from arn_tf.ranking.arguments import JUNK
from arn_tf.ranking.results import RankingResult
from datasets.embedding_shards.job_file import ShardError
from datasets.embedding_shards.read import EmbeddingShards, vectors
from datasets.files.printable import printable

_NOBODY = "-1"
_UNKNOWN = -1
_COLUMNS = ("embedding", "person_id")


def rank(query: str, gallery: str, *, same_camera: bool = False) -> RankingResult:
    """Ranks a gallery for every query by `streamed.rank_blocks`; the gallery stays on the disk.

    Args:
        query: output of `arn_tf.embed`; the person of every picture is known.
        gallery: the same of the pictures to be ranked; it may be the query's folder.
        same_camera: whether pictures of the query's own camera count as matches, all but its own.

    Raises:
        UserError: a folder holds no finished job or a damaged one, embeddings of another model, a
            query whose person isn't known, or no query has a match.
    """
    asked, ranked = _opened("query", query), _opened("gallery", gallery)
    spaces = asked.job.embedding_space, ranked.job.embedding_space
    if spaces[0] != spaces[1]:
        raise ArgumentError(
            "gallery",
            gallery,
            f"its embeddings are of another model ({spaces[1]}) than query's ({spaces[0]}); embed "
            "both with one version of one model",
            also=["query"],
        )
    view = "content_hash" if same_camera else "camera"
    queries = _Queries(query, asked, view)
    blocks = _Blocks(ranked, queries.persons, queries.views, view)
    try:
        return streamed.rank_blocks(*queries.arrays, blocks)
    except ShardError as error:
        raise ArgumentError("gallery", gallery, str(error)) from error
    except ValueError as error:
        raise UserError(*_told(str(error), same_camera)) from error


class _Queries:
    """The queries, in memory.

    Attributes:
        arrays: embeddings, person_id and camera_id, as `streamed.rank_blocks` takes them.
        persons: {name: person_id}.
        views: {name of a camera, or hash of a picture: camera_id}.
    """

    def __init__(self, folder: str, shards: EmbeddingShards, view: str) -> None:
        embeddings: list[np.ndarray] = []
        persons: list[str | None] = []
        views: list[str | bytes | None] = []
        nobody: list[str] = []
        try:
            for batch in shards.batches(["file", *_COLUMNS, view]):
                embeddings.append(vectors(batch))
                persons += (own := batch.column("person_id").to_pylist())
                views += batch.column(view).to_pylist()
                names = zip(batch.column("file").to_pylist(), own, strict=True)
                nobody += [file for file, person in names if person in (None, _NOBODY)]
        except ShardError as error:
            raise ArgumentError("query", folder, str(error)) from error
        if not embeddings:
            raise ArgumentError("query", folder, "no picture in it has an embedding")
        if nobody:
            raise ArgumentError(
                "query",
                folder,
                f"the persons of {len(nobody)} of {len(persons)} pictures aren't known, such as "
                f"that of {printable(nobody[0])}; pass names={{person_id}}_{{camera}}_{{*}} to "
                "arn_tf.embed, or a table with a column person_id",
                also=["names"],
            )
        self.persons = {name: number for number, name in enumerate(dict.fromkeys(persons), 1)}
        known = dict.fromkeys(name for name in views if name is not None)
        self.views = {name: number for number, name in enumerate(known)}
        self.arrays = (
            np.concatenate(embeddings),
            np.array([self.persons[name] for name in persons]),
            np.array([_UNKNOWN if name is None else self.views[name] for name in views]),
        )


class _Blocks:
    """A gallery, read anew each time: what no query has shares one number."""

    def __init__(
        self, shards: EmbeddingShards, persons: Mapping, views: Mapping, view: str
    ) -> None:
        self._shards, self._view = shards, view
        self._persons, self._views = persons, views
        self._readings = 0

    def __iter__(self) -> Iterator[streamed.Block]:
        self._readings += 1
        title = f"ranking, reading {self._readings} of 2"
        persons = {**self._persons, _NOBODY: JUNK}
        with reciprocal.progress_bar(title, len(self._shards)) as bar:
            for batch in self._shards.batches([*_COLUMNS, self._view]):
                yield (
                    vectors(batch),
                    _numbers(batch.column("person_id"), persons, JUNK, len(persons)),
                    _numbers(batch.column(self._view), self._views, _UNKNOWN, len(self._views)),
                )
                bar.update(len(batch))


def _numbers(column: pa.Array, known: Mapping, unknown: int, other: int) -> np.ndarray:
    """Returns the number of each name, int64 [N].

    Args:
        column: names, null where there is none.
        known: {name: number}.
        unknown: the number of null.
        other: that of all other names.
    """
    encoded = column.dictionary_encode()
    numbers = [known.get(name, other) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    return np.array([*numbers, unknown], np.int64)[codes]


def _opened(argument: str, folder: str) -> EmbeddingShards:
    try:
        return EmbeddingShards(folder)
    except ShardError as error:
        raise ArgumentError(argument, folder, str(error)) from error


def _told(problem: str, same_camera: bool) -> tuple[str, list[str]]:
    """Returns what is wrong with query and gallery, and the arguments that it names."""
    if not problem.startswith(arguments.NO_MATCH):
        return f"the shards can't be ranked: {problem}", []
    if same_camera:
        what = "a gallery picture of its person other than itself"
        return f"{arguments.NO_MATCH}, {what}", []
    return f"{problem}; same_camera lets pictures of one camera match", ["same_camera"]
