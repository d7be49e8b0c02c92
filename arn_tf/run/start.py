"""Starts a run of any recipe: its folder, its devices, its data, and warnings."""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data.own_data import OwnData
from arn_tf.data.reid_data import ReidData
from arn_tf.layers import replicas
from arn_tf.run.data import opened
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
) -> Iterator[tuple[RunDir, tf.distribute.Strategy, _Data, _Data]]:
    """Claims a run's folder for this process and opens what the run needs.

    Args:
        settings: of the run.

    Yields:
        the run's folder, the distribution strategy, source and target.

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
        source, target = (opened(settings, argument, run) for argument in ("source", "target"))
        for data in (source, target):
            for line in data.told():
                print(printable(line))
        found = warnings(source, target)
        # Reading the splits tells which pictures can't be used.
        for data in (source, target):
            if data.notes:
                print(printable(f"{data.name}: {'; '.join(data.notes)}"))
        for warning in found:
            print(printable(f"WARNING: {warning}"), flush=True)
        yield run, strategy, source, target


def warnings(source: _Data, target: _Data) -> list[str]:
    """Returns sentences about what makes a result worse or worthless, and yet is no error."""
    train = source.split("train")
    identities, found = train.labels()[1], []
    if identities < _FEW_IDENTITIES:
        found.append(
            f"the source {source.name} has {identities} persons. Below about {_FEW_IDENTITIES} "
            "training can make the target's ranking worse than no training: compare with the "
            "untrained rows of arn_tf.evaluate"
        )
    known = set(train.content_hashes())
    for name in filter(target.has_split, _SPLITS):
        split = target.split(name)
        shared = np.flatnonzero([each in known for each in split.content_hashes()])
        if len(shared):
            found.append(
                f"{len(shared)} of {len(split)} pictures of the target's {name} split are in the "
                f"source too, with labels (first: {split.file_name[shared[0]]}). What is measured "
                "on them is not adaptation without labels"
            )
    return found
