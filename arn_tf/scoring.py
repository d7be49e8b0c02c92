"""Scores embeddings of a query and a gallery split, and draws their ranked lists."""

import numpy as np

from arn_tf import ranked_lists, ranking
from arn_tf.errors import UserError


def score(query_embeddings, gallery_embeddings, query, gallery, distance=None):
    """`ranking.rank_gallery` for two `input_pipeline.Split`s, by its own distance or another.

    Raises:
        UserError: no query can be scored, or embeddings are not finite.
    """
    try:
        return ranking.rank_gallery(
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
        found, similarity = ranking.ranked_list(
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


def table(rows):
    """Rows (name, metrics) as a Markdown table; metrics as `RankingResult.to_json` gives them.

    A metric may also be a pair (mean, spread), over seeds.
    """
    columns = {"rank-1": "rank-1", "rank-5": "rank-5", "rank-10": "rank-10", "rank-20": "rank-20",
               "mean_ap": "mAP", "mean_ap_trapezoid": "trapezoid mAP"}  # fmt: skip
    body = [[name, *(_number(metrics[key]) for key in columns)] for name, metrics in rows]
    header = ["", *columns.values()]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *body]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _number(value):
    if isinstance(value, tuple | list):
        return f"{100 * value[0]:.1f} ± {100 * value[1]:.1f}"
    return f"{100 * value:.1f}"
