"""Runs an embedding job from its arguments to its last shard."""

import contextlib
import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator

import numpy as np

from arn_tf.data import local_folder
from arn_tf.embedding_jobs import (
    exported_model,
    failed_pictures,
    given_pictures,
    local_engine,
    plan,
    ray_engine,
)
from arn_tf.embedding_jobs.exported_model import ExportedModel
from arn_tf.embedding_jobs.plan import Plan, Wanted
from arn_tf.embedding_jobs.progress import Progress
from arn_tf.errors import ArgumentError, UserError
from datasets import camera_names
from datasets.embedding_shards.job_file import ShardError
from datasets.files import locks
from datasets.files.printable import printable

_SHOWN = 3
# What a disk says that takes no more.
_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Of a job.

    Attributes:
        images: folder, table, or address of a folder.
        names: template of the paths in it; a guess if it is empty.
        model: export, or a version of it.
        output: folder of the job.
        engine: local or ray.
        dtype: of the numbers that are written.
        shard_size: pictures of a shard, at least 1.
    """

    images: str
    names: str
    model: str
    output: str
    engine: str
    dtype: str
    shard_size: int


def run(arguments: Arguments) -> dict[str, str]:
    """Runs a job, or goes on with it, and says what comes of it.

    Returns:
        {path or address: why} of the pictures that have no embedding.

    Raises:
        UserError: an argument is wrong, or something ended the job. What is written is kept.
    """
    local_folder.refuse_url("output", arguments.output)
    if arguments.engine == "ray":
        ray_engine.imported()
    version = exported_model.version_folder(arguments.model)
    found, stamps = given_pictures.listed(arguments.images, arguments.names)
    print(printable(f"{arguments.images}: {len(found)} pictures, {found.told_by}"))
    for line in (*found.notes, *found.examples()):
        print(printable(f"  {line}"))
    model = ExportedModel(version)
    with _held(arguments.output) as folder:
        wanted = Wanted(
            model.embedding_space, model.embedding_dim, arguments.dtype, arguments.shard_size
        )
        opened = plan.opened(folder, found, stamps, wanted)
        for note in [*opened.notes, *_camera_notes(opened, model)]:
            print(printable(note))
        failed_pictures.try_again(opened, model)
        _check_room(opened)
        _embed(opened, version, model, arguments.engine)
        failed = failed_pictures.write(opened)
    job = opened.job
    print(
        f"{printable(arguments.output)}: {job.pictures - len(failed)} embeddings of "
        f"{job.embedding_dim} numbers, {job.dtype}, space {job.embedding_space}, in {job.shards} "
        "shards"
    )
    if failed:
        print(failed_pictures.told(opened, failed))
    return failed


def _embed(opened: Plan, version: str, model: ExportedModel, engine: str) -> None:
    left = opened.pending_pictures()
    if not left:
        print("all shards are there")
        return
    done = opened.job.pictures - left
    if done:
        print(f"{done} pictures are done; going on with the other {left}")
    with Progress(opened.job.pictures, done) as progress:
        if engine == "ray":
            ray_engine.run(opened, version, progress)
            idle = ""
        else:
            times = local_engine.run(opened, model, progress)
            share = times.waited_seconds / (times.waited_seconds + times.forward_seconds)
            idle = f"; the forward was idle for {share:.1%} of it"
        print(
            f"{progress.pictures} pictures in {progress.seconds:.1f} s, "
            f"{progress.pictures / progress.seconds:.1f} a second{idle}"
        )


@contextlib.contextmanager
def _held(output: str) -> Iterator[str]:
    """A context in which the output is this process's alone; yields its absolute path."""
    folder = os.path.abspath(os.path.expanduser(output))
    begun = False
    try:
        os.makedirs(folder, exist_ok=True)
        with locks.held(os.path.join(folder, ".lock")):
            begun = True
            yield folder
    except locks.Held as held:
        raise ArgumentError("output", output, f"{held} is writing there") from held
    except ShardError as error:
        raise UserError(f"output: {error}", ["output"]) from error
    except OSError as error:
        # A job has other errors too, as of a pipe that nobody reads.
        if begun and not _is_of(folder, error):
            raise
        name = error.filename or folder
        raise ArgumentError(
            "output", output, f"{name}: {error.strerror or error}. Name a folder with room"
        ) from error


def _is_of(folder: str, error: OSError) -> bool:
    """Whether an error is of the disk, or of what is in a folder."""
    name = os.path.join(os.fsdecode(error.filename or ""), "")
    return error.errno in _DISK or name.startswith(os.path.join(folder, ""))


def _check_room(opened: Plan) -> None:
    """Raises a `UserError` where the disk has no room for what is left."""
    job = opened.job
    needed = opened.pending_pictures() * job.embedding_dim * np.dtype(job.dtype).itemsize
    free = shutil.disk_usage(opened.folder).free
    if needed > free:
        raise ArgumentError(
            "output",
            opened.folder,
            f"what is left needs {needed / 2**30:.2f} GiB, {free / 2**30:.2f} GiB are free. Make "
            "room, name another disk, or write float16 with dtype",
            ["dtype"],
        )


def _camera_notes(opened: Plan, model: ExportedModel) -> list[str]:
    """Returns lines on cameras that the model has no statistics of."""
    names = {camera_names.number_of(name): name for name in opened.listing.camera.names}
    unknown = [names[number] for number in model.unknown_cameras(list(names))]
    if not unknown:
        return []
    more = ", ..." if len(unknown) > _SHOWN else ""
    return [
        f"note: the model has no statistics of {len(unknown)} cameras, "
        f"{', '.join(unknown[:_SHOWN])}{more}: their pictures are embedded by those of "
        "the whole target. Calibrate it with arn_tf.calibrate and export again"
    ]
