"""Starts a run of any recipe: its folder, its devices, its data, and warnings."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence, Set

import tensorflow as tf

from arn_tf.data.own_data import OwnData
from arn_tf.data.reid_data import ReidData
from arn_tf.layers import replicas
from arn_tf.run.data import opened, opened_sources
from arn_tf.run.folder import RunDir
from arn_tf.run.settings import RunSettings
from datasets.files.printable import printable

# Sources of 20 and 74 persons made the target's ranking worse than no training at all.
_FEW_IDENTITIES = 100
_Data = ReidData | OwnData
_SPLITS = ("train", "query", "gallery")


@contextlib.contextmanager
def started(
    settings: RunSettings,
) -> Iterator[tuple[RunDir, tf.distribute.Strategy, list[_Data], _Data]]:
    """Claims a run's folder for this process and opens what the run needs.

    Args:
        settings: of the run.

    Yields:
        the run's folder, the distribution strategy, sources and target.

    Raises:
        UserError: see `RunSettings.check`, `replicas.make_strategy`, `RunDir`, `ReidData`.
    """
    settings.check()
    run = RunDir(settings.run_dir)
    strategy = replicas.make_strategy(settings.replicas, settings.batch_size)
    with run.claimed_for(settings):
        tf.config.experimental.enable_op_determinism()
        # TF32 has ten bits: too few for distances between codes that are nearly equal.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        sources, target = opened_sources(settings, run), opened(settings, "target", run)
        for data in (*sources, target):
            for line in data.told():
                print(printable(line))
        found = warnings(sources, target)
        # Reading the splits tells which pictures can't be used.
        for data in (*sources, target):
            if data.notes:
                print(printable(f"{data.name}: {'; '.join(data.notes)}"))
        for warning in found:
            print(printable(f"WARNING: {warning}"), flush=True)
        yield run, strategy, sources, target


def warnings(sources: Sequence[_Data], target: _Data) -> list[str]:
    """Returns sentences about what makes a result worse or worthless, and yet is no error."""
    trains, found = [source.split("train") for source in sources], list[str]()
    identities = sum(train.labels()[1] for train in trains)
    if sources and identities < _FEW_IDENTITIES:
        has = f"source {sources[0].name} has"
        if len(sources) > 1:
            has = f"sources {', '.join(source.name for source in sources)} have"
        found.append(
            f"the {has} {identities} persons. Below about {_FEW_IDENTITIES} training can make the "
            "target's ranking worse than no training: compare with the untrained rows of "
            "arn_tf.evaluate"
        )
    hashes = [train.content_hashes() for train in trains]
    known = [set(own) for own in hashes]
    everywhere = set().union(*known)
    for one, other in itertools.combinations(range(len(sources)), 2):
        shared = _shared(hashes[other], known[one])
        if len(shared):
            found.append(
                f"{len(shared)} of {len(trains[other])} pictures of source {other + 1}, "
                f"{sources[other].name}, are in source {one + 1}, {sources[one].name}, too (first: "
                f"{trains[other].file_name[shared[0]]}). A person of both counts as two, whom "
                "training tells apart"
            )
    for name in filter(target.has_split, _SPLITS):
        split = target.split(name)
        shared = _shared(split.content_hashes(), everywhere) if sources else []
        if len(shared):
            found.append(
                f"{len(shared)} of {len(split)} pictures of the target's {name} split are in the "
                f"source too, with labels (first: {split.file_name[shared[0]]}). What is measured "
                "on them is not adaptation without labels"
            )
    return found


def _shared(hashes: Sequence[bytes], known: Set[bytes]) -> list[int]:
    """Returns the rows of hashes that are known too."""
    return [row for row, each in enumerate(hashes) if each in known]
