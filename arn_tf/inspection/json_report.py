"""The report as JSON, for programs. Names stay; a later version may add some.

version                1
path, told_by, notes   what was looked at, and what it is taken for
official               name of an official data set, or ""
pictures, readable     numbers of files, and of those that can be decoded
learnt                 number of pictures that a run would learn from
bytes, formats         of the files; {"JPEG": 1204}
splits                 {"train": 12936} of official data sets, else {}
tracklets, persons     numbers
median_tracklet        pictures in a tracklet
near_within            share that looks the same as another picture of its camera
decoded_bytes          what a run's decoded pictures need
free_bytes             of the disk of the current folder
source                 what was compared, or ""
can_train              whether no finding has the level "stops"; the exit status
cameras                a list: name (null: without one), pictures, readable, tracklets,
                       persons, median_size, smallest, largest ([width, height]; [0, 0] where
                       none is readable), median_aspect (height by width), first, last
                       (seconds or null), examples, contact_sheet (a path, or null)
findings               a list: name, level ("stops", "harms" or "note"), count, what,
                       examples, causes, do
"""

import dataclasses
import json
from collections.abc import Sequence

from arn_tf.inspection.report import Report
from datasets.files.atomic_files import replace_text

VERSION = 1


def write(path: str, report: Report, sheets: Sequence[str]) -> None:
    """Writes the report.

    Args:
        path: of the file; one that is there is replaced.
        report: to be written.
        sheets: paths of the contact sheets, in the order of the cameras; empty: none were made.

    Raises:
        OSError: it can't be written.
    """
    content = {
        "version": VERSION,
        **{
            field.name: getattr(report, field.name)
            for field in dataclasses.fields(report)
            if field.name not in ("findings", "cameras", "compared")
        },
        "source": report.compared,
        "can_train": report.can_train,
        "cameras": [
            {
                field.name: getattr(camera, field.name)
                for field in dataclasses.fields(camera)
                if field.name != "rows"
            }
            | {"contact_sheet": sheets[place] if sheets else None}
            for place, camera in enumerate(report.cameras)
        ],
        "findings": [
            {
                "name": finding.name,
                "level": finding.level.value,
                "count": finding.count,
                "what": finding.what,
                "examples": finding.examples,
                "causes": finding.causes,
                "do": finding.do,
            }
            for finding in report.findings
        ],
    }
    # Names that aren't UTF-8 survive as escapes.
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=True) + "\n")
