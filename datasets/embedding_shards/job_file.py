"""What an embedding job is: `job.json` in its folder, the same for all of its shards."""

import dataclasses
import json
import os
import re
from typing import Any

from datasets.files.atomic_files import replace_text

FILE = "job.json"
DTYPES = ("float32", "float16")
# Raise it when shards are written otherwise. The second is of a job that names its table.
_FORMATS = (1, 2)
_SHARD = re.compile(r"shard-(\d{5,})\.parquet")


class ShardError(ValueError):
    """A job's folder, or a file in it, can't be used; the text names it and what to do next."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Pictures in order, and the embedding space of what is made of them.

    Shard k holds rows k * `shard_size` and following of the pictures, but those that failed.

    Attributes:
        root: folder or address that relative names of files begin at.
        listing: SHA-256, hexadecimal, of the names of the pictures and what is known of them.
        pictures: how many there are, at least 1.
        shard_size: pictures of a shard; the last one may have fewer.
        embedding_space: 16 hexadecimal digits, equal if embeddings may be compared.
        embedding_dim: numbers of an embedding.
        dtype: of them, float32 or float16.
        table: name of the table, in `root`, that named the pictures; "" of a folder, and of jobs of
            before this was kept.
    """

    root: str
    listing: str
    pictures: int
    shard_size: int
    embedding_space: str
    embedding_dim: int
    dtype: str
    table: str = ""

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.pictures // self.shard_size)

    def rows(self, number: int) -> range:
        """Returns the rows of a shard, of the job's pictures."""
        first = number * self.shard_size
        return range(first, min(first + self.shard_size, self.pictures))

    def facts(self) -> dict[str, Any]:
        """Returns the attributes by their names, as JSON can hold them; no table if it is ""."""
        facts = dataclasses.asdict(self)
        return facts if self.table else {k: v for k, v in facts.items() if k != "table"}


def shard_path(folder: str, number: int) -> str:
    """Returns the path of a shard's file."""
    return os.path.join(folder, f"shard-{number:05d}.parquet")


def shard_files(folder: str) -> dict[int, str]:
    """Returns {number: path} of the files in a folder that have a shard's name."""
    found = ((_SHARD.fullmatch(name), name) for name in os.listdir(folder))
    return {int(match[1]): os.path.join(folder, name) for match, name in found if match}


def write(folder: str, job: Job) -> None:
    """Writes a job's file, whole or not at all; raises an `OSError` where it can't be written."""
    content = {"format": _FORMATS[bool(job.table)], **job.facts()}
    replace_text(os.path.join(folder, FILE), json.dumps(content, indent=2) + "\n")


def read(folder: str) -> Job | None:
    """Returns the job of a folder, or None where there is no job's file.

    Raises:
        ShardError: the file is damaged, or of another version.
        OSError: it can't be read.
    """
    path = os.path.join(folder, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        version = content.pop("format")
        if version in _FORMATS:
            return _checked(Job(**content))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ShardError(
            f"{path}: damaged, or not the file of an embedding job; restore it, or begin anew in "
            "another folder"
        ) from error
    raise ShardError(f"{path}: format {version} is newer than {_FORMATS[-1]}; update arn_tf")


def _checked(job: Job) -> Job:
    numbers = (job.pictures, job.shard_size, job.embedding_dim)
    if job.dtype not in DTYPES or not all(type(each) is int and each > 0 for each in numbers):
        raise ValueError("no job has such numbers")
    if not isinstance(job.table, str) or os.path.basename(job.table) != job.table:
        raise ValueError("no name of a table")
    return job
