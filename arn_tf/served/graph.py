"""What a served `ARN` computes: guarded pictures in, embeddings and their space out.

TensorFlow Serving runs the graph as it is and checks nothing of a request but its dtypes: a picture
of another size would be embedded in silence and one of another rank can abort the process. So every
guard is an op of the graph, and comes before the first op that it protects. Those that every export
needs are functions here; `strong_signatures` has the models of the strong recipe.
"""

import hashlib
import json

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.data.images import decode

PRECISIONS = ("float32", "bfloat16")
# A decoded picture this large takes 50 MB; a crop of a person is a hundredth of it.
MAX_IMAGE_PIXELS = 1 << 24
JPEG_MAGIC = b"\xff\xd8\xff"
# With the header of the chunk that must come first: libpng would pass over another before it, and
# the guard would read that one's bytes as width and height.
PNG_MAGIC = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# Raise it when decoding, resizing or what lies between weights and embedding changes its result.
_SPACE_VERSION = 1


class ServedModel:
    """E_I and E_C of an `ARN`, as the functions that the export saves.

    Args:
        model: the `ARN`.
        precision: "float32", or "bfloat16" for the arithmetic of E_I (its weights stay float32).

    Attributes:
        embedding_space: 16 hexadecimal digits, equal if and only if embeddings may be compared.
        input_size: (height, width) in pixels.
        precision: of the arithmetic.
        exact: whether that is the arithmetic of the model itself, in float32.
    """

    def __init__(self, model, precision="float32"):
        self.precision = precision
        self.exact = precision == "float32"
        self._model = model
        self._encoder_i = model.encoder_i if precision == "float32" else _mixed(model.encoder_i)
        self.input_size = model.input_size
        self.embedding_space = _fingerprint(model, precision)

    def signatures(self):
        """{signature: (function of tensors, list of their `tf.TensorSpec`)}."""
        encoded, images = picture_specs(self.input_size)
        return {
            "serving_default": (self.embed_encoded, [encoded]),
            "images": (self.embed_images, [images]),
        }

    def facts(self):
        """{}: nothing more to say in a sidecar."""
        return {}

    def examples(self, pictures):
        """What the signatures must give for some pictures, by the Keras model.

        Args:
            pictures: encoded pictures, bytes objects [N].

        Returns:
            {signature: ({input: array}, {output: array})}.
        """
        images = np.stack([decode(picture, self.input_size).numpy() for picture in pictures])
        expected = {"embedding": self._model.embed(images)}
        return {
            "serving_default": ({"image_bytes": np.array(pictures, object)}, expected),
            "images": ({"images": images}, expected),
        }

    def embed_encoded(self, image_bytes):
        """JPEG or PNG pictures of any size, string [N] -> as `embed_images`.

        Raises:
            InvalidArgumentError: N is 0, or a picture is too large or can't be decoded.
        """
        return self.embed_images(decoded(image_bytes, self.input_size))

    def embed_images(self, images):
        """Embeds pictures that already have the model's size.

        Args:
            images: uint8 [N, height, width, 3].

        Returns:
            {"embedding": float32 [N, D] of unit length, "embedding_space": string [N]}: every
            answer says which space it belongs to, so that no client mixes two.

        Raises:
            InvalidArgumentError: N is 0, or another rank or size.
        """
        images = sized(images, self.input_size)
        model = self._model
        maps = self._encoder_i(model._preprocess(tf.cast(images, tf.float32)), training=False)
        embedding = model.embed_maps(tf.cast(maps, tf.float32))
        return {"embedding": embedding, "embedding_space": repeated(self.embedding_space, images)}


def picture_specs(input_size):
    """The `tf.TensorSpec` of encoded pictures, and that of pictures of the model's size."""
    return (
        tf.TensorSpec([None], tf.string, name="image_bytes"),
        tf.TensorSpec([None, *input_size, 3], tf.uint8, name="images"),
    )


def decoded(image_bytes, input_size):
    """JPEG or PNG pictures, string [N] -> uint8 [N, height, width, 3], guarded."""
    return tf.map_fn(
        lambda encoded: decode(_guarded(encoded), input_size),
        _some(tf.ensure_shape(image_bytes, [None])),
        fn_output_signature=tf.TensorSpec([*input_size, 3], tf.uint8),
    )


def sized(images, input_size):
    """The same pictures, if they are [N, height, width, 3] and N isn't 0."""
    return _some(tf.ensure_shape(images, [None, *input_size, 3]))


def repeated(embedding_space, images):
    """The fingerprint for each of N pictures, string [N]."""
    return tf.fill([tf.shape(images)[0]], embedding_space)


def _mixed(network):
    """The same network and weights with its arithmetic in bfloat16."""
    clone = keras.models.clone_model(
        network,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | {"dtype": "mixed_bfloat16"}
        ),
    )
    keras_applications.copy_weights(network, clone)
    return clone


def _fingerprint(model, precision):
    config = model.get_config()
    facts = {
        "version": _SPACE_VERSION,
        "precision": precision,
        **{key: config[key] for key in ("backbone", "input_size", "shared_encoder")},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for network in (model.encoder_i, model.encoder_c):
        for weight in network.get_weights():
            digest.update(str(weight.shape).encode() + weight.tobytes())
    digest.update(model.feature_scale.numpy().tobytes())
    return digest.hexdigest()[:16]


def _some(batch):
    """The batch, if there is anything in it.

    The control dependency matters: kernels of an empty batch fail with messages of their own.
    """
    check = tf.debugging.Assert(
        tf.shape(batch)[0] > 0, ["the batch is empty: send one picture or more"]
    )
    with tf.control_dependencies([check]):
        return tf.identity(batch)


def _guarded(encoded):
    """One encoded picture, if it is a JPEG or PNG of no more than `MAX_IMAGE_PIXELS`."""
    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_MAGIC)), JPEG_MAGIC)
    # Width and height are at byte 16.
    is_png = tf.logical_and(
        tf.equal(tf.strings.substr(encoded, 0, len(PNG_MAGIC)), PNG_MAGIC),
        tf.strings.length(encoded) >= 24,
    )
    known = tf.debugging.Assert(
        tf.logical_or(is_jpeg, is_png), ["a picture is neither JPEG nor PNG, or cut off"]
    )
    with tf.control_dependencies([known]):
        encoded = tf.identity(encoded)
    size = tf.cond(
        is_jpeg,
        lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False),
    )
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    small = tf.debugging.Assert(
        tf.logical_and(pixels > 0, pixels <= MAX_IMAGE_PIXELS),
        [f"a picture must have 1 to {MAX_IMAGE_PIXELS} pixels (crop the person); it has", pixels],
    )
    with tf.control_dependencies([small]):
        return tf.identity(encoded)
