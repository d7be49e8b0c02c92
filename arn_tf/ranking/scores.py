"""Scores embeddings of a query and a gallery split, draws their ranked lists, prints tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from arn_tf.errors import UserError
from arn_tf.ranking import arguments, intervals, protocol, ranked_lists
from arn_tf.ranking.results import RankingResult

# A score; or (mean, sample deviation) over seeds, or (low, high) of an interval.
Metric = float | tuple[float, float]


class Split(Protocol):
    """What is read of an `arn_tf.data.split.Split`; its attributes are described there."""

    @property
    def images(self) -> np.ndarray: ...

    @property
    def person_id(self) -> np.ndarray: ...

    @property
    def camera_id(self) -> np.ndarray: ...

    @property
    def view_id(self) -> np.ndarray: ...

    @property
    def views(self) -> np.ndarray | None: ...

    @property
    def tracklet(self) -> np.ndarray | None: ...

    @property
    def file_name(self) -> list[str]: ...

    def camera(self, row: int) -> str: ...

    def content_hashes(self) -> list[bytes]: ...

    def subset(self, rows: np.ndarray) -> "Split": ...

    def __len__(self) -> int: ...


def score(
    query_embeddings: npt.ArrayLike,
    gallery_embeddings: npt.ArrayLike,
    query: Split,
    gallery: Split,
    distance: protocol.Distance | None = None,
) -> RankingResult:
    """Returns the scores of two splits by `protocol.rank_gallery`.

    Args:
        query_embeddings: real [Q, D], of any length above zero.
        gallery_embeddings: real [G, D].
        query: the Q pictures.
        gallery: the G pictures.
        distance: ranks instead of cosine similarity; see `protocol.rank_gallery`.

    Raises:
        UserError: no query can be scored, or embeddings are not finite.
    """
    try:
        return protocol.rank_gallery(
            query_embeddings,
            gallery_embeddings,
            query.person_id,
            gallery.person_id,
            query.view_id,
            gallery.view_id,
            distance=distance,
        )
    except ValueError as error:
        problem = str(error)
        if query.views is not None and problem.startswith(arguments.NO_MATCH):
            problem = f"{arguments.NO_MATCH}, a gallery picture of its person other than itself"
        raise UserError(f"the query and gallery splits can't be scored: {problem}") from error


def draw_ranked_lists(
    query_embeddings: np.ndarray,
    gallery_embeddings: np.ndarray,
    query: Split,
    gallery: Split,
    title: str,
    count: int = 8,
) -> Image.Image:
    """Draws ranked lists of evenly spread queries.

    Args:
        query_embeddings: real [Q, D], of any length above zero.
        gallery_embeddings: real [G, D].
        query: the Q pictures.
        gallery: the G pictures.
        title: a line above the lists.
        count: lists to draw; of fewer queries, all.

    Returns:
        an RGB image; see `ranked_lists.draw`.
    """
    rows = np.unique(np.linspace(0, len(query) - 1, min(count, len(query))).astype(int))
    lists = []
    for row in rows:
        found, similarity = protocol.ranked_list(
            query_embeddings[row],
            gallery_embeddings,
            int(query.person_id[row]),
            gallery.person_id,
            int(query.view_id[row]),
            gallery.view_id,
        )
        first = ranked_lists.Thumbnail(query.images[row], f"query\n{query.camera(row)}", None)
        ranked = [
            ranked_lists.Thumbnail(
                gallery.images[i],
                f"{value:.3f}\n{gallery.camera(i)}",
                bool(gallery.person_id[i] == query.person_id[row]),
            )
            for i, value in zip(found, similarity, strict=True)
        ]
        lists.append(ranked_lists.Row(first, ranked))
    return ranked_lists.draw(lists, header=title)


def draw_lists_across_cameras(
    embeddings: np.ndarray, split: Split, title: str, count: int = 8, length: int = 10
) -> Image.Image:
    """Draws what is nearest to some pictures in other cameras, where nobody knows the persons.

    Of one camera or none, among all other pictures.

    Args:
        embeddings: real [N, D], of unit length.
        split: the N pictures.
        title: a line above the lists.
        count: lists to draw, of evenly spread pictures.
        length: of a list.

    Returns:
        an RGB image; see `ranked_lists.draw`.
    """
    lists, several = [], np.unique(split.view_id[split.view_id >= 0]).size > 1
    for row in np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int)):
        others = np.flatnonzero(split.view_id != split.view_id[row])
        if not several:
            others = np.delete(np.arange(len(split)), row)
        similarity = embeddings[others] @ embeddings[row]
        best = np.argsort(-similarity, kind="stable")[:length]
        first = ranked_lists.Thumbnail(split.images[row], f"query\n{split.camera(row)}", None)
        ranked = [
            ranked_lists.Thumbnail(split.images[i], f"{value:.3f}\n{split.camera(i)}", None)
            for i, value in zip(others[best], similarity[best], strict=True)
        ]
        lists.append(ranked_lists.Row(first, ranked))
    return ranked_lists.draw(lists, header=title)


def metrics(results: Sequence[RankingResult]) -> dict[str, Metric]:
    """Returns the metrics of one row of a table, by name.

    Args:
        results: of the same queries, one for each seed.

    Returns:
        the scores of `RankingResult.to_json`, with more than one seed as (mean, sample deviation)
        over seeds; and `rank-1_interval` and `mean_ap_interval`, (low, high) over queries, see
        `intervals.interval`.
    """
    several = [result.to_json() for result in results]
    found: dict[str, Metric] = {}
    for name in several[0]:
        numbers = [each[name] for each in several]
        if len(numbers) == 1:
            found[name] = numbers[0]
        else:
            found[name] = float(np.mean(numbers)), float(np.std(numbers, ddof=1))
    per_query = [result.per_query() for result in results]
    for name in per_query[0]:
        found[f"{name}_interval"] = intervals.interval([each[name] for each in per_query])
    return found


def table(rows: Iterable[tuple[str, Mapping[str, Metric]]]) -> str:
    """Returns a Markdown table in percent.

    Args:
        rows: (name of the row, its metrics as `metrics` gives them).
    """
    columns = {
        "rank-1": "rank-1",
        "rank-5": "rank-5",
        "rank-10": "rank-10",
        "rank-20": "rank-20",
        "mean_ap": "mAP",
        "mean_ap_interval": "mAP 95%",
        "mean_ap_trapezoid": "trapezoid mAP",
    }
    body = [[name, *(_cell(key, row[key]) for key in columns)] for name, row in rows]
    header = ["", *columns.values()]
    return markdown([header, *body])


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table of cells; the first line is its header."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in ruled
    )


def _cell(name: str, value: Metric) -> str:
    if not isinstance(value, tuple):
        return f"{100 * value:.1f}"
    if name.endswith("_interval"):
        return f"[{100 * value[0]:.1f}, {100 * value[1]:.1f}]"
    return f"{100 * value[0]:.1f} ± {100 * value[1]:.1f}"
