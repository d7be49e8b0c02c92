"""A collection of Milvus: its address, its client's calls, and what their errors mean.

    http://host:19530/people  collection `people` of a server, or of a cluster; https, too
    people.db                 Milvus Lite: a folder, used by one process at a time

The environment's MILVUS_TOKEN, `user:password` or an API key, is for servers that ask for one.
"""

import contextlib
import logging
import os
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from serving.errors import GalleryError

# They print a traceback of every error that they raise as well.
for _each in ("pymilvus", "milvus_lite"):
    logging.getLogger(_each).setLevel(logging.CRITICAL + 1)

MOST = 16384  # results of a query, the server's limit where nobody has changed it
_LITE_COLLECTION = "gallery"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_CONNECT = 10  # seconds
_CALL = 120  # seconds; without one its client tries for hours
# Of Milvus Lite's disk, and of a server's that has reached its quota.
_FULL = ("no space left", "file too large", "disk quota", "disk full", "input/output error")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Collection:
    """A collection, which needn't be there, of a server that is.

    Args:
        address: see above.

    Raises:
        GalleryError: the address is none, or no server answers.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.lite = "://" not in address
        uri, self.name = _parts(address)
        token = os.environ.get("MILVUS_TOKEN", "")
        if self.lite:
            # Its daemon would make a folder inside of one that isn't there.
            folder = os.path.dirname(os.path.abspath(uri))
            if not os.path.isdir(folder):
                raise GalleryError(f"there is no folder {folder}; make it first", address)
            # Whose server is in this process, and prints what it lacks and its client does without.
            logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
        with _errors(address):
            self._client = MilvusClient(uri, token=token, timeout=_CONNECT)

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Calls a method of MilvusClient with the collection's name first.

        Raises:
            GalleryError: the server refused it, or no answer came in time.
        """
        with _errors(self.address):
            options.setdefault("timeout", _CALL)
            return getattr(self._client, method)(self.name, *arguments, **options)

    def rows(self, condition: str, fields: list[str], batch: int) -> Iterator[list[dict[str, Any]]]:
        """Yields the rows that pass, in lists of at most `batch`, by ascending primary key."""
        with _errors(self.address):
            found = self._client.query_iterator(
                self.name, batch_size=batch, filter=condition, output_fields=fields, timeout=_CALL
            )
        try:
            while True:
                with _errors(self.address):
                    some = found.next()
                if not some:
                    return
                yield list(some)
        finally:
            with contextlib.suppress(MilvusException, grpc.RpcError):
                found.close()

    def compaction_state(self, job: int) -> str:
        """Returns what became of a job that `compact` began: Completed, or another word."""
        with _errors(self.address):
            return self._client.get_compaction_state(job, timeout=_CALL)

    @property
    def client(self) -> MilvusClient:
        """For what has no collection's name."""
        return self._client

    def close(self) -> None:
        """Ends the connection."""
        with contextlib.suppress(MilvusException, grpc.RpcError):
            self._client.close()


def quoted(text: str) -> str:
    """Returns a text as a string of Milvus's expressions."""
    return '"' + "".join(_ESCAPES.get(letter, letter) for letter in text) + '"'


def _parts(address: str) -> tuple[str, str]:
    """Returns what the client connects to, and the collection's name."""
    if "://" not in address:
        # Its client takes a path for one of Milvus Lite by its end.
        return address.rstrip(f"{os.sep}{os.altsep or ''}"), _LITE_COLLECTION
    parts = urllib.parse.urlsplit(address)
    name = parts.path.strip("/")
    if parts.scheme not in ("http", "https") or not parts.netloc or not _NAME.fullmatch(name):
        raise GalleryError(
            "is no address of a gallery; give http://HOST:19530/COLLECTION, the name of letters, "
            "digits and _, or the path of a folder or of a file of Milvus Lite (NAME.db)",
            address,
        )
    if parts.username is not None:
        raise GalleryError("set MILVUS_TOKEN=user:password instead of naming it here", parts.path)
    return f"{parts.scheme}://{parts.netloc}", name


@contextlib.contextmanager
def _errors(address: str) -> Iterator[None]:
    """A context in which the client's errors become GalleryErrors."""
    try:
        yield
    except (MilvusException, grpc.RpcError, ConnectionError) as error:
        text = str(getattr(error, "message", "") or error).split("\n")[0]
        raise GalleryError(f"{_advice(text)} (Milvus: {text})", address) from error


def _advice(text: str) -> str:
    low = text.lower()
    if any(words in low for words in _FULL):
        return (
            "the disk is full or failing. What was committed is kept: make room and give the same "
            "command again"
        )
    if "lock" in low or "another process" in low or "open local milvus" in low:
        return (
            "can't be opened. Milvus Lite is for one process at a time: wait until no other has it "
            "open; if none has, check the rights of the folder"
        )
    if any(word in low for word in ("connect", "unavailable", "deadline", "timeout", "channel")):
        return (
            "Milvus can't be reached, or doesn't answer. What was committed is kept: start it, "
            "check the address, and give the same command again"
        )
    return "Milvus refuses this"
