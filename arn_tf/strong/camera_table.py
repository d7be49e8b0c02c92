"""Statistics of the source, of the target as a whole, and of single cameras, row by row."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, TARGET

# Rows before those of the cameras.
_DOMAINS = (SOURCE, TARGET)


class CameraTable:
    """A row of statistics for each domain and each calibrated camera.

    A row holds mean and variance of every normalisation of E_I, side by side, and mean and standard
    deviation of the embedding.

    Args:
        add_weight: of the Keras object that owns, saves and loads the weights.
        cameras: camera_id of each row after those of `SOURCE` and `TARGET`.
        channels: of all normalisations of E_I together.
        embedding_dim: width of the embedding.

    Attributes:
        cameras: as given, a list.
        channels: as given.
    """

    def __init__(
        self,
        add_weight: Callable[..., keras.Variable],
        cameras: Sequence[int],
        channels: int,
        embedding_dim: int,
    ) -> None:
        self.cameras = list(cameras)
        self.channels = channels

        def weight(name: str, width: int, initializer: str) -> keras.Variable:
            return add_weight(
                name=name,
                shape=(len(_DOMAINS) + len(self.cameras), width),
                initializer=initializer,
                trainable=False,
            )

        self._mean = weight("mean", channels, "zeros")
        self._variance = weight("variance", channels, "ones")
        self._embedding_mean = weight("embedding_mean", embedding_dim, "zeros")
        self._embedding_deviation = weight("embedding_deviation", embedding_dim, "ones")

    @property
    def weights(self) -> list[keras.Variable]:
        """Mean and variance of E_I, mean and deviation of the embedding; float32 [rows, width]."""
        return [self._mean, self._variance, self._embedding_mean, self._embedding_deviation]

    def rows_of(self, camera_id: Sequence[int]) -> np.ndarray:
        """Returns the rows of cameras, int32 [N]; `TARGET` where one isn't calibrated."""
        known = {camera: row for row, camera in enumerate(self.cameras, start=len(_DOMAINS))}
        return np.array([known.get(int(camera), TARGET) for camera in camera_id], np.int32)

    def known_and_rows(self, camera_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns whether cameras are calibrated, bool [N], and their rows, int32 [N].

        In graph operations, by comparison: a lookup table of TensorFlow's would need initialising
        in a SavedModel.

        Args:
            camera_id: int64 [N].
        """
        cameras = np.array(self.cameras, np.int64)
        same = tf.equal(camera_id[:, None], cameras)
        beyond = tf.where(same, self.rows_of(cameras) - TARGET, 0)
        return tf.reduce_any(same, axis=1), TARGET + tf.reduce_sum(beyond, axis=1)

    def moments(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and variance of E_I's normalisations, float32 [B, channels], of rows [B]."""
        return _gathered(self._mean, rows), _gathered(self._variance, rows)

    def standardized(self, features: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns features less their row's mean, over its deviation, of unit length: [B, D]."""
        mean = _gathered(self._embedding_mean, rows)
        deviation = _gathered(self._embedding_deviation, rows)
        return tf.math.l2_normalize((features - mean) / deviation, axis=1)

    def row_moments(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and variance of E_I's normalisations in a row, float32 [channels] each."""
        return self._mean.numpy()[row], self._variance.numpy()[row]

    def embedding_statistics(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation of the embedding in a row, float32 [D] each."""
        return self._embedding_mean.numpy()[row], self._embedding_deviation.numpy()[row]

    def domain_rows(self) -> list[np.ndarray]:
        """Returns the rows of `SOURCE` and `TARGET`, float32 [2, width] of each weight."""
        return [variable.numpy()[list(_DOMAINS)] for variable in self.weights]

    def set_moments(self, row: int, mean: np.ndarray, variance: np.ndarray) -> None:
        """Replaces mean and variance of E_I's normalisations in a row, float [channels] each."""
        _set_row(self._mean, row, mean)
        _set_row(self._variance, row, variance)

    def set_embedding_statistics(self, row: int, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Replaces mean and standard deviation of the embedding in a row, float [D] each."""
        _set_row(self._embedding_mean, row, mean)
        _set_row(self._embedding_deviation, row, deviation)

    def copy_from(self, other: "CameraTable") -> None:
        """Takes the domains' rows of another table, and those of the cameras that both have."""
        kept = [camera for camera in self.cameras if camera in other.cameras]
        here = [*_DOMAINS, *self.rows_of(kept)]
        there = [*_DOMAINS, *other.rows_of(kept)]
        for variable, source in zip(self.weights, other.weights, strict=True):
            values = variable.numpy()
            values[here] = source.numpy()[there]
            variable.assign(values)


def _gathered(variable: keras.Variable, rows: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.convert_to_tensor(variable), rows)


def _set_row(variable: keras.Variable, row: int, value: np.ndarray) -> None:
    values = variable.numpy()
    values[row] = value
    variable.assign(values)
