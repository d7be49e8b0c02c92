"""The plan of a job: which pictures, in which order, in which shards, and what is left to do.

A job keeps the list that it began with, `pictures.json`, so that a shard is the same whenever it is
written. `job.json` comes after it: where that is, the list is whole.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator

import numpy as np

from arn_tf.data import own_record
from arn_tf.embedding_jobs import batches
from arn_tf.embedding_jobs.batches import Batch
from arn_tf.errors import ArgumentError, UserError
from datasets import camera_names
from datasets.embedding_shards import job_file, shard
from datasets.embedding_shards.job_file import Job
from datasets.files.printable import printable
from datasets.own_cameras.listing import Labels, Listing

PICTURES = "pictures.json"
_ANOTHER = "name another output"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a command asks for, beside its pictures.

    Attributes:
        embedding_space: of the model.
        embedding_dim: of the model.
        dtype: of the numbers that are written.
        shard_size: pictures of a shard.
    """

    embedding_space: str
    embedding_dim: int
    dtype: str
    shard_size: int


@dataclasses.dataclass
class Plan:
    """A job, and what is left of it.

    Attributes:
        folder: of the job.
        job: its facts.
        listing: its pictures.
        sizes: of their files, in bytes, int64 [N].
        camera_id: of each, int64 [N], -1 where it is unknown.
        failed: {shard: {file: why}} of the shards that are there.
        notes: lines for the user.
    """

    folder: str
    job: Job
    listing: Listing
    sizes: np.ndarray
    camera_id: np.ndarray
    failed: dict[int, dict[str, str]]
    notes: list[str]

    def pending(self) -> list[int]:
        """Returns the numbers of the shards that have to be written."""
        return [number for number in range(self.job.shards) if number not in self.failed]

    def pending_pictures(self) -> int:
        """Returns how many pictures these have."""
        return sum(len(self.job.rows(number)) for number in self.pending())

    def batches(self) -> Iterator[Batch]:
        """Yields the pictures of these in batches, none with pictures of two shards."""
        for number in self.pending():
            rows = self.job.rows(number)
            for first in range(rows.start, rows.stop, batches.SIZE):
                yield self.batch(first, min(first + batches.SIZE, rows.stop))

    def batch(self, first: int, end: int) -> Batch:
        """Returns a batch of the pictures from one row to before another."""
        return Batch(
            first,
            self.listing.files[first:end],
            self.sizes[first:end].tolist(),
            self.camera_id[first:end],
        )

    def known(self, rows: list[int], digests: list[bytes], vectors: np.ndarray) -> shard.Rows:
        """Returns rows of a shard: what is known of pictures, and their embeddings.

        Args:
            rows: N of the job's pictures.
            digests: SHA-256 of each file.
            vectors: float32 [N, D].
        """
        found = self.listing
        camera = _names(found.camera, rows)
        tracklet = [
            # A listing has them as camera/tracklet.
            name and name[len(own or "") + 1 :]
            for name, own in zip(_names(found.tracklet, rows), camera, strict=True)
        ]
        return shard.Rows(
            files=[found.files[row] for row in rows],
            camera=camera,
            tracklet=tracklet,
            person_id=_names(found.person_id, rows),
            time=found.time[rows],
            content_hash=digests,
            embedding=vectors,
        )


