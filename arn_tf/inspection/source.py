"""Whether pictures are in the source too: their bytes are compared, where sizes agree."""

import os

import numpy as np

from arn_tf.errors import ArgumentError
from arn_tf.inspection import gathering
from arn_tf.run import sources
from arn_tf.run.settings import DATASETS
from datasets.files import walk
from datasets.own_cameras import manifest


def parts(source: str) -> list[str]:
    """Returns the data sets, folders and tables that a source stands for; see `run.sources`."""
    if not source:
        return []
    return sources.parts(source, lambda path: os.path.exists(os.path.expanduser(path)))


def in_source(source: str, facts: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns which pictures the source has, bool [N], and a line for the user.

    Args:
        source: name of a data set, or path of a folder or table, or several, separated by commas;
            "" or none: there is none.
        facts: rows of `FACT` [N].

    Raises:
        ArgumentError: it can't be read.
    """
    found, lines = np.zeros(len(facts), bool), []
    for each in parts(source):
        own, line = _in_one(each, facts)
        found |= own
        lines.append(line)
    return found, "; ".join(lines)


def _in_one(source: str, facts: np.ndarray) -> tuple[np.ndarray, str]:
    if source in DATASETS:
        none = np.zeros(len(facts), bool)
        return none, f"{source} isn't in files here; arn_tf.train compares it as it starts"
    files = _files(source)
    sizes = set(facts["bytes"].tolist())
    alike = [file for file in files if _size(file) in sizes]
    found = gathering.digests(alike, "comparing the source")
    return (
        np.isin(facts["digest"], found) & (facts["format"] > 0),
        f"{source}: its {len(files):,} pictures were compared, by their bytes",
    )


def _files(source: str) -> list[str]:
    path = os.path.abspath(os.path.expanduser(source))
    try:
        if os.path.isdir(path):
            return walk.pictures(path).files
        return list(manifest.read(path)[0])
    except (OSError, manifest.ManifestError) as error:
        raise ArgumentError("source", source, str(error)) from error


def _size(file: str) -> int:
    try:
        return os.path.getsize(file)
    except OSError:
        return -1
