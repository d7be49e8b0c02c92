"""A tuned backbone with batch statistics per camera: the model of `--preset=strong`."""

import copy
import functools
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import networks
from arn_tf.layers import gradient_order, replicas
from arn_tf.layers.arithmetic import in_float32
from arn_tf.layers.normalization import BatchStatistics, PictureStatistics, normalized_by
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong import losses
from arn_tf.strong.camera_table import CameraTable
from arn_tf.strong.heads import identity_head
from arn_tf.strong.traced import Traced


@keras.saving.register_keras_serializable(package="arn_tf")
class StrongModel(keras.Model):
    """E_I, average pooling, and a classifier behind a normalisation (Luo et al., CVPRW 2019).

    Trained like any re-ID baseline; what it adds is `table`, a `CameraTable` with statistics of the
    source, of the target as a whole and of each camera that has been calibrated.

    Args:
        num_identities: identities of the source; 0: there is none, and no classifier.
        backbone: E_I, a name that `backbones.networks` knows.
        backbone_weights: "imagenet", "random" or the path of a weights file.
        input_size: (height, width) of a picture in pixels.
        last_stride: 1 doubles height and width of X, 2 leaves the network as it is.
        network: facts of E_I that are not in its name, as a saved model has them; None: those of
            its weights.
        label_smoothing: of the cross-entropy.
        margin: of the triplet loss.
        weight_decay: L2, added to every gradient.
        precision: "float32", or "bfloat16" for the arithmetic of E_I.
        cameras: camera_id of each row of the table after the first two.
        camera_names: {camera_id as a string: name} of those whose names are no numbers.
        seed: of the weights.
    """

    @in_float32
    def __init__(
        self,
        num_identities: int,
        backbone: str = "ResNet50",
        backbone_weights: str = "imagenet",
        input_size: tuple[int, int] = (256, 128),
        last_stride: int = 1,
        network: networks.Facts | None = None,
        label_smoothing: float = 0.1,
        margin: float = 0.3,
        weight_decay: float = 5e-4,
        precision: str = "float32",
        cameras: Sequence[int] = (),
        camera_names: Mapping[str, str] | None = None,
        seed: int = 0,
        name: str = "strong",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        settings = {
            "num_identities": num_identities,
            "backbone": backbone,
            "input_size": list(input_size),
            "last_stride": last_stride,
            "label_smoothing": label_smoothing,
            "margin": margin,
            "weight_decay": weight_decay,
            "precision": precision,
            "seed": seed,
        }
        self._camera_names = {int(key): name for key, name in (camera_names or {}).items()}
        self.num_identities = num_identities
        self.input_size = tuple(input_size)
        self.label_smoothing = label_smoothing
        self.margin = margin
        self.weight_decay = weight_decay
        encoder_i, facts = networks.build(backbone, self.input_size, backbone_weights, network)
        if facts is not None:
            settings["network"] = facts
        # Keras would wrap a dictionary in one that knows the model: a deep copy would copy both.
        self._settings = types.MappingProxyType(settings)
        self._preprocess = networks.preprocessing(backbone, facts)
        # Where there is no last stride to take away, 2 leaves the network as it is.
        strides = 2 if networks.keeps_last_map(facts) else last_stride
        self.encoder_i, self._channels = tuned_backbone.tuned(
            encoder_i, backbone, strides, precision
        )
        self.embedding_dim = self.encoder_i.output_shape[-1]
        self.neck, self.classifier = (
            identity_head(self.embedding_dim, num_identities, seed)
            if num_identities
            else (None, None)
        )
        channels = sum(own.stop - own.start for own in self._channels.values())
        self.table = CameraTable(self.add_weight, cameras, channels, self.embedding_dim)
        self._means = {key: keras.metrics.Mean(name=key) for key in ("loss", "class", "triplet")}
        self.built = True

    @property
    def cameras(self) -> list[int]:
        """camera_id of those that have statistics of their own."""
        return self.table.cameras

    @property
    def camera_names(self) -> dict[int, str]:
        """{camera_id: name} of every camera in `cameras`."""
        return {camera: self._camera_names.get(camera, str(camera)) for camera in self.cameras}

    def running_statistics(self) -> list[np.ndarray]:
        """Returns running means and variances of E_I, float32 [table.channels] each."""
        return tuned_backbone.running_statistics(self.encoder_i, self._channels)

    # Embedding.

    def feature_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Returns X, float32 [B, h, w, D], of images in 0..255, by running statistics."""
        maps = self.encoder_i(self._preprocess(tf.cast(images, tf.float32)), training=False)
        return tf.cast(maps, tf.float32)

    def plain_features(self, images: tf.Tensor) -> tf.Tensor:
        """Returns X by the running statistics, averaged over positions, float32 [B, D]."""
        return pooled(self.feature_maps(images))

    def batch_maps(self, images: tf.Tensor, update: bool) -> tf.Tensor:
        """Returns X by the statistics of the batch, synchronised over replicas.

        Args:
            images: as `feature_maps` takes them.
            update: whether the running statistics follow.
        """
        with normalized_by(BatchStatistics(update)):
            return self.feature_maps(images)

    def batch_moments(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each normalisation's mean and variance over a batch, float32 [table.channels].

        The input of each layer is that of the layers below it, normalised by the batch too.
        """
        found = BatchStatistics()
        with normalized_by(found):
            self.feature_maps(images)
        means, variances = zip(*(found[name] for name in self._channels), strict=True)
        return tf.concat(means, axis=0), tf.concat(variances, axis=0)

    def camera_features(self, images: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns X averaged over positions, float32 [B, D], each picture by its row of the table.

        Args:
            images: as `feature_maps` takes them.
            rows: of the table, int [B].
        """
        moments = self.table.moments(rows)
        with normalized_by(PictureStatistics.from_table(self._channels, *moments)):
            return pooled(self.feature_maps(images))

    def call(
        self, images: tf.Tensor, rows: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns embeddings, float32 [B, D], of unit length, of images [B, height, width, 3].

        Without rows: plain, by the running statistics, as published results are. With rows of the
        table, int [B]: the statistics of each picture's camera, and the sum of the picture's and
        its mirror image's standardised vectors.
        """
        if rows is None:
            return tf.math.l2_normalize(self.plain_features(images), axis=1)
        # OpenVINO has no fast path for TensorFlow's `reverse`.
        mirrored = tf.gather(images, tf.range(images.shape[2] - 1, -1, -1), axis=2)
        both = [
            self.table.standardized(self.camera_features(view, rows), rows)
            for view in (images, mirrored)
        ]
        return tf.math.l2_normalize(both[0] + both[1], axis=1)

    @functools.cached_property
    def traced(self) -> Traced:
        """What it computes of pictures, traced once."""
        return Traced(self)

    # Training.

    def identity_losses(
        self,
        features: tf.Tensor,
        labels: tf.Tensor,
        head: tuple[keras.layers.Layer, keras.layers.Layer],
        smoothing: float,
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Returns cross-entropy behind a head and triplet loss, of all replicas' pictures together.

        Args:
            features: one replica's, float [B, D].
            labels: rows of the head's classifier, int [B].
            head: normalisation, and what makes logits of what it returns.
            smoothing: of the labels; see `losses.smoothed_costs`.

        Returns:
            both losses, and all replicas' features behind the normalisation, float [N, D].
        """
        normalization, classifier = head
        features, labels = replicas.gather(features), replicas.gather(labels)
        of_triplets, features = gradient_order.copies(features, 2)
        normalized, returned = gradient_order.copies(normalization(features, training=True), 2)
        return (
            losses.smoothed_classification(classifier(normalized), labels, smoothing),
            losses.batch_hard_triplet(of_triplets, labels, self.margin),
        ), returned

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step on augmented source pictures; returns the epoch's running means by name.

        Args:
            batch: {"source_images": float [B, height, width, 3], "source_labels": int [B]}.
        """
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            maps = self.batch_maps(batch["source_images"], update=True)
            terms, _ = self.identity_losses(
                pooled(maps),
                batch["source_labels"],
                (self.neck, self.classifier),
                self.label_smoothing,
            )
            scaled = sum(terms) / replicas.count()
        self.descend(self.optimizer, tape.gradient(scaled, variables), variables)
        return self.logged(sum(terms), *terms)

    def descend(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor],
        variables: Sequence[keras.Variable],
        undecayed: Iterable[keras.Variable] = (),
    ) -> None:
        """Applies gradients; the optimizer sums over replicas.

        Args:
            optimizer: a Keras optimizer, built for the variables.
            gradients: of this replica's share of the loss, one for each variable.
            variables: what to change.
            undecayed: those of them without weight decay.
        """
        decay, spared = self.weight_decay / replicas.count(), {id(v) for v in undecayed}
        optimizer.apply(
            [
                g if id(v) in spared else g + decay * v
                for g, v in zip(gradients, variables, strict=True)
            ],
            variables,
        )

    def logged(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds a step's loss, cross-entropy and triplet loss to the epoch's means."""
        for mean, value in zip(self._means.values(), values, strict=True):
            mean.update_state(value)
        return {name: mean.result() for name, mean in self._means.items()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._means.values())

    def get_config(self) -> dict:
        # JSON has texts for keys.
        names = {str(key): name for key, name in self.camera_names.items() if name != str(key)}
        return {
            "name": self.name,
            "cameras": self.cameras,
            "camera_names": names,
            **copy.deepcopy(dict(self._settings)),
        }

    @classmethod
    def from_config(cls, config: dict) -> "StrongModel":
        # The file that holds this configuration holds the weights of E_I too.
        return cls(**config, backbone_weights="random")


def pooled(maps: tf.Tensor) -> tf.Tensor:
    """Returns X, float [B, h, w, D], averaged over positions: float [B, D]."""
    return tf.reduce_mean(maps, axis=[1, 2])
