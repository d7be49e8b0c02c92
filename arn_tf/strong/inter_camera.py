"""Inter-camera proxies: what a person looks like in each camera, to be drawn together.

Wang et al., "Camera-aware Proxies for Unsupervised Person Re-Identification" (CAP, AAAI 2021,
equation 8), and Chen et al., ICE (ICCV 2021, equation 5): a picture's positives are its cluster's
proxies in *other* cameras, its negatives the nearest proxies of other clusters. As in ICE the
proxies are means that stay fixed for a round.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from arn_tf.layers import gradient_order, replicas
from arn_tf.strong import directions

TEMPERATURE, NEGATIVES, WEIGHT = 0.07, 50, 0.5
# Of similarities over the temperature: nothing.
_NONE = -1e9


@dataclasses.dataclass(frozen=True, eq=False)
class Proxies:
    """One for each cluster and camera that it was seen by.

    Attributes:
        directions: float32 [P, D], mean embedding of the cluster's pictures in the camera, at unit
            length.
        cluster: int64 [P].
        camera: int64 [P], index of the camera.
    """

    directions: np.ndarray | tf.Variable
    cluster: np.ndarray | tf.Variable
    camera: np.ndarray | tf.Variable

    def resizable(self) -> "Proxies":
        """Returns the same as variables, for `begin`."""
        return Proxies(*map(replicas.resizable, self._fields))

    def begin(self, others: "Proxies") -> None:
        """Forgets these, which are variables, for others."""
        for own, other in zip(self._fields, others._fields, strict=True):
            own.assign(other)

    @property
    def _fields(self) -> tuple[np.ndarray | tf.Variable, ...]:
        return self.directions, self.cluster, self.camera


def of_clusters(embeddings: np.ndarray, labels: np.ndarray, camera: np.ndarray) -> Proxies:
    """Returns the proxies of clusters, by cluster and then by camera.

    Args:
        embeddings: real [N, D], of unit length.
        labels: int64 [N], clusters from 0; -1 for pictures that aren't used.
        camera: int [N], index of a camera from 0; below 0 is unknown, and has no proxy.
    """
    used = (labels >= 0) & (camera >= 0)
    keys, of_picture = np.unique([labels[used], camera[used]], axis=1, return_inverse=True)
    found = directions.means(embeddings[used], of_picture, keys.shape[1])
    return Proxies(found.astype(np.float32), *keys.astype(np.int64))


def loss(
    similarities: tf.Tensor, labels: tf.Tensor, camera: tf.Tensor, proxies: Proxies
) -> tf.Tensor:
    """Returns the mean cross-entropy between a picture's positives and its nearest negatives.

    -1/|P| sum over p in P of log(exp(s_p) / (sum over P exp(s) + sum over N exp(s))), with s the
    cosine over the temperature, P the positives and N the 50 most similar proxies of other
    clusters. Pictures without a positive are left out.

    Args:
        similarities: float [B, P], cosines of pictures with all proxies.
        labels: int32 [B], the pictures' clusters.
        camera: int32 [B], their cameras, as `proxies` counts them.
        proxies: of all clusters.

    Returns:
        scalar; 0 where no picture has a positive.
    """
    of_positives, of_negatives, of_mean = gradient_order.copies(similarities / TEMPERATURE, 3)
    cluster, seen_by = (tf.cast(each, tf.int32) for each in (proxies.cluster, proxies.camera))
    same = labels[:, None] == cluster
    positive = same & (camera[:, None] != seen_by)
    nearest = tf.minimum(NEGATIVES, tf.size(cluster))
    negatives = tf.math.top_k(tf.where(same, _NONE, of_negatives), nearest).values
    total = tf.reduce_logsumexp(
        tf.concat([tf.where(positive, of_positives, _NONE), negatives], axis=1), axis=1
    )
    count = tf.reduce_sum(tf.cast(positive, tf.float32), axis=1)
    mean = tf.reduce_sum(tf.where(positive, of_mean, 0.0), axis=1) / tf.maximum(count, 1.0)
    has = count > 0
    number = tf.reduce_sum(tf.cast(has, tf.float32))
    return tf.reduce_sum(tf.where(has, total - mean, 0.0)) / tf.maximum(number, 1.0)
