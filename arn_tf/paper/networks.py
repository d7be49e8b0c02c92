"""The trainable sub-networks: E_C, E_S, E_T (one class), D_C and C_S.

The paper gives three-layer fully convolutional networks from X to 1 x 1 x 2048 and back, and no
kernel sizes (docs/what-the-paper-leaves-open.md). The layout here is chosen by its cost: the first
layer of an encoder and the last of the decoder, which touch all channels of X, are 1 x 1
convolutions and so plain matrix products; the middle layer is 3 x 3 (4 x 4 for an X of even size)
with stride 2 and the innermost spans what is left (7 x 7 -> 7 x 7 -> 3 x 3 -> 1 x 1).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, DomainBatchNormalization


def _middle_layer(
    sizes: Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Returns kernel, stride and size after it of the middle layer, each by axis.

    The kernel is 4 where the size is even, so that the stride reaches the last row and column; it
    spans the axis, without a stride, where that is no longer.
    """
    kernels = tuple(min(3 if size % 2 else 4, size) for size in sizes)
    strides = tuple(1 if k == size else 2 for k, size in zip(kernels, sizes, strict=True))
    axes = zip(sizes, kernels, strides, strict=True)
    return kernels, strides, tuple((size - k) // stride + 1 for size, k, stride in axes)


def _initializer(seed: int, layer: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=1000 * seed + layer)


@keras.saving.register_keras_serializable(package="arn_tf")
class ConvolutionalEncoder(keras.layers.Layer):
    """X, float [B, h, w, C] -> code, float [B, embedding_dim]: E_C, E_S or E_T.

    Convolution, batch normalisation and ReLU twice, then a convolution.

    Args:
        hidden_width: channels of the two inner layers.
        embedding_dim: width of the code.
        domains: 2 for E_C (source and target keep their own batch statistics), 1 for E_S and E_T.
        seed: of the initial weights.
    """

    def __init__(
        self,
        hidden_width: int,
        embedding_dim: int,
        domains: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_width = hidden_width
        self.embedding_dim = embedding_dim
        self.domains = domains
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        kernels, strides, inner = _middle_layer(input_shape[1:3])
        width = self.hidden_width
        self.convolutions = [
            keras.layers.Conv2D(
                filters,
                kernel,
                stride,
                use_bias=bias,
                kernel_initializer=_initializer(self.seed, i),
                name=f"convolution_{i}",
            )
            for i, (filters, kernel, stride, bias) in enumerate(
                (
                    (width, 1, 1, False),
                    (width, kernels, strides, False),
                    (self.embedding_dim, inner, 1, True),
                )
            )
        ]
        self.normalizations = [
            DomainBatchNormalization(self.domains, name=f"normalization_{i}") for i in range(2)
        ]
        shape = input_shape
        for i, convolution in enumerate(self.convolutions):
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            if i < len(self.normalizations):
                self.normalizations[i].build(shape)

    def call(self, maps: tf.Tensor, domain: int = SOURCE, training: bool = False) -> tf.Tensor:
        x = maps
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=False):
            x = tf.nn.relu(normalization(convolution(x), domain=domain, training=training))
        return tf.reshape(self.convolutions[-1](x), [-1, self.embedding_dim])

    def estimate_statistics(self, batches: Iterable[tf.Tensor], domain: int) -> None:
        """Sets one domain's batch statistics to those of whole batches of unlabelled pictures.

        Layer by layer and exact: the statistics of a layer are taken with those below it already
        set, over all positions of all pictures, so neither order nor batch size matters.

        Args:
            batches: float [B, h, w, C] each, scaled maps; iterated once per layer.
            domain: the domain whose statistics are replaced.
        """
        for depth, normalization in enumerate(self.normalizations):
            count, total, squares = 0, 0.0, 0.0
            for maps in batches:
                x = self._before_normalization(maps, domain, depth)
                axes = list(range(x.shape.rank - 1))
                # float64: the variance is a difference of large sums.
                x = tf.cast(x, tf.float64)
                count += tf.size(x) // x.shape[-1]
                total += tf.reduce_sum(x, axes)
                squares += tf.reduce_sum(tf.square(x), axes)
            mean = total / tf.cast(count, tf.float64)
            variance = squares / tf.cast(count, tf.float64) - tf.square(mean)
            normalization.set_statistics(
                domain, tf.cast(mean, tf.float32), tf.cast(variance, tf.float32)
            )

    def _before_normalization(self, maps: tf.Tensor, domain: int, depth: int) -> tf.Tensor:
        x = self.convolutions[0](maps)
        for i in range(depth):
            x = self.convolutions[i + 1](tf.nn.relu(self.normalizations[i](x, domain=domain)))
        return x

    def get_config(self) -> dict:
        return super().get_config() | {
            "hidden_width": self.hidden_width,
            "embedding_dim": self.embedding_dim,
            "domains": self.domains,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="arn_tf")
class PoolingEncoder(keras.layers.Layer):
    """X, float [B, h, w, C] -> its average over positions, float [B, C]; nothing to train."""

    def call(self, maps: tf.Tensor, domain: int = SOURCE, training: bool = False) -> tf.Tensor:
        return tf.reduce_mean(maps, axis=[1, 2])

    def estimate_statistics(self, batches: Iterable[tf.Tensor], domain: int) -> None:
        """Does nothing: there are no statistics."""


@keras.saving.register_keras_serializable(package="arn_tf")
class Decoder(keras.layers.Layer):
    """D_C: codes, float [B, width] -> X, float [B, h, w, C]; the encoder's layout backwards.

    Args:
        map_shape: (h, w, C) of X.
        hidden_width: channels of the two inner layers.
        seed: of the initial weights.
    """

    def __init__(
        self, map_shape: Sequence[int], hidden_width: int, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.map_shape = tuple(map_shape)
        self.hidden_width = hidden_width
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        height, width, channels = self.map_shape
        kernels, strides, self._inner = _middle_layer((height, width))
        hidden = self.hidden_width
        # A transposed convolution from 1 x 1 is a matrix product; as such it runs faster.
        self.expand = keras.layers.Dense(
            self._inner[0] * self._inner[1] * hidden,
            use_bias=False,
            kernel_initializer=_initializer(self.seed, 0),
            name="expand",
        )
        self.upsample = keras.layers.Conv2DTranspose(
            hidden,
            kernels,
            strides,
            use_bias=False,
            padding="valid",
            kernel_initializer=_initializer(self.seed, 1),
            name="upsample",
        )
        self.project = keras.layers.Conv2D(
            channels, 1, kernel_initializer=_initializer(self.seed, 2), name="project"
        )
        self.normalizations = [
            DomainBatchNormalization(name=f"normalization_{i}") for i in range(2)
        ]
        self.expand.build(input_shape)
        self.normalizations[0].build((None, *self._inner, hidden))
        self.upsample.build((None, *self._inner, hidden))
        self.normalizations[1].build((None, height, width, hidden))
        self.project.build((None, height, width, hidden))

    def call(self, codes: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.reshape(self.expand(codes), [-1, *self._inner, self.hidden_width])
        x = tf.nn.relu(self.normalizations[0](x, training=training))
        x = tf.nn.relu(self.normalizations[1](self.upsample(x), training=training))
        return self.project(x)

    def get_config(self) -> dict:
        return super().get_config() | {
            "map_shape": self.map_shape,
            "hidden_width": self.hidden_width,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="arn_tf")
class IdentityClassifier(keras.layers.Layer):
    """C_S: dropout and a dense layer, codes, float [B, D] -> logits, float [B, num_identities].

    The dropout mask follows from `seed` alone, so that a run that is resumed, or split over any
    number of replicas, draws the same masks.

    Args:
        num_identities: identities of the source data set.
        dropout: share of the code's entries set to zero in training.
        seed: of the initial weights.
    """

    def __init__(
        self, num_identities: int, dropout: float = 0.5, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_identities = num_identities
        self.dropout = dropout
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.dense = keras.layers.Dense(
            self.num_identities, kernel_initializer=_initializer(self.seed, 0), name="dense"
        )
        self.dense.build(input_shape)

    def call(self, codes: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the logits.

        Args:
            codes: float [B, D].
            dropout_seed: int [2] in training, None to keep every entry.
        """
        if dropout_seed is not None and self.dropout > 0:
            # By name: the default algorithm differs between kinds of device.
            codes = tf.nn.experimental.stateless_dropout(
                codes, self.dropout, dropout_seed, rng_alg="philox"
            )
        return self.dense(codes)

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_identities": self.num_identities,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def build_heads(
    map_shape: tuple[int, int, int],
    num_identities: int,
    shared_encoder: str,
    private_encoders: bool,
    embedding_dim: int,
    hidden_width: int,
    dropout: float,
    seed: int,
) -> tuple[
    ConvolutionalEncoder | PoolingEncoder,
    ConvolutionalEncoder | None,
    ConvolutionalEncoder | None,
    Decoder,
    IdentityClassifier,
]:
    """Builds E_C, E_S, E_T, D_C and C_S, with weights of their own for each seed.

    Args:
        map_shape: (h, w, C) of X.
        num_identities: identities of the source data set.
        shared_encoder: "convolutional" or "pooling".
        private_encoders: whether there are E_S and E_T.
        embedding_dim: width of e_c and e_p.
        hidden_width: inner channels of the encoders and the decoder.
        dropout: of the classifier.
        seed: of the initial weights.

    Returns:
        E_C, E_S, E_T, D_C, C_S; None in the places of E_S and E_T where there are none.
    """

    def encoder(name: str, place: int, domains: int = 1) -> ConvolutionalEncoder:
        return ConvolutionalEncoder(
            hidden_width, embedding_dim, domains, seed=5 * seed + place, name=name
        )

    pooling = shared_encoder == "pooling"
    shared_dim = map_shape[-1] if pooling else embedding_dim
    private = [encoder("encoder_s", 1), encoder("encoder_t", 2)] if private_encoders else []
    encoders = [PoolingEncoder(name="encoder_c") if pooling else encoder("encoder_c", 0, 2)]
    encoders += private
    for network in encoders:
        network.build((None, *map_shape))
    decoder = Decoder(map_shape, hidden_width, seed=5 * seed + 3, name="decoder_c")
    decoder.build((None, shared_dim + (embedding_dim if private else 0)))
    classifier = IdentityClassifier(num_identities, dropout, seed=5 * seed + 4, name="classifier_s")
    classifier.build((None, shared_dim))
    return *(encoders + [None] * (3 - len(encoders))), decoder, classifier
