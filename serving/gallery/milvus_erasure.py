"""Has Milvus erase removed rows from its files, and looks whether it did.

A removed row is not found any more at once, but its embedding stays in the segment's files until
these are compacted: rewritten without it. Milvus does so of itself where a fifth of a segment was
removed, perhaps never. So it is asked to, first to apply the removals (L0), then to rewrite, and
when it says it has, rows in files are compared with rows that are found. Even then the old files
lie there until its garbage collector comes, after `dataCoord.gc.dropTolerance`, 3 hours by default.
Milvus Lite compacts when it likes, and can't be asked.
"""

import time
from typing import Protocol

from serving.command import printable, warn
from serving.gallery.milvus_connection import Collection

_WAIT = 600  # seconds
_EVERY = 1.0


class _Segment(Protocol):
    num_rows: int
    state_name: str
    level_name: str


def erase(collection: Collection, count: int) -> str | None:
    """Asks for the erasure of removed rows, waits for it, and verifies it.

    Args:
        collection: of the gallery; what was written is flushed.
        count: rows that it has.

    Returns:
        What is left to do, for a user; None if no segment has a removed row any more.

    Raises:
        GalleryError: the server refused it, or can't be reached any more.
    """
    if collection.lite:
        return (
            "Milvus Lite can't be asked to erase: its files may hold the embeddings of removed "
            "pictures until it compacts them. To be rid of them now, move the gallery to a folder, "
            "which erases at once, and delete this one"
        )
    warn(f"{printable(collection.address)}: waiting for Milvus to erase removed rows")
    end = time.monotonic() + _WAIT
    for first in (True, False):
        job = collection.call("compact", is_l0=first)
        while (state := collection.compaction_state(job)) != "Completed":
            if time.monotonic() > end:
                return (
                    f"Milvus hasn't erased the removed rows after {_WAIT} s (its compaction is "
                    f"{state}); the next add or remove asks again"
                )
            time.sleep(_EVERY)
    # A job without anything to do is completed before the next segments are known.
    while (left := _left(collection, count)) > 0:
        if time.monotonic() > end:
            return (
                f"Milvus has compacted, and its files still hold {left} removed rows; the next add "
                "or remove asks again"
            )
        time.sleep(_EVERY)
    warn(
        f"{printable(collection.address)}: erased from all segments; files of before are deleted "
        "by Milvus' garbage collector (dataCoord.gc.dropTolerance, 3 hours by default)"
    )
    return None


def _left(collection: Collection, count: int) -> int:
    """Returns how many removed rows segments hold, or removals that aren't applied."""
    segments: list[_Segment] = collection.call("list_persistent_segments")
    there = [each for each in segments if each.state_name != "Dropped"]
    waiting = sum(each.num_rows for each in there if each.level_name == "L0")
    return waiting + sum(each.num_rows for each in there if each.level_name != "L0") - count
