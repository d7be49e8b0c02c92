"""Scores embeddings of a query and a gallery split, draws their ranked lists, prints tables."""

import numpy as np

from arn_tf.errors import UserError
from arn_tf.ranking import intervals, protocol, ranked_lists


def score(query_embeddings, gallery_embeddings, query, gallery, distance=None):
    """`ranking.rank_gallery` for two `input_pipeline.Split`s, by its own distance or another.

    Raises:
        UserError: no query can be scored, or embeddings are not finite.
    """
    try:
        return protocol.rank_gallery(
            query_embeddings,
            gallery_embeddings,
            query.person_id,
            gallery.person_id,
            query.camera_id,
            gallery.camera_id,
            distance=distance,
        )
    except ValueError as error:
        raise UserError(f"the query and gallery splits can't be scored: {error}") from error


def draw_ranked_lists(query_embeddings, gallery_embeddings, query, gallery, title, count=8):
    """Ranked lists of evenly spread queries, as a `PIL.Image`; arguments as in `score`."""
    rows = np.unique(np.linspace(0, len(query) - 1, min(count, len(query))).astype(int))
    lists = []
    for row in rows:
        found, similarity = protocol.ranked_list(
            query_embeddings[row],
            gallery_embeddings,
            int(query.person_id[row]),
            gallery.person_id,
            int(query.camera_id[row]),
            gallery.camera_id,
        )
        first = ranked_lists.Thumbnail(query.images[row], f"query c{query.camera_id[row]}", None)
        ranked = [
            ranked_lists.Thumbnail(
                gallery.images[i],
                f"{value:.3f} c{gallery.camera_id[i]}",
                bool(gallery.person_id[i] == query.person_id[row]),
            )
            for i, value in zip(found, similarity, strict=True)
        ]
        lists.append(ranked_lists.Row(first, ranked))
    return ranked_lists.draw(lists, header=title)


def metrics(results):
    """What a table and a file say of one row.

    Args:
        results: `ranking.RankingResult`s of the same queries, one for each seed.

    Returns:
        the scores of `RankingResult.to_json`, with more than one seed as (mean, sample deviation)
        over seeds; and `rank-1_interval` and `mean_ap_interval`, (low, high) over queries, see
        `bootstrap.interval`.
    """
    several = [result.to_json() for result in results]
    if len(several) == 1:
        [found] = several
    else:
        found = {}
        for name in several[0]:
            numbers = [each[name] for each in several]
            found[name] = float(np.mean(numbers)), float(np.std(numbers, ddof=1))
    per_query = [result.per_query() for result in results]
    return found | {
        f"{name}_interval": intervals.interval([each[name] for each in per_query])
        for name in per_query[0]
    }


def table(rows):
    """Rows (name, metrics) as a Markdown table in percent; metrics as `metrics` gives them."""
    columns = {
        "rank-1": ("rank-1", _number), "rank-5": ("rank-5", _number),
        "rank-10": ("rank-10", _number), "rank-20": ("rank-20", _number),
        "mean_ap": ("mAP", _number), "mean_ap_interval": ("mAP 95%", _interval),
        "mean_ap_trapezoid": ("trapezoid mAP", _number),
    }  # fmt: skip
    body = [
        [name, *(text(metrics[key]) for key, (_, text) in columns.items())]
        for name, metrics in rows
    ]
    header = ["", *(title for title, _ in columns.values())]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *body]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _number(value):
    if isinstance(value, tuple):
        return f"{100 * value[0]:.1f} ± {100 * value[1]:.1f}"
    return f"{100 * value:.1f}"


def _interval(value):
    return f"[{100 * value[0]:.1f}, {100 * value[1]:.1f}]"
