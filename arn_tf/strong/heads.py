"""What a strong model's features are learnt by: a normalisation, and a classifier behind it.

Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-Identification" (CVPR workshops
2019), section 3.5.
"""

import keras

from arn_tf.layers.normalization import DomainBatchNormalization


def identity_head(
    width: int, identities: int, seed: int
) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Returns the source's `neck` and classifier without bias, for float [B, width]."""
    classifier = keras.layers.Dense(
        identities,
        use_bias=False,
        dtype="float32",
        name="source_classifier",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001, seed=1000 * seed + 7),
    )
    classifier.build((None, width))
    return neck(width, "source"), classifier


def neck(width: int, name: str) -> keras.layers.Layer:
    """Returns a normalisation without shift for float [B, width]."""
    found = DomainBatchNormalization(center=False, dtype="float32", name=f"{name}_neck")
    found.build((None, width))
    return found
