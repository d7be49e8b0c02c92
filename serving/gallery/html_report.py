"""Results of a search as one HTML file with all pictures in it.

No script and no links, and a policy that forbids both: file names come from anywhere, and the
page may be mailed around. Thumbnails are small JPEGs inside the page.
"""

import contextlib
import os
from collections.abc import Sequence

from serving.errors import BadInputError
from serving.gallery import html_tracklets
from serving.gallery.html_pictures import about, frame, score, text
from serving.gallery.search import Hit, Result
from serving.gallery.text_report import moment
from serving.gallery.tracklet_search import TrackletResult

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Search results</title>
<style>
:root { --page: #f6f7f9; --card: #fff; --text: #1b1f24; --quiet: #5a6472; --line: #dde1e7;
  --accent: #0b62c4; --bar: #e4e9f0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1e2329; --text: #e8ebef; --quiet: #9aa5b3; --line: #313841;
    --accent: #6cb0ff; --bar: #2c333c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 100rem; background: var(--page);
  color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0; }
header p { margin: .2rem 0 1.5rem; color: var(--quiet); }
section { display: grid; grid-template-columns: 9.5rem minmax(0, 1fr); gap: 1.25rem;
  padding: 1.25rem; margin-bottom: 1.25rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; }
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.75rem, 1fr));
  gap: 1.1rem .9rem; margin: 0; padding: 0; list-style: none; }
figure { margin: 0; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
.frame { display: flex; align-items: center; justify-content: center; aspect-ratio: 1 / 2;
  background: var(--bar); border-radius: .45rem; overflow: hidden; margin-bottom: .45rem; }
.frame img { width: 100%; height: 100%; object-fit: contain; }
.frame.gone { border: 1px dashed var(--quiet); color: var(--quiet); padding: .75rem;
  text-align: center; font-size: .8rem; }
.query .frame { outline: 3px solid var(--accent); outline-offset: 2px; }
.line { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.rank { font-weight: 650; }
.bar { height: 4px; margin: .15rem 0 .3rem; border-radius: 2px; background: var(--bar); }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--accent); }
.more { display: grid; grid-template-columns: repeat(3, 1fr); gap: .3rem; margin-bottom: .45rem; }
.more .frame { margin: 0; border-radius: .25rem; outline: none; }
.query .more { margin-top: .7rem; }
.more .frame.gone { padding: .1rem; font-size: .6rem; }
.label { color: var(--accent); font-weight: 650; }
.quiet { color: var(--quiet); }
@media (max-width: 40rem) { body { padding: .75rem; }
  section { grid-template-columns: minmax(0, 1fr); padding: .9rem; }
  .query { width: 7.5rem; }
  .hits { grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr)); } }
</style>
</head>
<body>
"""


def check_destination(html: str) -> None:
    """Checks that a page can be written, before any work is done for it.

    Args:
        html: path of the page.

    Raises:
        BadInputError: it can't be written there.
    """
    parent = os.path.dirname(html) or "."
    if os.path.isdir(html) or not html:
        raise _refused(html, "name a file, not a folder")
    # A pipe or device would be replaced by a file.
    if os.path.exists(html) and not os.path.isfile(html):
        raise _refused(html, "that is not a file; name one, or a new one")
    if not os.path.isdir(parent):
        raise _refused(html, f"there is no folder {parent}")
    if not os.access(parent, os.W_OK):
        raise _refused(html, f"the folder {parent} can't be written")


def write(html: str, results: Sequence[Result] | Sequence[TrackletResult], gallery: str) -> None:
    """Writes the page, beside its place first, so a page is whole or not there.

    Args:
        html: path of the page; overwritten.
        results: one section each.
        gallery: the gallery's folder, for the headline.

    Raises:
        BadInputError: it can't be written. What was there before still is.
    """
    partial = f"{html}.{os.getpid()}.new"
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(_HEAD)
            count = f"{len(results)} {'query' if len(results) == 1 else 'queries'}"
            file.write(
                f"<header><h1>Search results</h1><p>{count} against the gallery {text(gallery)}."
                f" Scores are cosines{_of(results)}.</p></header>\n"
            )
            for result in results:
                file.write(_section(result))
            file.write("</body>\n</html>\n")
        os.replace(partial, html)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(partial)
        if isinstance(error, OSError):
            raise _refused(html, f"can't be written: {error.strerror}") from error
        raise


def _refused(html: str, message: str) -> BadInputError:
    return BadInputError(message, arguments={"html": html})


def _of(results: Sequence[Result] | Sequence[TrackletResult]) -> str:
    by_tracklet = any(isinstance(result, TrackletResult) for result in results)
    return html_tracklets.SCORES if by_tracklet else ""


def _section(result: Result | TrackletResult) -> str:
    if isinstance(result, TrackletResult):
        return html_tracklets.section(result)
    hits = "".join(_hit(rank, hit) for rank, hit in enumerate(result.hits, 1))
    found = f'<ol class="hits">\n{hits}</ol>'
    if not hits:
        found = '<p class="quiet">No picture of the gallery passes the filter.</p>'
    return (
        f'<section>\n<figure class="query">{frame(result.file, "query")}<figcaption>'
        f'<div class="label">Query</div>{about(result.camera, result.file)}'
        f"</figcaption></figure>\n{found}\n</section>\n"
    )


def _hit(rank: int, hit: Hit) -> str:
    picture = hit.picture
    return (
        f'<li><figure title="inserted {moment(picture.inserted_at)}">'
        f"{frame(picture.file, f'rank {rank}')}<figcaption>{score(hit.score, str(rank))}"
        f"{about(picture.camera, picture.file)}</figcaption></figure></li>\n"
    )
