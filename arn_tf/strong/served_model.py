"""What a served `StrongModel` computes: row (b) of its tables, by each picture's own camera.

TensorFlow Serving knows no optional input, so two more signatures take the cameras; those that
every export has use the statistics of the whole target. Cameras become rows of the table by
comparison, in the graph: a lookup table of TensorFlow's would need initialising.
"""

import hashlib
import json

import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.data.images import decode
from arn_tf.served import graph
from arn_tf.strong.model import SOURCE_ROW, TARGET_ROW, UNKNOWN_CAMERA, StrongModel

# Raise it when decoding, resizing or what lies between weights and embedding changes its result.
_SPACE_VERSION = 1


class StrongServedModel:
    """A `StrongModel` as the functions that the export saves.

    Args:
        model: the `StrongModel`.
        precision: "float32" or "bfloat16" for the arithmetic of E_I, or None for the model's own.

    Attributes:
        embedding_space: 16 hexadecimal digits, equal if and only if embeddings may be compared. A
            camera that is added or refreshed leaves it, so that galleries stay good.
        input_size: (height, width) in pixels.
        precision: of the arithmetic.
        exact: whether that is the arithmetic of the model itself, in float32.
    """

    def __init__(self, model, precision=None):
        own = model.get_config()["precision"]
        self.precision = precision or own
        self.exact = self.precision == own == "float32"
        self._original = model
        self._model = model if self.precision == own else _at(model, self.precision)
        self.input_size = model.input_size
        self.embedding_space = _fingerprint(model, self.precision)

    def signatures(self):
        """{signature: (function of tensors, list of their `tf.TensorSpec`)}."""
        encoded, images = graph.picture_specs(self.input_size)
        camera_id = tf.TensorSpec([None], tf.int64, name="camera_id")
        return {
            "serving_default": (self.embed_encoded, [encoded]),
            "images": (self.embed_images, [images]),
            "by_camera": (self.embed_encoded_by_camera, [encoded, camera_id]),
            "images_by_camera": (self.embed_images_by_camera, [images, camera_id]),
        }

    def facts(self):
        """What a sidecar says beside: the cameras with statistics of their own."""
        return {"cameras": [int(camera) for camera in self._model.cameras]}

    def examples(self, pictures):
        """What the signatures must give for some pictures, by the Keras model.

        The cameras are an unknown one and then those of the model, in turn.

        Args:
            pictures: encoded pictures, bytes objects [N].

        Returns:
            {signature: ({input: array}, {output: array})}.
        """
        model = self._original
        images = np.stack([decode(picture, self.input_size).numpy() for picture in pictures])
        camera_id = np.resize([UNKNOWN_CAMERA, *model.cameras], len(images)).astype(np.int64)

        def expected(camera_id):
            return {"embedding": model.compiled_call(images, model.rows_of(camera_id)).numpy()}

        plain = expected(np.full(len(images), UNKNOWN_CAMERA))
        by_camera = expected(camera_id) | {"camera_known": np.isin(camera_id, model.cameras)}
        encoded = np.array(pictures, object)
        return {
            "serving_default": ({"image_bytes": encoded}, plain),
            "images": ({"images": images}, plain),
            "by_camera": ({"image_bytes": encoded, "camera_id": camera_id}, by_camera),
            "images_by_camera": ({"images": images, "camera_id": camera_id}, by_camera),
        }

    def embed_encoded(self, image_bytes):
        """JPEG or PNG pictures of any size, string [N] -> as `embed_images`.

        Raises:
            InvalidArgumentError: N is 0, or a picture is too large or can't be decoded.
        """
        return self.embed_images(graph.decoded(image_bytes, self.input_size))

    def embed_images(self, images):
        """Embeds pictures of the model's size by the statistics of the whole target.

        Args:
            images: uint8 [N, height, width, 3].

        Returns:
            {"embedding": float32 [N, D] of unit length, "embedding_space": string [N]}.

        Raises:
            InvalidArgumentError: N is 0, or another rank or size.
        """
        images = graph.sized(images, self.input_size)
        return self._embedded(images, tf.fill([tf.shape(images)[0]], TARGET_ROW))

    def embed_encoded_by_camera(self, image_bytes, camera_id):
        """As `embed_images_by_camera`, of JPEG or PNG pictures of any size, string [N]."""
        pictures, camera_id = _paired(tf.ensure_shape(image_bytes, [None]), camera_id)
        images = graph.decoded(pictures, self.input_size)
        return self.embed_images_by_camera(images, camera_id)

    def embed_images_by_camera(self, images, camera_id):
        """Embeds pictures by the statistics of their cameras.

        Args:
            images: uint8 [N, height, width, 3].
            camera_id: int64 [N], -1 where it is unknown.

        Returns:
            as `embed_images`, and "camera_known", bool [N]: whether the camera has statistics of
            its own. Where it hasn't, the picture was embedded by those of the whole target.

        Raises:
            InvalidArgumentError: as `embed_images`; or `camera_id` has another rank or length.
        """
        images, camera_id = _paired(tf.ensure_shape(images, [None, *self.input_size, 3]), camera_id)
        images = graph.sized(images, self.input_size)
        known, rows = self._rows(camera_id)
        return self._embedded(images, rows) | {"camera_known": known}

    def _embedded(self, images, rows):
        # One function for all signatures: the network is stored once.
        embedding = self._model.compiled_call(images, rows)
        space = graph.repeated(self.embedding_space, images)
        return {"embedding": embedding, "embedding_space": space}

    def _rows(self, camera_id):
        """Whether cameras are known, bool [N], and their rows, int32 [N], as `rows_of` has them."""
        cameras = np.array(self._model.cameras, np.int64)
        same = tf.equal(camera_id[:, None], cameras)
        beyond = tf.where(same, self._model.rows_of(cameras) - TARGET_ROW, 0)
        return tf.reduce_any(same, axis=1), TARGET_ROW + tf.reduce_sum(beyond, axis=1)


def _paired(pictures, camera_id):
    """Both, if there is a camera for each picture; before anything is computed of either."""
    camera_id = tf.ensure_shape(camera_id, [None])
    numbers, count = tf.shape(camera_id)[0], tf.shape(pictures)[0]
    check = tf.debugging.Assert(
        tf.equal(numbers, count),
        ["give camera_id one number for each picture, -1 where it is unknown; there are", numbers,
         "numbers, and pictures:", count],
    )  # fmt: skip
    with tf.control_dependencies([check]):
        return tf.identity(pictures), tf.identity(camera_id)


def _at(model, precision):
    """The same model with the arithmetic of its E_I in another precision."""
    other = StrongModel.from_config(model.get_config() | {"precision": precision})
    other.set_weights(model.get_weights())
    # Some layers compute with copies of their statistics.
    keras_applications.copy_weights(model.encoder_i, other.encoder_i)
    return other


def _fingerprint(model, precision):
    config = model.get_config()
    facts = {
        "version": _SPACE_VERSION,
        "preset": "strong",
        "precision": precision,
        **{key: config[key] for key in ("backbone", "input_size", "last_stride")},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    rows = [variable.numpy()[[SOURCE_ROW, TARGET_ROW]] for variable in model.table.values()]
    for weight in [*model.encoder_i.get_weights(), *rows]:
        digest.update(str(weight.shape).encode() + weight.tobytes())
    return digest.hexdigest()[:16]
