"""Tracklets in a page of results: the picture nearest to the query, and a few more below it."""

from collections.abc import Sequence

from serving.gallery.html_pictures import about, frame, score, text
from serving.gallery.tracklet_search import TrackletHit, TrackletResult

# Goes on with "Scores are cosines".
SCORES = (
    " of tracklets' mean embeddings; of each tracklet those pictures are shown that are nearest to"
    " the query"
)
_SHOWN = 4


def section(result: TrackletResult) -> str:
    """Returns the section of one query."""
    hits = "".join(_hit(rank, hit) for rank, hit in enumerate(result.hits, 1))
    found = f'<ol class="hits">\n{hits}</ol>'
    if not hits:
        found = '<p class="quiet">No tracklet of the gallery passes the filter.</p>'
    about_query = _about(result.camera, result.name, result.files[0], len(result.files))
    return (
        f'<section>\n<figure class="query">{_frames(result.files, "query")}<figcaption>'
        f'<div class="label">Query</div>{about_query}'
        f"</figcaption></figure>\n{found}\n</section>\n"
    )


def _hit(rank: int, hit: TrackletHit) -> str:
    files = [each.picture.file for each in hit.best]
    return (
        f"<li><figure>{_frames(files, f'rank {rank}')}<figcaption>{score(hit.score, str(rank))}"
        f"{_about(hit.camera, hit.name, files[0], hit.count)}</figcaption></figure></li>\n"
    )


def _frames(files: Sequence[str], what: str) -> str:
    first, *more = (frame(file, what) for file in files[:_SHOWN])
    return first + (f'<div class="more">{"".join(more)}</div>' if more else "")


def _about(camera: str | None, name: str | None, file: str, count: int) -> str:
    if name is None:
        return about(camera, file)
    place = "no camera" if camera is None else f"camera {text(camera)}"
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    return (
        f"<div>{place}</div><div>tracklet <bdi>{text(name)}</bdi></div>"
        f'<div class="quiet">{pictures}</div>'
    )
