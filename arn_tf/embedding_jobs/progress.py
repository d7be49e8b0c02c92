"""How far a job is, and when it will be done: a bar on a terminal, a line a minute elsewhere."""

import sys
import time
import types
from typing import Self

import tqdm

_EVERY = 60.0  # seconds between two lines


class Progress:
    """Counts pictures; use it with `with`.

    Args:
        total: pictures of the job.
        done: those of them whose shards are there.
    """

    def __init__(self, total: int, done: int) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=total,
            initial=done,
            desc="embedding",
            unit=" pictures",
            dynamic_ncols=True,
            disable=not self._terminal,
        )
        self._total, self._begun, self._done = total, done, done
        self._start = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: types.TracebackType | None) -> None:
        self._bar.close()

    @property
    def pictures(self) -> int:
        """How many were embedded here."""
        return self._done - self._begun

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    def advance(self, pictures: int) -> None:
        """Counts pictures that were embedded."""
        self._done += pictures
        self._bar.update(pictures)
        if not self._terminal and time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            rate = self.pictures / self.seconds
            left = tqdm.tqdm.format_interval((self._total - self._done) / rate)
            print(
                f"embedding: {self._done} of {self._total} pictures, {rate:.1f} a second, "
                f"{left} left",
                file=sys.stderr,
                flush=True,
            )
