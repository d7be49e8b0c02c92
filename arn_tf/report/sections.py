"""The sections of a page, each from plain numbers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from arn_tf.ranking import scores, tracklets
from arn_tf.ranking.evaluation import Kept, Row, shown
from arn_tf.ranking.results import RankingResult
from arn_tf.report import cameras, charts, html
from arn_tf.report.about import About
from arn_tf.report.camera_pairs import LEAST_QUERIES, Matrix
from arn_tf.report.histograms import ANY, EDGES, OTHER, SAME, Histograms
from arn_tf.report.lists import Ranked
from arn_tf.report.neighbours import LEAST_PICTURES

# Cameras beyond which a matrix is no longer a thing to look at.
_MOST_CAMERAS = 24
_RANKS = ("rank-1", "rank-5", "rank-10")


def tiles(values: Sequence[tuple[str, str, str]]) -> str:
    """Returns the numbers that matter most, large.

    Args:
        values: (name of a number, the number, what stands below).
    """
    cells = "".join(
        f'<div class="tile"><span>{html.text(title)}</span><b>{html.text(number)}</b>'
        f"<span>{html.text(below)}</span></div>"
        for title, number, below in values
    )
    return f'<div class="tiles">{cells}</div>'


def what_was_scored(about: About, notes: Sequence[str]) -> str:
    """Returns what was scored on, how the model was chosen, and notes."""
    parts = [html.listed(about.scored)]
    if about.choice:
        parts.append("<h3>How the model was chosen, without a label</h3>")
        parts.append(html.paragraph(f"{about.choice.stage}: {about.choice.reason}."))
        rows = [
            (
                ' class="kept"' if stage == about.choice.stage else "",
                [html.name(stage), "–" if score is None else html.percent(score)],
            )
            for stage, score in about.choice.scores.items()
        ]
        if rows:
            parts.append(html.table(["stage", "consensus, %"], rows))
    if notes:
        parts += ["<h3>Notes</h3>", html.listed(f"{note[:1].upper()}{note[1:]}." for note in notes)]
    return html.section("What was scored", *parts)


def score_table(rows: Sequence[Row], kept: str, by_tracklet: Row | None = None) -> str:
    """Returns the table of scores with their intervals, and the CMC curves.

    Args:
        rows: of pictures.
        kept: title of the row of the model that the page is about.
        by_tracklet: its row by tracklet, for the table alone.
    """
    lines = []
    for row in [*rows, *([by_tracklet] if by_tracklet else [])]:
        numbers = scores.metrics([row.result])
        cells = [html.text(row.title)]
        for name in (*_RANKS, "mean_ap"):
            value, interval = numbers.get(name), numbers.get(f"{name}_interval")
            cell = html.percent(value) if isinstance(value, float) else "–"
            if isinstance(interval, tuple):
                low, high = map(html.percent, interval)
                cell += f" <small>[{low}, {high}]</small>"
            cells.append(cell)
        mean, interval = numbers["mean_ap"], numbers["mean_ap_interval"]
        assert isinstance(mean, float) and isinstance(interval, tuple)
        cells.append(charts.whisker(mean, interval))
        lines.append((' class="kept"' if row.title == kept else "", cells))
    header = ["model", *_RANKS, "mAP", "mAP from 0 to 100"]
    result = rows[-1].result
    count = (
        f"In percent. {result.valid_queries} of {result.queries} queries have a match and count; "
        f"{result.junk} junk pictures dropped, {result.distractors} distractors kept. In brackets: "
        "where 95 % of the scores would lie with other queries (bootstrap). Bold: the model that "
        "the rest of this page is about."
    )
    if by_tracklet:
        count += f" {tracklets.counts(by_tracklet)}"
    table = html.table(header, lines)
    [own] = [row.result for row in rows if row.title == kept]
    two = f'<div class="two">{_cmc(rows, kept)}{_precision(own)}</div>'
    return html.section("Scores", table, html.paragraph(count), two)


def unlabelled_table(models: Mapping[str, Mapping[str, float]], kept: str) -> str:
    """Returns the numbers without labels, of every model."""
    names = list(next(iter(models.values())))
    rows = [
        (
            ' class="kept"' if title == kept else "",
            [html.text(title), *(shown(numbers[name]) for name in names)],
        )
        for title, numbers in models.items()
    ]
    header = ["model", *(html.text(name.replace("_", " ")) for name in names)]
    words = (
        "Other camera share: of the 10 nearest, over chance. Mutual rate: pictures that are each "
        "other's nearest across cameras. Similarity entropy: nats. Higher is better for all three, "
        "among models of one run alone. Bold: the model that the rest of this page is about."
    )
    return html.section("Numbers without labels", html.table(header, rows), html.paragraph(words))


def similarity_charts(found: Histograms) -> str:
    """Returns the distributions of similarity within and between cameras."""
    kinds = {SAME: "right", OTHER: "other", ANY: "kept"}
    parts = []
    every = [n for groups in found.counts.values() for n in groups.values() if n.sum()]
    for place, groups in found.counts.items():
        filled = {kinds[g]: (g, counts) for g, counts in groups.items() if counts.sum()}
        chart = (
            charts.histogram(
                f"Similarity {place}", "pairs", "cosine similarity", EDGES, filled, every
            )
            if filled
            else html.paragraph("There are no such pairs.")
        )
        parts.append(f"<div><h3>Similarity {place}</h3>{chart}</div>")
    words = html.paragraph(
        f"Cosine similarity of {found.queries} queries and {found.gallery} gallery pictures, "
        "evenly spread over all. The less the curves of one place overlap, the better persons "
        "are told apart; where those of unlike pairs lie higher within a camera than between "
        "cameras, the camera shows in the embeddings."
        if len(next(iter(found.counts.values()))) > 1
        else f"Cosine similarity of {found.queries} pictures with {found.gallery}, evenly spread "
        "over all. Nearly all pairs show two persons: where they are more alike within a camera "
        "than between cameras, the camera shows in the embeddings."
    )
    return html.section(
        "How similar pictures are", words, f'<div class="two">{"".join(parts)}</div>'
    )


def matrices(found: Matrix) -> str:
    """Returns a table of camera pairs for each number."""
    shown = np.arange(len(found.names))
    if len(shown) > _MOST_CAMERAS:
        shown = np.sort(np.argsort(-found.counts.sum(axis=1), kind="stable")[:_MOST_CAMERAS])
    parts = []
    for title, values in found.values.items():
        shades = _shades(values)
        rows = [
            (
                "",
                [html.name(found.names[row])]
                + [
                    _cell(values[row, column], found.counts[row, column], shades[row, column])
                    for column in shown
                ],
            )
            for row in shown
        ]
        header = ["", *(html.name(found.names[column]) for column in shown)]
        parts.append(f"<div><h3>{html.text(title)}</h3>{html.table(header, rows, 'matrix')}</div>")
    labelled = found.of.startswith("queries")
    words = (
        "Queries of the camera at the left, in the gallery pictures of the camera above alone, in "
        f"percent; below each number, the {found.of}. A dash: fewer than {LEAST_QUERIES}."
        if labelled
        else "Mutual nearest neighbours: two pictures, each the other's most similar one of that "
        "camera. Their mean similarity; and reciprocity, the share of the smaller camera's "
        "pictures that have one. Both in percent; below, how many there are. A dash: one of the "
        f"cameras has fewer than {LEAST_PICTURES} pictures. Two cameras that few persons pass both "
        "have low numbers, too."
    )
    if len(shown) < len(found.names):
        words += f" The {len(shown)} of {len(found.names)} cameras with most of them."
    # Side by side where there is room for all columns of both.
    width = f"minmax(min(100%,{8 + 3.4 * len(shown):.0f}rem),1fr)"
    grid = f'<div class="matrices" style="grid-template-columns:repeat(auto-fit,{width})">'
    return html.section("From camera to camera", html.paragraph(words), grid, *parts, "</div>")


def ranked_lists(kept: Kept, title: str, words: str, lists: Sequence[Ranked], unit: str) -> str:
    """Returns ranked lists as pictures.

    Args:
        kept: the pictures.
        title: of the section.
        words: below it.
        lists: what to show.
        unit: what the lists were chosen by.
    """
    parts = [_list(kept, each, unit) for each in lists]
    return html.section(title, html.paragraph(words), *parts) if parts else ""


def details(about: About) -> str:
    """Returns digest, versions and settings."""
    settings: Mapping[str, object] = about.settings
    rows = [
        ("", [html.name(name), html.text("–" if value == "" else value)])
        for name, value in settings.items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    return html.section(
        "The run",
        f"<p>Model: SHA-256 <code>{html.text(about.model)}</code></p>",
        html.paragraph(f"Seed {settings.get('seed', '–')}. Scored with {versions}."),
        f"<details><summary>All settings</summary>{html.table(['', ''], rows, 'plain')}</details>",
    )


def _cmc(rows: Sequence[Row], kept: str) -> str:
    """Returns the curves of how often a match is among the first k."""
    ranks = np.arange(1, rows[0].result.cmc.size + 1)
    kinds = {row.title: "other" for row in rows} | {rows[0].title: "base"} | {kept: "kept"}
    curves = [charts.Line(r.title, ranks, r.result.cmc, kinds[r.title]) for r in rows]
    curves.sort(key=lambda curve: ("other", "base", "kept").index(curve.kind))
    ticks = {float(k): str(k) for k in (1, 5, 10, 15, 20) if k <= len(ranks)}
    x = charts.Axis("first k pictures of the gallery", 1, max(len(ranks), 2), ticks)
    y = charts.Axis("queries with a match", 0, 1, charts.percents())
    chart = charts.lines("Cumulative matching characteristic", curves, x, y)
    words = html.paragraph("The share of queries with a right picture among their first k.")
    return f"<div><h3>CMC</h3>{words}{chart}</div>"


def _shades(values: np.ndarray) -> np.ndarray:
    """Returns how dark the cells of a matrix are: the lowest least, the highest most."""
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0, 1)
    return 0.06 + 0.44 * (values - low) / max(high - low, 1e-9)


def _cell(value: float, count: int, shade: float) -> str:
    below = f"<small>{count}</small>" if count else ""
    if math.isnan(value):
        return f"<td>–{below}</td>"
    style = f"background:rgb(var(--tint) / {shade:.2f})"
    return f'<td style="{style}">{html.percent(value)}{below}</td>'


def _precision(result: RankingResult) -> str:
    """Returns the distribution of average precision: whether few queries fail, or many a little."""
    edges = np.linspace(0, 1, 21)
    counts = np.histogram(result.per_query()["mean_ap"], edges)[0]
    groups = {"kept": ("model in bold", counts)}
    chart = charts.histogram("Average precision", "queries", "average precision", edges, groups)
    words = html.paragraph("1: all right pictures come first. Their mean is mAP.")
    return f"<div><h3>Average precision of the queries</h3>{words}{chart}</div>"


def _list(kept: Kept, ranked: Ranked, unit: str) -> str:
    query, gallery = kept.query, kept.gallery
    figures = [_figure(query, ranked.query, "query", "query")]
    for place, row in enumerate(ranked.rows.tolist()):
        kind, mark, about = "", "", f"rank {place + 1}"
        if ranked.correct is not None:
            right = bool(ranked.correct[place])
            kind, mark = ("right", "✓") if right else ("wrong", "✗")
            about += f", {kind}"
        number = f"{ranked.similarity[place]:.2f}"
        figures.append(_figure(gallery, row, kind, number, mark, about))
    return (
        f'<div class="list"><p><b>{html.text(unit)} {ranked.score:.2f}</b> '
        f'<span class="quiet">· {html.name(query.file_name[ranked.query])}</span></p>'
        f'<div class="strip" tabindex="0">{"".join(figures)}</div></div>'
    )


def _figure(
    split: scores.Split, row: int, kind: str, head: str, mark: str = "", about: str = "query"
) -> str:
    camera = cameras.name(split, row)
    file = split.file_name[row]
    return (
        f'<figure class="{kind}" title="{html.text(file)}"><div class="frame">'
        f"{html.picture(split, row, f'{about}: {file}')}</div><figcaption>"
        f"<b>{html.text(head)} <i>{mark}</i></b>{html.name(camera)}</figcaption></figure>"
    )
