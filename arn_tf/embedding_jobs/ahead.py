"""Items that a thread makes ahead of their use."""

import collections
import concurrent.futures
from collections.abc import Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def ahead(items: Iterator[_Item], count: int) -> Iterator[_Item]:
    """Yields what an iterator yields, made in a thread of its own.

    Args:
        items: used by that thread alone.
        count: items that are made before the first is asked for, and kept at most.

    Raises:
        Exception: what making an item raised, when its turn comes.
    """
    end = object()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        made = collections.deque(thread.submit(next, items, end) for _ in range(count))
        try:
            while (item := made.popleft().result()) is not end:
                made.append(thread.submit(next, items, end))
                yield item  # type: ignore[misc]
        finally:
            thread.shutdown(cancel_futures=True)
