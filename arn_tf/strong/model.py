"""A tuned backbone with batch statistics per camera: the model of `--preset=strong`."""

import functools

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications as backbones
from arn_tf.layers import replicas
from arn_tf.layers.normalization import DomainBatchNormalization
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong import losses as identity_losses

# Rows of the table of statistics before those of the cameras.
SOURCE_ROW, TARGET_ROW = 0, 1
UNKNOWN_CAMERA = -1


@keras.saving.register_keras_serializable(package="arn_tf")
class StrongModel(keras.Model):
    """E_I, average pooling, and a classifier behind a normalisation (Luo et al., CVPRW 2019).

    Trained like any re-ID baseline; what it adds is a table of statistics, one row for the source,
    one for the target as a whole and one for each camera that has been calibrated. A row holds
    the mean and variance of every normalisation of E_I, and mean and standard deviation of the
    embedding.

    Args:
        num_identities: identities of the source data set.
        backbone: E_I, any network of `keras.applications`.
        backbone_weights: "imagenet", "random" or the path of a weights file.
        input_size: (height, width) of a picture in pixels.
        last_stride: 1 doubles height and width of X, 2 leaves the network as it is.
        label_smoothing: of the cross-entropy.
        margin: of the triplet loss.
        weight_decay: L2, added to every gradient.
        precision: "float32", or "bfloat16" for the arithmetic of E_I.
        cameras: camera_id of each row of the table after the first two.
        seed: of the weights.
    """

    def __init__(
        self, num_identities, backbone="ResNet50", backbone_weights="imagenet",
        input_size=(256, 128), last_stride=1, label_smoothing=0.1, margin=0.3, weight_decay=5e-4,
        precision="float32", cameras=(), seed=0, name="strong", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._settings = {
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
        self.num_identities = num_identities
        self.input_size = tuple(input_size)
        self.label_smoothing = label_smoothing
        self.margin = margin
        self.weight_decay = weight_decay
        self.cameras = list(cameras)
        self._preprocess = backbones.application(backbone).preprocess_input
        self.encoder_i, self.channels = tuned_backbone.build(
            backbone, self.input_size, backbone_weights, last_stride, precision
        )
        self.embedding_dim = self.encoder_i.output_shape[-1]
        self.neck, self.classifier = identity_head(
            self.embedding_dim, num_identities, seed, "source"
        )
        self.table = {
            key: self.add_weight(
                name=key, shape=(2 + len(self.cameras), width), trainable=False,
                initializer="zeros" if key.endswith("mean") else "ones",
            )
            for key, width in (
                ("mean", self.channels), ("variance", self.channels),
                ("embedding_mean", self.embedding_dim), ("embedding_deviation", self.embedding_dim),
            )
        }  # fmt: skip
        self._means = {key: keras.metrics.Mean(name=key) for key in ("loss", "class", "triplet")}
        self.built = True

    # Embedding.

    def feature_maps(self, images):
        """Images, uint8 or float in 0..255 -> X, float32 [B, h, w, D].

        Normalised as `tuned_backbone.normalized_by` says around it.
        """
        maps = self.encoder_i(self._preprocess(tf.cast(images, tf.float32)))
        return tf.cast(maps, tf.float32)

    def features(self, images):
        """Images -> the average of X over positions, float32 [B, D]; else as `feature_maps`."""
        return tf.reduce_mean(self.feature_maps(images), axis=[1, 2])

    def rows_of(self, camera_id):
        """Rows of the table for camera ids, int [N]; `TARGET_ROW` where one isn't calibrated."""
        known = {camera: row for row, camera in enumerate(self.cameras, start=2)}
        return np.array([known.get(int(camera), TARGET_ROW) for camera in camera_id], np.int32)

    def features_by(self, images, rows):
        """As `features`, each picture by the statistics of its row, int [B]."""
        moments = tuned_backbone.ChosenMoments(
            *(
                tf.gather(tf.convert_to_tensor(self.table[key]), rows)
                for key in ("mean", "variance")
            )
        )
        with tuned_backbone.normalized_by(moments):
            return self.features(images)

    def standardized(self, features, rows):
        """Features less the mean of their row, over its deviation, of unit length; float [B, D]."""
        mean, deviation = (
            tf.gather(tf.convert_to_tensor(self.table[key]), rows)
            for key in ("embedding_mean", "embedding_deviation")
        )
        return tf.math.l2_normalize((features - mean) / deviation, axis=1)

    def call(self, images, rows=None, training=False):
        """Images [B, height, width, 3] -> embeddings, float32 [B, D], of unit length.

        Without rows: plain, by the running statistics, as everybody reports it. With rows of the
        table, int [B]: the statistics of each picture's camera, and the sum of the picture's and
        its mirror image's standardised vectors.
        """
        if rows is None:
            return tf.math.l2_normalize(self.features(images), axis=1)
        both = [
            self.standardized(self.features_by(view, rows), rows)
            for view in (images, tf.reverse(images, axis=[2]))
        ]
        return tf.math.l2_normalize(both[0] + both[1], axis=1)

    @functools.cached_property
    def compiled_call(self):
        """`call` of uint8 images and rows, traced once for any batch size."""
        signature = [
            tf.TensorSpec([None, *self.input_size, 3], tf.uint8), tf.TensorSpec([None], tf.int32),
        ]  # fmt: skip
        return tf.function(self.call, input_signature=signature)

    @functools.cached_property
    def compiled_logits(self):
        """Logits of the source's identities, of uint8 images and rows, traced once."""

        def logits(images, rows):
            return self.classifier(self.neck(self.features_by(images, rows)))

        return tf.function(logits, input_signature=self.compiled_call.input_signature)

    @functools.cached_property
    def compiled_features(self):
        """`features` by the running statistics, traced once for any batch size."""
        signature = [tf.TensorSpec([None, *self.input_size, 3], tf.uint8)]
        return tf.function(self.features, input_signature=signature)

    # Training.

    def identity_losses(self, features, labels, head):
        """Cross-entropy behind a head and triplet loss, of all replicas' pictures together."""
        neck, classifier = head
        features, labels = replicas.gather(features), replicas.gather(labels)
        logits = classifier(neck(features, training=True))
        return (
            identity_losses.smoothed_classification(logits, labels, self.label_smoothing),
            identity_losses.batch_hard_triplet(features, labels, self.margin),
        )

    def train_step(self, batch):
        """One step on augmented source pictures; returns the epoch's running means by name.

        Args:
            batch: {"source_images": float [B, height, width, 3], "source_labels": int [B]}.
        """
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            with tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=True)):
                features = self.features(batch["source_images"])
            terms = self.identity_losses(
                features, batch["source_labels"], (self.neck, self.classifier)
            )
            scaled = sum(terms) / replicas.count()
        self.descend(self.optimizer, tape.gradient(scaled, variables), variables)
        return self.logged(sum(terms), *terms)

    def descend(self, optimizer, gradients, variables, undecayed=()):
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

    def logged(self, *values):
        """Adds a step's loss, cross-entropy and triplet loss to the epoch's means."""
        for mean, value in zip(self._means.values(), values, strict=True):
            mean.update_state(value)
        return {name: mean.result() for name, mean in self._means.items()}

    @property
    def metrics(self):
        return list(self._means.values())

    def get_config(self):
        return {"name": self.name, "cameras": self.cameras, **self._settings}

    @classmethod
    def from_config(cls, config):
        # The file that holds this configuration holds the weights of E_I too.
        return cls(**config, backbone_weights="random")


def identity_head(width, identities, seed, name):
    """A normalisation without shift and a classifier without bias, built for float [B, width]."""
    neck = DomainBatchNormalization(center=False, dtype="float32", name=f"{name}_neck")
    neck.build((None, width))
    classifier = keras.layers.Dense(
        identities, use_bias=False, dtype="float32", name=f"{name}_classifier",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001, seed=1000 * seed + 7),
    )  # fmt: skip
    classifier.build((None, width))
    return neck, classifier
