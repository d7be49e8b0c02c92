"""Findings on crops: what can't be a whole, standing person; what is there more than once."""

from collections.abc import Iterator

import numpy as np

from arn_tf.inspection import limits
from arn_tf.inspection.finding import Finding, Level, Pictures


def findings(pictures: Pictures) -> Iterator[Finding]:
    """Yields what is the matter with what the pictures show."""
    yield from _shapes(pictures)
    yield from _copies(pictures)
    yield from _near(pictures)
    rows = np.flatnonzero(pictures.in_source)
    if len(rows):
        yield Finding(
            "in_source",
            Level.HARMS,
            len(rows),
            "pictures that are in the source too, where persons are known",
            pictures.names(rows),
            "what is learnt and measured on them is not learnt without labels: scores come out "
            "too good",
            "remove them from one of the two",
        )


def _shapes(pictures: Pictures) -> Iterator[Finding]:
    facts = pictures.facts
    height, width = facts["height"], facts["width"]
    blank = facts["blank"]
    shapes = (
        (
            "tiny",
            (height < limits.TINY[0]) | (width < limits.TINY[1]),
            f"pictures below {limits.TINY[0]}x{limits.TINY[1]} pixels",
            "too little is left of a person to tell by; such crops cluster with each other",
            "leave them out: let the detector pass over persons that far away",
        ),
        (
            "blank",
            blank,
            "pictures of nearly one colour",
            "they show nobody, and all of them count as one person, in every camera",
            "remove them: a cover, a flash, or a failed download",
        ),
        (
            "wide",
            ~blank & (width >= height),
            "pictures as wide as high, or wider",
            "they are squeezed to a standing person's shape; whole frames, heads and groups match "
            "by their background",
            "crop each person from head to feet",
        ),
        (
            "tall",
            ~blank & (height > limits.TALL * width),
            f"pictures more than {limits.TALL} times as high as wide",
            "they are stretched; a strip of a person has no clothes to tell by",
            "look at a few: cut-off persons, poles, or height and width mixed up",
        ),
    )
    for name, chosen, what, causes, do in shapes:
        rows = np.flatnonzero(pictures.good & chosen)
        if len(rows):
            yield Finding(name, Level.HARMS, len(rows), what, pictures.names(rows), causes, do)


def _copies(pictures: Pictures) -> Iterator[Finding]:
    found = pictures.copies
    for across, name, where, causes, do in (
        (
            True,
            "copies_across_cameras",
            "one of another camera",
            "one moment counts as a person seen in two cameras: training learns cameras that "
            "aren't, and scores come out too good",
            "find out which camera took them, and remove the others",
        ),
        (
            False,
            "copies",
            "another of their camera",
            "they count more than once, in clusters and in scores",
            "keep one of each; a tracker that stood still writes the same crop again",
        ),
    ):
        mine = found.across == across
        rows, firsts = found.rows[mine], found.firsts[mine]
        if not len(rows):
            continue
        extra = rows != firsts
        yield Finding(
            name,
            Level.HARMS if across else Level.NOTE,
            int(np.count_nonzero(extra)),
            f"pictures with the same bytes as {where}",
            pictures.paired(rows[extra], firsts[extra]),
            causes,
            do,
        )


def _near(pictures: Pictures) -> Iterator[Finding]:
    found, same = pictures.near, pictures.copies
    others = ~np.isin(found.rows, same.rows[same.across])
    rows, partners = found.rows[others], found.others[others]
    if len(rows):
        # Each pair is there twice, from both sides.
        pairs = np.unique(np.sort(np.stack([rows, partners], 1), 1), axis=0)
        yield Finding(
            "near_copies_across_cameras",
            Level.HARMS,
            len(pairs),
            "pictures that look nearly the same as one of another camera",
            pictures.paired(pairs[:, 0], pairs[:, 1]),
            "most likely one picture, saved twice: it counts as a person seen in two cameras",
            "look at a few; where they are the same picture, keep the one of its camera",
        )
