"""Which pictures make up each batch: a function of data, seed and epoch alone.

Nothing here has state, so a resumed run draws the batches that an uninterrupted one would.
"""

import dataclasses

import numpy as np

from arn_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class EpochPlan:
    """Rows of one epoch, batch by batch; flips are 1 where the picture is mirrored.

    Attributes:
        source_rows: int64 [steps, B].
        source_flips: uint8 [steps, B].
        target_rows: int64 [steps, B].
        target_flips: uint8 [steps, B].
    """

    source_rows: np.ndarray
    source_flips: np.ndarray
    target_rows: np.ndarray
    target_flips: np.ndarray


def check_target(size: int, batch_size: int) -> None:
    """Checks that a target can fill a batch.

    Args:
        size: number of its pictures.
        batch_size: pictures in a batch.

    Raises:
        UserError: it has fewer.
    """
    if size < batch_size:
        raise UserError(
            f"batch_size={batch_size} is more than the {size} pictures of the target: make the "
            "batch smaller",
            ["batch_size"],
        )


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Identity-balanced source batches and random target batches.

    A source batch holds `batch_size / images_per_identity` different identities, equally many of
    each source; where that can't be, the odd ones are of each in turn. Every identity of a source
    comes up equally often, and so does each of its pictures; one with fewer pictures than a batch
    takes has them repeated. An epoch has as many steps as fill all sources once: the smaller of two
    is seen more often than once, the larger less often.

    Args:
        labels: int32 [N], rows of the classifier, of the source pictures.
        target_size: number of target pictures.
        batch_size: pictures of each domain in a step.
        images_per_identity: pictures of each identity in a source batch.
        seed: of all drawing.
        identities: of each source, whose labels follow one another; (): all are of one.
    """

    labels: np.ndarray
    target_size: int
    batch_size: int
    images_per_identity: int
    seed: int
    identities: tuple[int, ...] = ()

    def check(self) -> None:
        """Checks that the data can fill a batch.

        Raises:
            UserError: too few identities of the source, or pictures of the target.
        """
        most = -(-self._per_batch // len(self._counts))
        for number, found in enumerate(self._counts, start=1):
            if found >= most:
                continue
            wanted, source = f"{most} identities", "the source"
            if len(self._counts) > 1:
                wanted, source = f"{wanted} of each source", f"source {number}"
            raise UserError(
                f"batch_size={self.batch_size} images_per_identity={self.images_per_identity} "
                f"needs {wanted}, {source} has {found}: make the batch smaller",
                ["batch_size", "images_per_identity"],
            )
        check_target(self.target_size, self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch: as many as fill the source once, at least 1."""
        return max(len(self.labels) // self.batch_size, 1)

    def epoch(self, epoch: int) -> EpochPlan:
        """Returns the plan of one epoch.

        Args:
            epoch: its number, from 0.
        """
        steps, size = self.steps_per_epoch, self.batch_size
        source, target = (np.random.default_rng([self.seed, epoch, k]) for k in range(2))
        return EpochPlan(
            self._source_rows(source, epoch),
            source.integers(0, 2, (steps, size), dtype=np.uint8),
            _cycle(target, self.target_size, steps * size).reshape(steps, size),
            target.integers(0, 2, (steps, size), dtype=np.uint8),
        )

    @property
    def _per_batch(self) -> int:
        """Identities of a batch."""
        return self.batch_size // self.images_per_identity

    @property
    def _counts(self) -> tuple[int, ...]:
        """Identities of each source."""
        return self.identities or (len(np.unique(self.labels)),)

    def _shares(self, epoch: int) -> list[list[int]]:
        """Returns how many identities of each source are in each batch of an epoch, by source."""
        sources = len(self._counts)
        share, odd = divmod(self._per_batch, sources)
        steps = range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch)
        # Which sources have one more goes round, over epochs too.
        return [
            [share + ((number - step * odd) % sources < odd) for step in steps]
            for number in range(sources)
        ]

    def _source_rows(self, rng: np.random.Generator, epoch: int) -> np.ndarray:
        """Returns int64 [steps, batch_size]."""
        count = int(self.labels.max()) + 1
        rows_of = np.split(
            np.argsort(self.labels, kind="stable"), np.cumsum(np.bincount(self.labels))[:-1]
        )
        drawn = [
            _distinct_cycle(rng, identities, widths)
            for identities, widths in zip(self._counts, self._shares(epoch), strict=True)
        ]
        first = np.cumsum([0, *self._counts[:-1]])
        identities = np.array(
            [
                np.concatenate([start + own for start, own in zip(first, batch, strict=True)])
                for batch in zip(*drawn, strict=True)
            ]
        )
        turns = np.bincount(identities.ravel(), minlength=count)
        decks = [
            iter(rows[_cycle(rng, len(rows), turn * self.images_per_identity)])
            for rows, turn in zip(rows_of, turns, strict=True)
        ]
        return np.array(
            [
                [next(decks[i]) for i in batch for _ in range(self.images_per_identity)]
                for batch in identities
            ],
            np.int64,
        )


def _cycle(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Returns numbers below `size`, new permutations one after the other, int64 [count]."""
    rounds = -(-count // size)
    permutations = [rng.permutation(size) for _ in range(rounds)] or [np.zeros(0, np.int64)]
    return np.concatenate(permutations)[:count].astype(np.int64)


def _distinct_cycle(rng: np.random.Generator, size: int, widths: list[int]) -> list[np.ndarray]:
    """Returns permutations in turn, cut into batches of some widths, int64 [width] each.

    There is no number twice in a batch.
    """
    waiting: list[int] = []
    batches = []
    for width in widths:
        if len(waiting) < width:
            # Those still waiting go first; the fresh ones must not repeat them in this batch.
            fresh = rng.permutation(size)
            again = np.isin(fresh, waiting)
            waiting = [*waiting, *fresh[~again], *fresh[again]]
        batches.append(np.array(waiting[:width], np.int64))
        waiting = waiting[width:]
    return batches
