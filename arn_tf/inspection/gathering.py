"""The one pass over the files: threads read and decode, memory holds a row of numbers for each."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Sequence

import numpy as np
import tqdm

from arn_tf.inspection.facts import FACT, digest_of, facts_of

_THREADS = 16  # a disk far away answers late; Pillow lets others run while it decodes
_BLOCK = 128
_AHEAD = 4 * _THREADS


def gather(root: str, files: Sequence[str], title: str) -> np.ndarray:
    """Returns what is known of each picture, rows of `FACT` [N].

    Args:
        root: folder that the paths begin at.
        files: N paths.
        title: for the progress bar, on stderr.
    """
    facts = np.zeros(len(files), FACT)

    def fill(start: int) -> int:
        stop = min(start + _BLOCK, len(files))
        for row in range(start, stop):
            facts[row] = facts_of(os.path.join(root, files[row]))
        return stop - start

    _run(fill, len(files), title)
    return facts


def digests(files: Sequence[str], title: str) -> np.ndarray:
    """Returns the `digest` of each file that can be read, uint64.

    Args:
        files: their paths.
        title: for the progress bar, on stderr.
    """
    found = np.zeros(len(files), np.uint64)
    known = np.zeros(len(files), bool)

    def fill(start: int) -> int:
        stop = min(start + _BLOCK, len(files))
        for row in range(start, stop):
            digest = digest_of(files[row])
            if digest is not None:
                found[row], known[row] = digest, True
        return stop - start

    _run(fill, len(files), title)
    return found[known]


def _run(fill: Callable[[int], int], count: int, title: str) -> None:
    """Calls `fill` with the start of each block, a few blocks ahead of what is done."""
    waiting: collections.deque[concurrent.futures.Future[int]] = collections.deque()
    threads = concurrent.futures.ThreadPoolExecutor(_THREADS)
    try:
        with tqdm.tqdm(total=count, desc=title, unit=" pictures") as bar:
            for start in range(0, count, _BLOCK):
                waiting.append(threads.submit(fill, start))
                if len(waiting) >= _AHEAD:
                    bar.update(waiting.popleft().result())
            while waiting:
                bar.update(waiting.popleft().result())
    finally:
        # Ctrl-C: what runs ends, what waits doesn't begin.
        threads.shutdown(cancel_futures=True)
