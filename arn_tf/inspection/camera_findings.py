"""Findings on cameras, their names, tracklets and times."""

import collections
from collections.abc import Callable, Iterator

import numpy as np

from arn_tf.inspection import limits
from arn_tf.inspection.finding import Finding, Level, Pictures
from arn_tf.inspection.names import SHOWN
from arn_tf.strong.settings import FEW_PICTURES
from datasets import camera_names
from datasets.own_cameras.listing import UNKNOWN, Listing

_NAME_THEM = (
    "say which part of the paths is the camera: --names={camera}/{*}, or a table with a column "
    "camera"
)


def findings(pictures: Pictures) -> Iterator[Finding]:
    """Yields what is the matter with cameras and what is known of them."""
    if len(pictures.listing.camera.names):
        yield from _known(pictures)
        yield from _names(pictures.listing)
    elif pictures.good.any():
        yield Finding(
            "no_cameras",
            Level.HARMS,
            int(pictures.good.sum()),
            "pictures without a camera: all of them",
            (),
            "all use the statistics of the whole target, clusters may come from one camera, and "
            "nothing is learnt of what tells cameras apart; the training itself works",
            _NAME_THEM,
        )
    yield from _tracklets(pictures.listing)
    odd = pictures.declared.odd_times
    if odd.count:
        yield Finding(
            "odd_times",
            Level.HARMS,
            odd.count,
            "times that are no times",
            odd.examples,
            "they count as unknown",
            "write seconds, or a date and time such as 2026-11-28T18:40:00",
        )


def _known(pictures: Pictures) -> Iterator[Finding]:
    listing = pictures.listing
    names = listing.camera.names
    counts = pictures.per_camera(pictures.learnt)
    used = np.flatnonzero(counts)
    rows = np.flatnonzero(pictures.good & (listing.camera.codes == UNKNOWN))
    if len(rows):
        yield Finding(
            "without_camera",
            Level.HARMS,
            len(rows),
            "pictures without a camera",
            pictures.names(rows),
            "they use the statistics of the whole target",
            _NAME_THEM,
        )
    if len(used) == 1:
        yield Finding(
            "one_camera",
            Level.HARMS,
            1,
            "fewer cameras than two",
            (names[used[0]],),
            "re-identification is between cameras: what tells them apart can't be learnt, nor "
            "scored. Training works, and so does the search for a person within that camera",
            "add pictures of a second camera; if these are of several, " + _NAME_THEM,
        )
    few = used[counts[used] < FEW_PICTURES]
    if len(few):
        yield Finding(
            "small_cameras",
            Level.HARMS,
            len(few),
            f"cameras with fewer than {FEW_PICTURES} pictures",
            tuple(f"{names[code]} ({counts[code]})" for code in few[:SHOWN]),
            "the fewer there are, the more the statistics of the whole target stand in for theirs: "
            "light and colours of theirs stay in the embeddings",
            f"collect {FEW_PICTURES} or more of each, of several hours",
        )
    if len(used) > 1 and counts[used].max() > limits.UNEQUAL * counts[used].min():
        most, least = used[counts[used].argmax()], used[counts[used].argmin()]
        yield Finding(
            "unequal_cameras",
            Level.NOTE,
            len(used),
            f"cameras, of which one has over {limits.UNEQUAL} times the pictures of another",
            tuple(f"{names[code]} ({counts[code]:,})" for code in (most, least)),
            "the large ones decide what clusters there are, and the statistics of the target",
            "take fewer of the large, such as every tenth picture of a tracklet",
        )


def _names(listing: Listing) -> Iterator[Finding]:
    names = listing.camera.names
    numbers = _alike(names, lambda name: str(camera_names.number_of(name)))
    if numbers:
        yield Finding(
            "same_number",
            Level.STOPS,
            len(numbers),
            "cameras with names that are one number",
            tuple(numbers[:SHOWN]),
            "training stops: they can't be told apart",
            "rename them, to a01 and b01 for instance",
        )
    alike = [pair for pair in _alike(names, _plain) if pair not in numbers]
    if alike:
        yield Finding(
            "alike_names",
            Level.HARMS,
            len(alike),
            "cameras with names that differ in case or spaces only",
            tuple(alike[:SHOWN]),
            "most likely one camera that counts as two: its persons are held to be seen by two "
            "cameras",
            "give each camera one name",
        )
    spaced = [name for name in names if name != name.strip()]
    if spaced:
        yield Finding(
            "spaced_names",
            Level.NOTE,
            len(spaced),
            "cameras with names that begin or end with a space",
            tuple(repr(name) for name in spaced[:SHOWN]),
            "such names are hard to type: the model knows the camera under that name only",
            "rename them",
        )


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _alike(names: list[str], key: Callable[[str], str]) -> list[str]:
    """Returns "this = that" for each name that has the key of one before it."""
    first: dict[str, str] = {}
    found = []
    for name in names:
        other = first.setdefault(key(name), name)
        if other != name:
            found.append(f"{other!r} = {name!r}")
    return found


def _tracklets(listing: Listing) -> Iterator[Finding]:
    codes = listing.tracklet.codes
    kept = np.flatnonzero(codes != UNKNOWN)
    if not len(kept):
        return
    # "camera/tracklet", of the first picture of each.
    firsts = kept[np.unique(codes[kept], return_index=True)[1]]
    cameras = collections.Counter(
        listing.tracklet.names[codes[row]][len(_camera(listing, row)) + 1 :]
        for row in firsts.tolist()
    )
    shared = sorted(name for name, count in cameras.items() if count > 1)
    if shared:
        yield Finding(
            "shared_tracklets",
            Level.NOTE,
            len(shared),
            "names of tracklets that more than one camera has",
            tuple(shared[:SHOWN]),
            "they count as other tracklets in each camera: a tracklet is of one",
            "nothing, if each camera's tracker counts for itself. If a name is one person "
            "everywhere, it is a person_id",
        )


def _camera(listing: Listing, row: int) -> str:
    code = listing.camera.codes[row]
    return "" if code == UNKNOWN else listing.camera.names[code]
