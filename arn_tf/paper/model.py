"""ARN as a Keras model: the sub-networks, the objective and one training step."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.layers import gradient_order, replicas
from arn_tf.layers.arithmetic import in_float32
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.paper import losses, networks, optimizers
from arn_tf.paper.constants import PAPER_LEARNING_RATES, PAPER_WEIGHTS, TERMS


@keras.saving.register_keras_serializable(package="arn_tf")
class ARN(keras.Model):
    """Adaptation and Re-Identification Network (Li et al., CVPR 2018 workshops).

    `fit` takes batches that are dicts: `source_images` or `source_maps`, `source_labels`, and,
    where L_rec or L_diff has a weight, `target_images` or `target_maps`. Images are uint8
    [B, height, width, 3] as `arn_tf.data.images.decode` makes them; maps are their X, float
    [B, h, w, C], from a feature cache; labels are rows of the classifier, integers [B].

    ```python
    model = arn_tf.ARN(num_identities=751)
    model.compile(optimizer=arn_tf.grouped_optimizer(model))
    model.fit(batches, epochs=2)
    embeddings = model.embed(images)
    ```

    Args:
        num_identities: identities of the source data set.
        backbone: E_I, any network of `keras.applications`.
        backbone_weights: "imagenet", "random" or the path of a weights file.
        input_size: (height, width) of a picture in pixels.
        shared_encoder: "convolutional", or "pooling" for the plain average of X.
        private_encoders: whether there are E_S and E_T; without them D_C takes e_c alone.
        embedding_dim: width of e_c and e_p; the pooling encoder's is that of X.
        hidden_width: inner channels of the encoders and the decoder.
        dropout: of the classifier.
        margin: m of L_ctrs.
        loss_weights: {term: weight} for the terms in `TERMS`; what is left out takes the paper's.
        loss_normalization: "normalized" or "literal", see `arn_tf.paper.losses`.
        seed: of the initial weights and the dropout masks.
    """

    @in_float32
    def __init__(
        self,
        num_identities: int,
        backbone: str = "ResNet50",
        backbone_weights: str = "imagenet",
        input_size: tuple[int, int] = (224, 224),
        shared_encoder: str = "convolutional",
        private_encoders: bool = True,
        embedding_dim: int = 2048,
        hidden_width: int = 256,
        dropout: float = 0.5,
        margin: float = 1.0,
        loss_weights: Mapping[str, float] | None = None,
        loss_normalization: str = "normalized",
        seed: int = 0,
        name: str = "arn",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if shared_encoder not in ("convolutional", "pooling"):
            raise ValueError(
                f"shared_encoder must be 'convolutional' or 'pooling', received: {shared_encoder!r}"
            )
        unknown = set(loss_weights or {}) - set(TERMS)
        if unknown:
            raise ValueError(f"loss_weights names no terms of ARN: {sorted(unknown)}")
        if not any((PAPER_WEIGHTS | (loss_weights or {})).values()):
            raise ValueError("all loss weights are 0: there is nothing to train")
        self._settings = {
            "num_identities": num_identities,
            "backbone": backbone,
            "input_size": list(input_size),
            "shared_encoder": shared_encoder,
            "private_encoders": private_encoders,
            "embedding_dim": embedding_dim,
            "hidden_width": hidden_width,
            "dropout": dropout,
            "margin": margin,
            "loss_weights": dict(loss_weights or {}),
            "loss_normalization": loss_normalization,
            "seed": seed,
        }
        self.input_size = tuple(input_size)
        self.seed = seed
        self.margin = margin
        self.loss_normalization = loss_normalization
        self.loss_weights = PAPER_WEIGHTS | (loss_weights or {})
        # Whether a training step moves E_I: the paper does so only in the first epochs.
        self.tune_encoder_i = False
        self._preprocess = keras_applications.application(backbone).preprocess_input
        self.encoder_i = keras_applications.build(backbone, self.input_size, backbone_weights)
        self.map_shape = tuple(self.encoder_i.output_shape[1:])
        heads = networks.build_heads(
            self.map_shape,
            num_identities,
            shared_encoder,
            private_encoders,
            embedding_dim,
            hidden_width,
            dropout,
            seed,
        )
        self.encoder_c, self.encoder_s, self.encoder_t, self.decoder_c, self.classifier_s = heads
        self.embedding_dim = self.map_shape[-1] if shared_encoder == "pooling" else embedding_dim
        self.feature_scale, self.initial_code_norm = (
            self.add_weight(name=key, shape=(), initializer="ones", trainable=False)
            for key in ("feature_scale", "initial_code_norm")
        )
        self._means = {
            key: keras.metrics.Mean(name=key) for key in ("loss", *TERMS, "code_norm")
        } | {f"gradient_norm_{group}": keras.metrics.Mean() for group in self.variable_groups()}
        self.built = True

    def variable_groups(self) -> dict[str, list[keras.Variable]]:
        """Returns {sub-network: its trainable variables}, each of the model exactly once."""
        return {
            name: network.trainable_variables
            for name in PAPER_LEARNING_RATES
            if (network := getattr(self, name)) is not None
        }

    # Embedding: E_I and E_C alone.

    def feature_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Returns X, float32 [B, h, w, C], of images, uint8 or float in 0..255.

        The BatchNorm layers of E_I always use their ImageNet statistics.
        """
        return self.encoder_i(self._preprocess(tf.cast(images, tf.float32)), training=False)

    @functools.cached_property
    def compiled_feature_maps(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """`feature_maps` of uint8 images, traced once for any batch size."""
        signature = tf.TensorSpec([None, *self.input_size, 3], tf.uint8)
        return tf.function(self.feature_maps, input_signature=[signature])

    @functools.cached_property
    def compiled_embed_maps(self) -> Callable[[tf.Tensor, int], tf.Tensor]:
        """`embed_maps` of float32 X, traced once for each domain and any batch size."""
        signature = tf.TensorSpec([None, *self.map_shape], tf.float32)
        functions = [
            tf.function(functools.partial(self.embed_maps, domain=domain), [signature])
            for domain in (SOURCE, TARGET)
        ]
        return lambda maps, domain: functions[domain](maps)

    def scaled(self, maps: tf.Tensor) -> tf.Tensor:
        """Returns X divided by the root mean square that `calibrate` measured."""
        return tf.cast(maps, tf.float32) / self.feature_scale

    def calibrate(self, maps: np.ndarray) -> None:
        """Measures X's scale, the source's batch statistics and the codes' norm, before training.

        The scale makes L_rec comparable between backbones; the norm tells collapse later on.

        Args:
            maps: X of some source pictures, float [N, h, w, C].

        Raises:
            ValueError: X is zero or not finite: the weights of E_I are unusable.
        """
        scale = float(np.sqrt(np.mean(np.square(maps, dtype="f8"))))
        if not 0.0 < scale < float("inf"):
            raise ValueError(f"the feature maps of E_I have a root mean square of {scale}")
        self.feature_scale.assign(scale)
        scaled = self.scaled(maps)
        self.encoder_c.estimate_statistics([scaled], SOURCE)
        codes = self.encoder_c(scaled, domain=SOURCE)
        self.initial_code_norm.assign(tf.reduce_mean(tf.norm(codes, axis=1)))

    def embed_maps(self, maps: tf.Tensor, domain: int = TARGET) -> tf.Tensor:
        """Returns embeddings, float32 [B, D], of unit length, of X, float [B, h, w, C]."""
        codes = self.encoder_c(self.scaled(maps), domain=domain, training=False)
        return tf.math.l2_normalize(codes, axis=1)

    def call(self, images: tf.Tensor, domain: int = TARGET, training: bool = False) -> tf.Tensor:
        """Returns embeddings, float32 [B, D], of unit length, of images [B, height, width, 3].

        `domain` chooses the batch statistics of E_C: `TARGET`, the cameras to search, or `SOURCE`.
        """
        return self.embed_maps(self.feature_maps(images), domain)

    def embed(self, images: np.ndarray, domain: int = TARGET, batch_size: int = 64) -> np.ndarray:
        """Returns `call` of any number of images, as a NumPy array, float32 [N, D]."""
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != (*self.input_size, 3):
            raise ValueError(
                f"images must be [N, {self.input_size[0]}, {self.input_size[1]}, 3], "
                f"received: {list(images.shape)}"
            )
        parts = [
            self(images[start : start + batch_size], domain=domain).numpy()
            for start in range(0, len(images), batch_size)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.embedding_dim), np.float32)

    # Training.

    def compute_losses(
        self, batch: Mapping[str, tf.Tensor], step: int | tf.Tensor = 0
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Computes the terms of the objective that have a weight: {term: scalar, before weighting}.

        L_class, L_ctrs and L_diff are functions of the whole batch: the codes of all replicas are
        gathered and every replica computes the same scalar. L_rec is the mean of its replica.

        Args:
            batch: one replica's share, as `fit` takes it.
            step: seeds the dropout mask.

        Returns:
            the terms, and the mean Euclidean norm of the source codes.
        """
        weights, kind = self.loss_weights, self.loss_normalization
        source = self._domain_maps(batch, "source")
        code_s = self.encoder_c(source, domain=SOURCE, training=True)
        codes = replicas.gather(code_s)
        of_class, of_pairs, of_difference = gradient_order.copies(codes, 3)
        labels = replicas.gather(batch["source_labels"])
        terms = {}
        if weights["class"]:
            seed = tf.stack([tf.cast(self.seed, tf.int32), tf.cast(step, tf.int32)])
            terms["class"] = losses.classification(self.classifier_s(of_class, seed), labels)
        if weights["contrastive"]:
            terms["contrastive"] = losses.contrastive(of_pairs, labels, self.margin, kind)
        if weights["reconstruction"] or weights["difference"]:
            target = self._domain_maps(batch, "target")
            code_t, apart_t = gradient_order.copies(
                self.encoder_c(target, domain=TARGET, training=True), 2
            )
            privates, apart = (), ()
            if self.encoder_s is not None:
                privates, apart = zip(
                    gradient_order.copies(self.encoder_s(source, training=True), 2),
                    gradient_order.copies(self.encoder_t(target, training=True), 2),
                    strict=True,
                )
            if weights["reconstruction"]:
                both = tf.concat([code_s, code_t], axis=0)
                if privates:
                    both = tf.concat([both, tf.concat(privates, axis=0)], axis=1)
                rebuilt = self.decoder_c(both, training=True)
                maps = tf.stop_gradient(tf.concat([source, target], axis=0))
                halves = zip(tf.split(maps, 2), tf.split(rebuilt, 2), strict=True)
                terms["reconstruction"] = sum(losses.reconstruction(*h, kind) for h in halves)
                if kind == "literal":
                    # A sum over the batch, where the step below averages over replicas.
                    terms["reconstruction"] *= replicas.count()
            if weights["difference"] and privates:
                terms["difference"] = losses.difference(
                    of_difference, replicas.gather(apart[0]), kind
                ) + losses.difference(replicas.gather(apart_t), replicas.gather(apart[1]), kind)
        return terms, tf.reduce_mean(tf.norm(codes, axis=1))

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step of the objective; returns the epoch's running means by name."""
        step = self.optimizer.iterations
        groups = self.variable_groups()
        if not self.tune_encoder_i:
            del groups["encoder_i"]
        with tf.GradientTape() as tape:
            terms, code_norm = self.compute_losses(batch, step)
            total = gradient_order.summed(
                [self.loss_weights[name] * value for name, value in terms.items()]
            )
            # The optimizer sums gradients over replicas.
            scaled = total / replicas.count()
        groups = {name: owned for name, owned in groups.items() if owned}
        gradients = tape.gradient(scaled, groups)
        # A group that no weighted term reaches has no gradient and stands still.
        gradients = {k: v for k, v in gradients.items() if any(g is not None for g in v)}
        for name, values in gradients.items():
            lost = [v.path for v, g in zip(groups[name], values, strict=True) if g is None]
            if lost:
                raise ValueError(f"no term of the objective reaches {lost} of {name}")
        if isinstance(self.optimizer, keras.optimizers.MultiOptimizer):
            optimizers.apply_groups(self.optimizer, gradients, groups)
        else:
            self.optimizer.apply(
                [g for values in gradients.values() for g in values],
                [v for name in gradients for v in groups[name]],
            )
        logs = {"loss": total, "code_norm": code_norm, **terms}
        for name, values in gradients.items():
            logs[f"gradient_norm_{name}"] = tf.linalg.global_norm(replicas.total(values))
        for name, value in logs.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in logs}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._means.values())

    def _domain_maps(self, batch: Mapping[str, tf.Tensor], domain: str) -> tf.Tensor:
        if f"{domain}_maps" in batch:
            return self.scaled(batch[f"{domain}_maps"])
        maps = self.scaled(self.feature_maps(batch[f"{domain}_images"]))
        return maps if self.tune_encoder_i else tf.stop_gradient(maps)

    def get_config(self) -> dict:
        return {"name": self.name, **self._settings}

    @classmethod
    def from_config(cls, config: dict) -> "ARN":
        # The file that holds this configuration holds the weights of E_I too.
        return cls(**config, backbone_weights="random")