def opened(folder: str, found: Listing, stamps: np.ndarray, wanted: Wanted) -> Plan:
    """Begins a job in a folder, or goes on with the one that is there.

    Args:
        folder: of the job, held by this process alone.
        found: the pictures of now.
        stamps: their sizes and times of change, int64 [N, 2].
        wanted: what is asked for.

    Raises:
        ShardError: the folder holds a shard of another job, or a damaged job.
        UserError: it holds another job than is asked for.
        OSError: it can't be read or written.
    """
    shard.remove_partial(folder)
    job, notes = job_file.read(folder), list[str]()
    if job is None:
        if others := sorted(job_file.shard_files(folder).values()):
            raise ArgumentError(
                "output", folder, f"{others[0]} is there, without {job_file.FILE}; {_ANOTHER}"
            )
        facts = dataclasses.asdict(wanted)
        job = Job(
            root=found.root,
            table=found.table,
            listing=_digest(found),
            pictures=len(found),
            **facts,
        )
        own_record.write(os.path.join(folder, PICTURES), found, stamps)
        job_file.write(folder, job)
    else:
        _check(folder, job, wanted)
        found, stamps, notes = _began_with(folder, job, found, stamps)
    camera_id = [camera_names.number_of(name) for name in [*found.camera.names, None]]
    failed, damaged = _finished(folder, job)
    return Plan(
        folder,
        job,
        found,
        stamps[:, 0],
        np.array(camera_id, np.int64)[found.camera.codes],
        failed,
        notes + damaged,
    )


def _check(folder: str, job: Job, wanted: Wanted) -> None:
    """Raises a `UserError` where a folder holds another job than is asked for."""
    if job.embedding_space != wanted.embedding_space:
        raise ArgumentError(
            "output",
            folder,
            f"holds embeddings of space {job.embedding_space}, and the model's is "
            f"{wanted.embedding_space}: they can't be compared. Give the model that it began with, "
            f"or {_ANOTHER}",
            ["model"],
        )
    for name in ("dtype", "shard_size"):
        before, now = getattr(job, name), getattr(wanted, name)
        if before != now:
            raise ArgumentError(
                "output",
                folder,
                f"holds a job with {name}={before}; give that again, or {_ANOTHER}",
                [name],
            )


def _began_with(
    folder: str, job: Job, found: Listing, stamps: np.ndarray
) -> tuple[Listing, np.ndarray, list[str]]:
    """Returns the pictures that a job began with, and lines on what became of them since."""
    path = os.path.join(folder, PICTURES)
    known = own_record.known(path)
    if known is None or _digest(known[0]) != job.listing:
        raise UserError(f"{path}: missing or damaged; restore it, or {_ANOTHER}", ["output"])
    before, stamps_before = known
    if before.root != found.root:
        raise ArgumentError(
            "output", folder, f"holds a job of the pictures in {before.root}; {_ANOTHER}"
        )
    if before.files == found.files and _digest(found) != job.listing:
        raise ArgumentError(
            "output",
            folder,
            "holds a job of the same pictures with other cameras, tracklets, persons or times: "
            f"give the names that it began with, or {_ANOTHER}",
            ["names"],
        )
    notes = []
    if changes := own_record.changes(before, stamps_before, found, stamps):
        notes.append(
            f"{changes} since the job began. It goes on with the pictures that it began with; for "
            f"those of now, {_ANOTHER}"
        )
    return before, stamps_before, notes


def _finished(folder: str, job: Job) -> tuple[dict[int, dict[str, str]], list[str]]:
    """Returns {shard: its failed pictures} of those that are there, and lines on damaged ones."""
    failed, notes = {}, []
    for number, path in sorted(job_file.shard_files(folder).items()):
        if number >= job.shards:
            raise ArgumentError(
                "output", folder, f"{path}: the job has {job.shards} shards; move it elsewhere"
            )
        try:
            failed[number] = shard.failed(path, job, number)
        except shard.DamagedShardError as error:
            notes.append(printable(f"{error}: it is written again"))
    return failed, notes


def _digest(found: Listing) -> str:
    """Returns the SHA-256 of pictures' names and all that is known of them, hexadecimal."""
    digest = hashlib.sha256(json.dumps([found.root, found.files]).encode())
    for labels in (found.camera, found.tracklet, found.person_id):
        digest.update(json.dumps(labels.names).encode())
        digest.update(labels.codes.astype("<i4").tobytes())
    digest.update(found.time.astype("<f8").tobytes())
    return digest.hexdigest()


def _names(labels: Labels, rows: list[int]) -> list[str | None]:
    names = [*labels.names, None]
    return [names[code] for code in labels.codes[rows].tolist()]
