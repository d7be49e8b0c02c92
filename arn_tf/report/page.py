"""The page as a whole, from the evaluation of a run."""

import numpy as np

from arn_tf.ranking import scores
from arn_tf.ranking.evaluation import Evaluation, Kept
from arn_tf.report import camera_pairs, cameras, html, lists, pair_section, sections
from arn_tf.report.about import About
from arn_tf.report.histograms import histograms
from arn_tf.report.neighbours import neighbours
from arn_tf.report.style import CSS

# A page is mailed around, and names in it come from anywhere: no script, nothing from elsewhere.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_LISTS = (
    "What the model finds most similar to a picture, most similar first: the cosine similarity, "
    "and the camera. "
)
_RIGHT = (
    "A green frame and ✓: the query's person; a red, dashed one and ✗: somebody else. One list "
    "for a person, where there are enough."
)
_MUTUAL = (
    "Of all pictures that are each other's most similar one, those whose similarity is {}. Nobody "
    "has said who is right."
)


def page(about: About, evaluation: Evaluation) -> str:
    """Returns the page of an evaluation, HTML; equal input gives equal pages.

    Args:
        about: the run, and what was scored on.
        evaluation: its scores, with `kept`.
    """
    kept = evaluation.kept
    assert kept is not None
    make = _labelled if evaluation.rows else _unlabelled
    body = make(about, evaluation, kept)
    if evaluation.pairs:
        body += pair_section.pairs(evaluation.pairs)
    body += sections.details(about)
    title = html.text(about.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}: person re-identification</title>\n<style>{CSS}</style>\n</head>\n"
        f'<body>\n<header><p class="eyebrow">Person re-identification, {html.text(about.recipe)} '
        f'recipe</p><h1>{title}</h1><p class="quiet">{html.text(kept.title)}</p></header>\n'
        f"<main>\n{body}</main>\n<footer>arn_tf. Pictures of persons: show this page only to those "
        "who may see them.</footer>\n</body>\n</html>\n"
    )


def _labelled(about: About, evaluation: Evaluation, kept: Kept) -> str:
    [result] = [row.result for row in evaluation.rows if row.title == kept.title]
    numbers = scores.metrics([result])
    best, worst = lists.by_precision(kept, result)
    top = [
        ("rank-1, %", html.percent(result.rank(1)), _between(numbers["rank-1_interval"])),
        ("mAP, %", html.percent(result.mean_ap), _between(numbers["mean_ap_interval"])),
        ("queries", f"{result.valid_queries:,}", f"in {len(kept.gallery):,} gallery pictures"),
        ("cameras", f"{len(cameras.names(kept.query, kept.gallery))}", "in query and gallery"),
    ]
    by = "average precision"
    return "".join(
        (
            sections.tiles(top),
            sections.what_was_scored(about, evaluation.notes),
            sections.score_table(evaluation.rows, kept.title, evaluation.by_tracklet),
            sections.matrices(camera_pairs.scores(kept)),
            sections.similarity_charts(histograms(kept, labelled=True)),
            sections.ranked_lists(kept, "Best lists", _LISTS + _RIGHT, best, by),
            sections.ranked_lists(kept, "Worst lists", _LISTS + _RIGHT, worst, by),
        )
    )


def _unlabelled(about: About, evaluation: Evaluation, kept: Kept) -> str:
    found = neighbours(kept)
    mutual = found.mutual()
    best, worst = lists.by_similarity(kept, found)
    top = [
        ("pictures", f"{len(kept.query):,}", "whose persons nobody knows"),
        ("cameras", f"{len(cameras.names(kept.query))}", "that are known"),
        ("mutual nearest", f"{len(mutual):,}", "pairs of pictures"),
    ]
    if len(mutual):
        mean = float(np.mean(found.similarity[mutual]))
        top.append(("their similarity", f"{mean:.2f}", "mean cosine"))
    by = "similarity of the nearest"
    return "".join(
        (
            sections.tiles(top),
            sections.what_was_scored(about, evaluation.notes),
            sections.unlabelled_table(evaluation.without_labels, kept.title),
            sections.matrices(found.matrix) if found.matrix else "",
            sections.similarity_charts(histograms(kept, labelled=False)),
            sections.ranked_lists(
                kept, "Surest matches", _LISTS + _MUTUAL.format("highest"), best, by
            ),
            sections.ranked_lists(
                kept, "Least sure matches", _LISTS + _MUTUAL.format("lowest"), worst, by
            ),
        )
    )


def _between(interval: scores.Metric) -> str:
    assert isinstance(interval, tuple)
    low, high = map(html.percent, interval)
    return f"95 %: {low} to {high}"
