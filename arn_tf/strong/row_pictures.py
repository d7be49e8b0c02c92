"""The pictures that a row of a table is made from, through a strong model.

They pass in batches of up to 128. Whoever needs a picture again, as the embedding that the next
round clusters, takes it in the same batches: to the last bit it is then what it was.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from arn_tf.strong.model import StrongModel

# More tell no more, and take longer.
MOST_PICTURES = 1024
# The target's row is what few pictures of a camera are shrunk toward: more moved no mAP
# (docs/results.md#calibration).
MOST_OF_TARGET = 256
_BATCH = 128
# Is told the number of batches that are done.
Advance = Callable[[int], object]


def _untold(count: int) -> None:
    """Tells nobody."""


def spread(count: int, most: int | None = None) -> np.ndarray:
    """Returns rows of evenly spread pictures, all or some of `count`; int [<= count].

    Args:
        count: of pictures.
        most: of the rows; None: `MOST_PICTURES`.
    """
    return np.unique(np.linspace(0, count - 1, min(count, most or MOST_PICTURES)).astype(int))


def batches(used: np.ndarray) -> list[np.ndarray]:
    """Returns rows of pictures, int [n], in batches of nearly equal size."""
    return np.array_split(used, -(-len(used) // _BATCH))


def layer_moments(
    model: StrongModel, pictures: np.ndarray, used: np.ndarray, advance: Advance = _untold
) -> np.ndarray:
    """Returns mean and variance of each normalisation, float64 [2, table.channels].

    Args:
        model: `StrongModel`.
        pictures: uint8 [N, height, width, 3].
        used: rows of pictures, int [n].
        advance: see `Advance`.
    """
    totals = np.zeros((2, model.table.channels))
    for batch in batches(used):
        found = model.traced.moments(tf.constant(pictures[batch]))
        totals += len(batch) / len(used) * np.stack([value.numpy() for value in found])
        advance(1)
    return totals


def both_views(
    model: StrongModel,
    pictures: np.ndarray,
    used: np.ndarray,
    row: int,
    advance: Advance = _untold,
) -> np.ndarray:
    """Returns features of pictures and of their mirror images by a row, float32 [2, n, D].

    Arguments are those of `layer_moments`.
    """
    views: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for batch in batches(used):
        own = tf.fill([len(batch)], row)
        images = pictures[batch]
        for view, found in zip((images, images[:, :, ::-1]), views, strict=True):
            found.append(model.traced.camera_features(tf.constant(view), own).numpy())
        advance(1)
    return np.stack([np.concatenate(each) for each in views])


def embeddings(model: StrongModel, features: np.ndarray, row: int) -> np.ndarray:
    """Returns what `StrongModel.call` makes of features of both views, float32 [n, D].

    Args:
        model: `StrongModel`.
        features: of a camera's pictures, float32 [2, n, D].
        row: of the camera.
    """
    rows = tf.fill([features.shape[1]], row)
    first, second = (model.table.standardized(tf.constant(view), rows) for view in features)
    return tf.math.l2_normalize(first + second, axis=1).numpy()
