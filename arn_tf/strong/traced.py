"""What a strong model computes of pictures, traced once for any batch size."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from arn_tf.strong.model import StrongModel

_OfPictures = Callable[[tf.Tensor], tf.Tensor]
_OfCameras = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Traced:
    """Functions of uint8 images [B, height, width, 3], some also of rows of the table, int32 [B].

    They hold whatever the weights and the table's rows are when they are called.

    Args:
        model: whose they are.

    Attributes:
        embeddings: of images and rows: `StrongModel.call`.
        features: of images: X by the running statistics, averaged over positions, float32 [B, D].
        camera_features: of images and rows: `StrongModel.camera_features`.
        moments: of images: `StrongModel.batch_moments`.
    """

    def __init__(self, model: "StrongModel") -> None:
        images = tf.TensorSpec([None, *model.input_size, 3], tf.uint8)
        both = [images, tf.TensorSpec([None], tf.int32)]
        self.embeddings: _OfCameras = tf.function(model.call, input_signature=both)
        self.features: _OfPictures = tf.function(model.plain_features, input_signature=[images])
        self.camera_features: _OfCameras = tf.function(model.camera_features, input_signature=both)
        self.moments: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] = tf.function(
            model.batch_moments, input_signature=[images]
        )
