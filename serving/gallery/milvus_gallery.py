"""A gallery in a collection of Milvus, for more pictures than one machine holds.

It offers what `serving.gallery.store` offers, by the same rules. What differs is Milvus' own:

- There are no transactions. What one command adds or removes may be there in part after it was
  killed; keys are made of names, so the same command ends it. Of two writers the later wins.
- Removed rows stay in the server's files until it has compacted them; see `finish_erasure`.
- Equal scores are in the order of keys, which is none of insertion.

One index, IVF_FLAT, serves exact search, which visits all of its lists, and approximate search,
which visits a few. It knows filters well: lists are scanned, no graph is lost under them.
"""

import contextlib
import dataclasses
import json
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np

from serving.errors import BadInputError, GalleryError
from serving.gallery import milvus_erasure, milvus_rows
from serving.gallery.gallery import Gallery
from serving.gallery.milvus_connection import Collection as Connection
from serving.gallery.milvus_rows import FIELDS, VECTOR
from serving.gallery.records import EVERYTHING, Binding, Hit, Picture, Selection
from serving.gallery.unit_vectors import check, not_unit

_FORMAT = 1
# Properties of the collection. Milvus Lite keeps no description.
_ABOUT, _UNERASED, _TOKEN = "arn_tf.gallery", "arn_tf.unerased", "arn_tf.token"
_LISTS = 256
_MOST = 16384  # results of a query, the server's limit where nobody has changed it
_PAGE = 1000  # rows
_ASKED = 500  # keys or contents at once
_SENT = 2**24  # bytes of embeddings at once; a server takes messages of 64 MB


