"""All that an inspection tells; text and JSON are made of it."""

import collections
import dataclasses

import numpy as np

from arn_tf.inspection import (
    camera_findings,
    crop_findings,
    file_findings,
    limits,
    size_findings,
)
from arn_tf.inspection.cameras import Camera, cameras
from arn_tf.inspection.facts import FORMATS
from arn_tf.inspection.finding import Finding, Level, Pictures
from datasets.own_cameras.listing import UNKNOWN


@dataclasses.dataclass(frozen=True)
class Report:
    """What is in a folder or table, what will go wrong, what to do.

    Attributes:
        path: as it was given.
        findings: the worst first.
        told_by: what the pictures are taken for.
        official: name of the official data set whose names these are, or "".
        notes: of the listing.
        pictures: number of them.
        readable: number of those that can be read.
        learnt: number of those that a run would learn from.
        bytes: of all files.
        formats: {format: number of pictures}, the most frequent first.
        splits: {train, query or gallery: number of pictures}, of official data sets.
        cameras: what there is of each.
        tracklets: number of them.
        median_tracklet: number of pictures in a tracklet.
        persons: number of persons that are known.
        near_within: share of pictures that look the same as another of their camera.
        decoded_bytes: what decoded pictures need.
        free_bytes: of the disk that runs are written to.
        compared: the source that was looked at too, or "".
    """

    path: str
    findings: list[Finding]
    told_by: str = ""
    official: str = ""
    notes: tuple[str, ...] = ()
    pictures: int = 0
    readable: int = 0
    learnt: int = 0
    bytes: int = 0
    formats: dict[str, int] = dataclasses.field(default_factory=dict)
    splits: dict[str, int] = dataclasses.field(default_factory=dict)
    cameras: list[Camera] = dataclasses.field(default_factory=list)
    tracklets: int = 0
    median_tracklet: int = 0
    persons: int = 0
    near_within: float = 0.0
    decoded_bytes: int = 0
    free_bytes: int = 0
    compared: str = ""

    @property
    def can_train(self) -> bool:
        """Whether nothing was found that training can't work with."""
        return self.count(Level.STOPS) == 0

    def count(self, level: Level) -> int:
        """Returns the number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)


def report(path: str, found: Pictures, free: int, compared: str) -> Report:
    """Returns the report on pictures.

    Args:
        path: as it was given.
        found: all that is known of them.
        free: bytes on the disk that runs are written to.
        compared: the source that was looked at too, or "".
    """
    listing, facts = found.listing, found.facts
    findings = [
        *size_findings.findings(found, free),
        *file_findings.findings(found),
        *camera_findings.findings(found),
        *crop_findings.findings(found),
    ]
    levels = list(Level)
    formats = collections.Counter(
        {
            FORMATS[code]: int(count)
            for code, count in enumerate(np.bincount(facts["format"][found.good]))
            if count
        }
    )
    sizes = listing.tracklet.counts()
    learnt = int(found.learnt.sum())
    return Report(
        path=path,
        findings=sorted(findings, key=lambda finding: levels.index(finding.level)),
        told_by=listing.told_by,
        official=listing.official,
        notes=listing.notes,
        pictures=len(listing),
        readable=int(found.good.sum()),
        learnt=learnt,
        bytes=int(facts["bytes"].sum()),
        formats=dict(formats.most_common()),
        splits=dict(zip(listing.split.names, listing.split.counts().tolist(), strict=True)),
        cameras=cameras(found),
        tracklets=len(sizes),
        median_tracklet=int(np.median(sizes)) if len(sizes) else 0,
        persons=len(np.unique(listing.person_id.codes[listing.person_id.codes != UNKNOWN])),
        near_within=round(found.near.share_within, 4),
        decoded_bytes=learnt * limits.BYTES,
        free_bytes=free,
        compared=compared,
    )
