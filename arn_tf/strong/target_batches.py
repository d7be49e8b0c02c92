"""Batches of self-training: two cameras of the target and clusters that both have seen.

Every target batch holds two cameras, so that each can be normalised by its own batch statistics.
Batches hold pictures of the source as well, where there is one.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from arn_tf.data import batches as data_batches
from arn_tf.data.joined import JoinedPictures
from arn_tf.data.sampling import Sampler
from arn_tf.strong import batches as strong_batches
from arn_tf.strong.augmentation import augment, erase

_CLUSTERS_PER_BATCH = 8
_Pictures = np.ndarray | JoinedPictures


class PairSampler:
    """Target batches of two cameras and of clusters that both have seen.

    Of a target whose used pictures show fewer than two known cameras both halves are of all of it.

    A cluster's pictures in a camera are drawn evenly over its tracklets there, so that a long one
    does not swamp the others; a picture without tracklet counts as one.

    Args:
        labels: int [N], clusters from 0; -1 for pictures that aren't used.
        camera_id: int [N]; below 0 is unknown.
        batch_size: pictures in a batch, half of each camera.
        seed: of all drawing.
        tracklet: int [N]; below 0 for a picture that has none; None where none has.

    Attributes:
        labels: as given.
        cameras: int64 [N], index of each picture's camera from 0; -1 where it is unknown.
        batch_size: as given.
    """

    def __init__(
        self,
        labels: np.ndarray,
        camera_id: np.ndarray,
        batch_size: int,
        seed: int,
        tracklet: np.ndarray | None = None,
    ) -> None:
        self.labels = labels
        self.cameras = indices(camera_id)
        self.batch_size = batch_size
        self._seed = seed
        used = np.flatnonzero(labels >= 0)
        known = camera_id[used] >= 0
        if np.unique(camera_id[used[known]]).size > 1:
            # Beside two cameras an unknown one is none.
            used = used[known]
        else:
            camera_id = np.full_like(camera_id, -1)
        rows = {}
        for row in used:
            rows.setdefault((labels[row], camera_id[row]), []).append(row)
        cameras = np.unique(camera_id[used])
        # The clusters of each camera, by their first pictures there.
        seen = {camera: {} for camera in cameras}
        for cluster, camera in rows:
            seen[camera][cluster] = None
        pairs = []
        for i, first in enumerate(cameras):
            # A target of one camera is paired with itself.
            for second in cameras[i + 1 :] if len(cameras) > 1 else cameras:
                shared = [cluster for cluster in seen[first] if cluster in seen[second]]
                if shared:
                    pairs.append((first, second, np.array(shared)))
        weights = np.array([len(shared) for *_, shared in pairs], np.float64)
        self._rows = {key: _by_tracklet(value, tracklet) for key, value in rows.items()}
        self._pairs = pairs
        self._weights = weights / weights.sum()

    def step(self, step: int) -> np.ndarray:
        """Returns a batch's rows, int64 [2, batch_size / 2]: the same cluster at the same place."""
        rng = np.random.default_rng([self._seed, step])
        first, second, shared = self._pairs[rng.choice(len(self._pairs), p=self._weights)]
        half = self.batch_size // 2
        count = min(_CLUSTERS_PER_BATCH, len(shared), half)
        clusters = np.resize(rng.permutation(shared)[:count], half)
        return np.array(
            [
                [_drawn(self._rows[cluster, camera], rng) for cluster in clusters]
                for camera in (first, second)
            ],
            np.int64,
        )


def indices(camera_id: np.ndarray) -> np.ndarray:
    """Returns each picture's camera as an index from 0, int64 [N]; -1 where it is unknown.

    Args:
        camera_id: int [N]; below 0 is unknown.
    """
    known = np.unique(camera_id[camera_id >= 0])
    return np.where(camera_id >= 0, np.searchsorted(known, camera_id), -1)


def _by_tracklet(rows: list[int], tracklet: np.ndarray | None) -> list[list[int]]:
    """Returns rows in groups to draw from evenly: of each tracklet, and of single pictures.

    Where no row has a tracklet they are one group.
    """
    if tracklet is None or (tracklet[rows] < 0).all():
        return [rows]
    groups: dict[int, list[int]] = {}
    for row in rows:
        # Below all tracklets, a number for each picture without.
        groups.setdefault(int(tracklet[row]) if tracklet[row] >= 0 else -1 - row, []).append(row)
    return list(groups.values())


def _drawn(groups: list[list[int]], rng: np.random.Generator) -> int:
    # Without a choice of group none is drawn: the draws of a target without tracklets stay.
    group = groups[rng.integers(len(groups)) if len(groups) > 1 else 0]
    return rng.choice(group)


def batches(
    source_sampler: Sampler | None,
    source: _Pictures | None,
    target_sampler: PairSampler,
    target: np.ndarray,
    steps: int,
    first_step: int,
    seed: int,
) -> tf.data.Dataset:
    """Returns augmented batches of both domains, a function of the seed and the step's number.

    Half of the target's pictures lose a part (`augmentation.erase`).

    Args:
        source_sampler: of the source's rows; None: batches are of the target alone.
        source: its pictures, uint8 [N, height, width, 3], or None.
        target_sampler: of the target's rows.
        target: its pictures, likewise.
        steps: how many.
        first_step: number of the first.
        seed: of the augmentation.
    """
    per_epoch = source_sampler.steps_per_epoch if source_sampler else steps

    def plans() -> Iterator[tuple[np.ndarray, np.ndarray, np.int32]]:
        plan = None if source_sampler else np.zeros((per_epoch, 0), np.int64)
        for step in range(first_step, first_step + steps):
            if source_sampler and (plan is None or step % per_epoch == 0):
                plan = source_sampler.epoch(step // per_epoch).source_rows
            yield plan[step % per_epoch], target_sampler.step(step), np.int32(step)

    def load(
        source_rows: tf.Tensor, target_rows: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        def random(pictures: _Pictures, rows: tf.Tensor, stream: int) -> tf.Tensor:
            images = data_batches.gather_pictures(pictures, rows)
            return augment(images, tf.stack([seed + strong_batches.STREAM * stream, step]))

        def erased(rows: tf.Tensor, stream: int) -> tf.Tensor:
            # `augment` has streams 0 to 2.
            seeds = tf.stack([seed + strong_batches.STREAM * (stream + 2), step])
            return erase(random(target, rows, stream), seeds)

        batch = {
            "first_images": erased(target_rows[0], 1),
            "second_images": erased(target_rows[1], 2),
            "first_cameras": tf.gather(cameras, target_rows[0]),
            "second_cameras": tf.gather(cameras, target_rows[1]),
            "target_labels": tf.gather(target_labels, target_rows[0]),
        }
        if source_sampler:
            batch["source_images"] = random(source, source_rows, 0)
            batch["source_labels"] = tf.gather(tf.constant(source_sampler.labels), source_rows)
        return batch

    target_labels = tf.constant(target_sampler.labels, tf.int32)
    cameras = tf.constant(target_sampler.cameras, tf.int32)
    signature = (
        tf.TensorSpec([source_sampler.batch_size if source_sampler else 0], tf.int64),
        tf.TensorSpec([2, target_sampler.batch_size // 2], tf.int64),
        tf.TensorSpec([], tf.int32),
    )
    return data_batches.batches(plans, signature, load, prefetch=strong_batches.PREFETCH)