class MilvusGallery:
    """An open gallery; a context manager. Methods are those of `serving.gallery.gallery`.

    Args:
        folder: its address, see `serving.gallery.milvus_connection`.

    Raises:
        GalleryError: there is none, it is no gallery, or the server can't be reached. Every
            method raises it, too.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._collection = Connection(folder)
        self._dirty = False
        try:
            self.binding, self.created_at = self._opened()
        except BaseException:
            self._collection.close()
            raise

    @classmethod
    def exists(cls, address: str) -> bool:
        """Whether there is such a collection."""
        with contextlib.closing(Connection(address)) as collection:
            return collection.call("has_collection")

    @classmethod
    def create(
        cls, address: str, binding: Binding, pictures: Sequence[Picture], vectors: np.ndarray
    ) -> "MilvusGallery":
        """Makes a gallery of its first pictures; if they can't be added, nothing of it stays."""
        check(vectors, len(pictures), binding.dim)
        about = {
            "format": _FORMAT,
            "created_at": int(time.time()),
            "binding": dataclasses.asdict(binding),
        }
        with contextlib.closing(Connection(address)) as collection:
            if collection.call("has_collection"):
                raise GalleryError("is a gallery already; use add to put more in", address)
            fields = milvus_rows.schema(binding.dim)
            try:
                collection.call(
                    "create_collection",
                    schema=fields,
                    consistency_level="Strong",
                    properties={_ABOUT: json.dumps(about)},
                )
                _ensure_ready(collection)
                _upsert(collection, [_aged(each) for each in pictures], vectors)
                collection.call("flush")
            except BaseException:
                with contextlib.suppress(GalleryError):
                    collection.call("drop_collection")
                raise
        return cls(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        # Where the server is gone it would be waited for once more; it writes files by itself.
        self._dirty = self._dirty and kind is None
        self.close()

    def close(self) -> None:
        """Has what was written put into the server's files, and ends the connection."""
        try:
            if self._dirty:
                self._collection.call("flush")
        finally:
            self._collection.close()

    def is_same(self, other: Gallery) -> bool:
        """Whether another one is this collection, under whatever name of its server, or alias."""
        if not isinstance(other, MilvusGallery):
            return False
        token = secrets.token_hex(8)
        self._collection.call("alter_collection_properties", properties={_TOKEN: token})
        try:
            return other._properties().get(_TOKEN) == token
        finally:
            self._collection.call("drop_collection_properties", property_keys=[_TOKEN])

    def check_writable(self) -> None:
        """Does nothing: the server tells when it is asked to write."""

    def snapshot(self) -> AbstractContextManager[None]:
        """A context without effect: Milvus has no views of one moment over several calls."""
        return contextlib.nullcontext()

    def add(
        self, pictures: Sequence[Picture], vectors: np.ndarray, once: bool = False
    ) -> dict[str, str]:
        """As `GalleryStore.add`, but not all or none."""
        check(vectors, len(pictures), self.binding.dim)
        files = {each.file for each in pictures}
        if len(files) < len(pictures):
            raise GalleryError("was given two pictures of one name; nothing was added", self.folder)
        known = self.by_file(files)
        copies = self._copies(pictures, known) if once else {}
        keep = [row for row, each in enumerate(pictures) if each.file not in copies]
        added = [_aged(pictures[row], known.get(pictures[row].file)) for row in keep]
        if any(each.file in known for each in added):
            self._note_erased()
        self._write(added, vectors[keep])
        return copies

    def move(
        self, moves: Sequence[tuple[Picture, Picture]], stale: Sequence[Picture] = ()
    ) -> list[tuple[Picture, Picture]]:
        """As `GalleryStore.move`, but not all or none: rows get their new names first."""
        done, renamed, vectors = [], [], []
        for start in range(0, len(moves), _ASKED):
            some = moves[start : start + _ASKED]
            found = self._get([old.id for old, _ in some], [*FIELDS, VECTOR])
            for old, new in some:
                row = found.get(old.id)
                now = None if row is None else milvus_rows.picture(row)
                if row is None or now != old:
                    continue
                tracklet = old.tracklet if new.tracklet is None else new.tracklet
                renamed.append(
                    dataclasses.replace(new, inserted_at=old.inserted_at, tracklet=tracklet)
                )
                vectors.append(np.asarray(row[VECTOR], np.float32))
                done.append((old, new))
        if done:
            self._note_erased()
            self._write(renamed, np.stack(vectors))
        kept = {milvus_rows.key(new.file) for _, new in done}
        gone = [old for old, _ in done if old.id not in kept]
        self.remove_rows([*gone, *(each for each in stale if each.id not in kept)])
        return done

    def remove_rows(self, pictures: Sequence[Picture]) -> int:
        """Removes pictures as they were read; those changed since stay."""
        known = self.by_file([each.file for each in pictures])
        return self._delete([each.id for each in pictures if known.get(each.file) == each])

    def remove(self, selection: Selection) -> int:
        """Removes pictures; returns how many. `finish_erasure` comes next."""
        return self._delete([each.id for page in self.pages(selection, _PAGE) for each in page])

    def finish_erasure(self) -> str | None:
        """Has removed rows erased, if there were any; returns what is left to do, or None.

        It catches up, too, where an earlier process was killed before it came to this.
        """
        if self._dirty:
            self._collection.call("flush")
            self._dirty = False
        mark = self._properties().get(_UNERASED)
        if mark is None:
            return None
        left = milvus_erasure.erase(self._collection, self.count())
        # Others may have removed rows since.
        if left is None and self._properties().get(_UNERASED) == mark:
            self._collection.call("drop_collection_properties", property_keys=[_UNERASED])
        return left

    def unerased(self) -> bool:
        """Whether removed rows may still be in the server's files."""
        return _UNERASED in self._properties()

    def count(self, selection: Selection = EVERYTHING) -> int:
        """Returns how many pictures are selected."""
        if selection.patterns:
            return sum(map(len, self.pages(selection, _PAGE)))
        condition = milvus_rows.condition(selection)
        found = self._collection.call("query", filter=condition, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def pictures(self, selection: Selection = EVERYTHING) -> list[Picture]:
        """Returns the selected pictures, in the order of their files."""
        found = [each for page in self.pages(selection, _PAGE) for each in page]
        return sorted(found, key=lambda each: each.file)

    def pages(self, selection: Selection, count: int) -> Iterator[list[Picture]]:
        """Yields the selected pictures by key, in lists of at most `count`."""
        for page in self._pages(selection, FIELDS, count):
            yield [milvus_rows.picture(each) for each in page]

    def by_file(self, files: Collection[str]) -> dict[str, Picture]:
        """Returns {file: picture} of those of these files that are there."""
        keys = {milvus_rows.key(file): file for file in files}
        result = {}
        for number, row in self._get(list(keys), FIELDS).items():
            if row["file"] != keys[number]:
                raise GalleryError(
                    f"the names {row['file']} and {keys[number]} have the same key; rename one",
                    self.folder,
                )
            result[keys[number]] = milvus_rows.picture(row)
        return result

    def by_content(self, hashes: Collection[bytes]) -> dict[bytes, list[Picture]]:
        """Returns {content_hash: pictures} of those contents that are there, the oldest first."""
        result: dict[bytes, list[Picture]] = {}
        texts = [each.hex() for each in hashes]
        for start in range(0, len(texts), _ASKED):
            for each in self._with_content(texts[start : start + _ASKED]):
                result.setdefault(each.content_hash, []).append(each)
        for pictures in result.values():
            pictures.sort(key=lambda each: (each.inserted_at, each.id))
        return result

    def cameras(self) -> list[tuple[str | None, int, int, int]]:
        """Returns [(camera or None, pictures, first, last inserted_at)] by camera."""
        found: dict[str | None, tuple[int, int, int]] = {}
        for page in self._collection.rows("", ["camera", "inserted_at"], _MOST):
            for row in page:
                at = row["inserted_at"]
                count, first, last = found.get(row["camera"], (0, at, at))
                found[row["camera"]] = count + 1, min(first, at), max(last, at)
        ordered = sorted(found.items(), key=lambda item: (item[0] is not None, item[0] or ""))
        return [(camera, *numbers) for camera, numbers in ordered]

    def tracklets(self) -> tuple[int, int]:
        """Returns how many tracklets there are, and how many pictures have one."""
        names, count = set(), 0
        fields = ["camera", "tracklet", "tracklet_source"]
        for page in self._collection.rows("tracklet is not null", fields, _MOST):
            names |= {tuple(row[field] for field in fields) for row in page}
            count += len(page)
        return len(names), count

    def load(self, selection: Selection = EVERYTHING) -> tuple[list[Picture], np.ndarray]:
        """Returns pictures by key and their embeddings, float32 [N, dim]."""
        pictures: list[Picture] = []
        parts = [np.empty((0, self.binding.dim), np.float32)]
        for page in self._pages(selection, [*FIELDS, VECTOR], _PAGE):
            pictures += map(milvus_rows.picture, page)
            parts.append(np.array([row[VECTOR] for row in page], np.float32))
        vectors = np.concatenate(parts)
        wrong = not_unit(vectors)
        if wrong.size:
            raise GalleryError(
                f"is damaged: the embedding of {pictures[wrong[0]].file} is not of unit length; "
                "build a new one",
                self.folder,
            )
        return pictures, vectors

    def nearest(self, vectors: np.ndarray, top: int, selection: Selection) -> list[list[Hit]]:
        """Returns the nearest selected pictures of each query; exact, the server searches."""
        return self.search(vectors, top, selection, _LISTS)

    def search(
        self, vectors: np.ndarray, top: int, selection: Selection, lists: int
    ) -> list[list[Hit]]:
        """Returns the nearest selected pictures of each query, of as many lists of the index."""
        if top > _MOST:
            raise BadInputError(
                f"Milvus returns {_MOST} pictures of a query at most; ask for fewer, or move the "
                "gallery to a folder",
                arguments={"top": top},
            )
        if selection.patterns:
            raise GalleryError("can't search below glob patterns", self.folder)
        condition = milvus_rows.condition(selection)
        batch = max(1, _MOST // top)
        hits = []
        for start in range(0, len(vectors), batch):
            found = self._collection.call(
                "search",
                data=list(vectors[start : start + batch]),
                filter=condition,
                limit=top,
                output_fields=FIELDS,
                anns_field=VECTOR,
                search_params={"metric_type": "IP", "params": {"nprobe": lists}},
            )
            hits += [[_hit(each) for each in some] for some in found]
        return [sorted(each, key=lambda hit: (-hit.score, hit.picture.id)) for each in hits]

    def _opened(self) -> tuple[Binding, int]:
        """Returns what the collection says of itself, checked."""
        if not self._collection.call("has_collection"):
            raise GalleryError(
                "is no gallery; make one with: python -m serving.gallery build", self.folder
            )
        found = self._collection.call("describe_collection")
        try:
            about = json.loads(dict(found["properties"])[_ABOUT])
            form, binding = about["format"], Binding(**about["binding"])
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryError(
                "is a collection of something else; name another one", self.folder
            ) from error
        fields = {each["name"]: each for each in found["fields"]}
        expected = {*FIELDS, VECTOR}
        if form != _FORMAT or fields.keys() != expected:
            raise GalleryError("has another layout than this program knows", self.folder)
        dim = int(fields[VECTOR]["params"]["dim"])
        if dim != binding.dim:
            raise GalleryError(
                f"is damaged: embeddings of {dim} numbers, and it says {binding.dim}", self.folder
            )
        _ensure_ready(self._collection)
        return binding, int(about["created_at"])

    def _properties(self) -> dict[str, Any]:
        return dict(self._collection.call("describe_collection").get("properties") or {})

    def _note_erased(self) -> None:
        # Before anything goes, so that a process that is killed leaves the note.
        self._collection.call(
            "alter_collection_properties", properties={_UNERASED: secrets.token_hex(8)}
        )

    def _write(self, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
        if pictures:
            self._dirty = True
            _upsert(self._collection, pictures, vectors)

    def _delete(self, keys: Sequence[int]) -> int:
        if keys:
            self._note_erased()
            self._dirty = True
        for start in range(0, len(keys), _ASKED):
            self._collection.call("delete", ids=list(keys[start : start + _ASKED]))
        return len(keys)

    def _get(self, keys: Sequence[int], fields: list[str]) -> dict[int, dict[str, Any]]:
        """Returns {key: row} of those that are there."""
        found = {}
        for start in range(0, len(keys), _ASKED):
            some = list(keys[start : start + _ASKED])
            for row in self._collection.call("get", ids=some, output_fields=fields):
                found[row["id"]] = row
        return found

    def _with_content(self, texts: Sequence[str]) -> list[Picture]:
        """Returns the pictures that have one of these hashes, hexadecimal."""
        condition = milvus_rows.among("content_hash", texts)
        found = self._collection.call("query", filter=condition, output_fields=FIELDS, limit=_MOST)
        if len(found) < _MOST:
            return [milvus_rows.picture(row) for row in found]
        # Slower, and without a limit.
        pages = self._collection.rows(condition, FIELDS, _PAGE)
        return [milvus_rows.picture(row) for page in pages for row in page]

    def _pages(
        self, selection: Selection, fields: list[str], count: int
    ) -> Iterator[list[dict[str, Any]]]:
        matches = milvus_rows.matcher(selection)
        condition = milvus_rows.condition(selection)
        for page in self._collection.rows(condition, fields, count):
            rows = [row for row in page if matches is None or matches(row["file"])]
            if rows:
                yield rows

    def _copies(self, pictures: Sequence[Picture], known: dict[str, Picture]) -> dict[str, str]:
        """Returns {file: name there} of new files whose picture is there under another name."""
        files = {each.file for each in pictures}
        new = [
            each
            for each in pictures
            if each.file not in known or known[each.file].content_hash != each.content_hash
        ]
        there = self.by_content({each.content_hash for each in new}) if new else {}
        copies = {}
        for each in new:
            for row in there.get(each.content_hash, []):
                if row.camera == each.camera and row.file not in files:
                    copies[each.file] = row.file
                    break
        return copies


def _ensure_ready(collection: Connection) -> None:
    """Gives a collection its indexes, where whoever made it was killed before, and loads it."""
    there = collection.call("list_indexes")
    if "content_hash" not in there:
        index = collection.client.prepare_index_params()
        index.add_index("content_hash", index_name="content_hash", index_type="INVERTED")
        collection.call("create_index", index)
    if VECTOR not in there:
        index = collection.client.prepare_index_params()
        index.add_index(
            VECTOR,
            index_name=VECTOR,
            index_type="IVF_FLAT",
            metric_type="IP",
            params={"nlist": _LISTS},
        )
        collection.call("create_index", index)
    collection.call("load_collection")


def _upsert(collection: Connection, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
    count = max(1, _SENT // (4 * vectors.shape[1]))
    for start in range(0, len(pictures), count):
        part = slice(start, start + count)
        rows = map(milvus_rows.row, pictures[part], vectors[part])
        collection.call("upsert", list(rows))


def _aged(picture: Picture, old: Picture | None = None) -> Picture:
    """Returns a picture with its age, and the tracklet that it has if it tells none."""
    if old is not None and old.content_hash == picture.content_hash:
        tracklet = old.tracklet if picture.tracklet is None else picture.tracklet
        return dataclasses.replace(picture, inserted_at=old.inserted_at, tracklet=tracklet)
    return dataclasses.replace(picture, inserted_at=picture.inserted_at or int(time.time()))


def _hit(found: Any) -> Hit:
    row = {**found["entity"], "id": found["id"]}
    return Hit(milvus_rows.picture(row), float(found["distance"]))
