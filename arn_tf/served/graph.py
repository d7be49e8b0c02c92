"""The graph of an export: guarded pictures in, embeddings and their space out.

TensorFlow Serving runs the graph as it is and checks nothing of a request but its dtypes: a picture
of another size would be embedded in silence and one of another rank can abort the process. So every
guard is an op of the graph, and comes before the first op that it protects.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from arn_tf.backbones import keras_applications
from arn_tf.data.images import decode
from arn_tf.layers.normalization import TARGET, UNKNOWN_CAMERA

# A decoded picture this large takes 50 MB; a crop of a person is a hundredth of it.
MAX_IMAGE_PIXELS = 1 << 24
JPEG_MAGIC = b"\xff\xd8\xff"
# With the header of the chunk that must come first: libpng would pass over another before it, and
# the guard would read that one's bytes as width and height.
PNG_MAGIC = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# Raise it when decoding, resizing or what lies between weights and embedding changes its result.
_SPACE_VERSION = 1


class Cameras(Protocol):
    """Rows of statistics, one for each camera that has its own."""

    cameras: list[int]

    def known_and_rows(self, camera_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns whether each camera is known, bool [N], and its row, int32 [N]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model as the functions that the export saves.

    With `table` it has two more signatures, which take the pictures' cameras: TensorFlow Serving
    knows no optional input.

    Attributes:
        embed: uint8 [N, height, width, 3] and rows of the table, int32 [N], or None -> embeddings,
            float32 [N, D] of unit length; the computation that is saved.
        reference: NumPy pictures and cameras, int64 [N], or None -> embeddings by the Keras model.
        table: of the cameras; None for a model that takes none.
        camera_names: {camera_id: name} of those in the table.
        embedding_space: 16 hexadecimal digits, equal if and only if embeddings may be compared.
        embedding_dim: D.
        input_size: (height, width) in pixels.
        backbone: name of E_I.
        precision: of the arithmetic of E_I.
        exact: whether that is the arithmetic of the Keras model itself, in float32.
    """

    embed: Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]
    reference: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    table: Cameras | None = None
    camera_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    embedding_space: str
    embedding_dim: int
    input_size: tuple[int, int]
    backbone: str
    precision: str
    exact: bool

    def signatures(self) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
        """Returns {signature: (function of tensors, their specifications)}."""
        encoded = tf.TensorSpec([None], tf.string, name="image_bytes")
        images = tf.TensorSpec([None, *self.input_size, 3], tf.uint8, name="images")
        found = {
            "serving_default": (self.embed_encoded, [encoded]),
            "images": (self.embed_images, [images]),
        }
        if self.table is not None:
            camera_id = tf.TensorSpec([None], tf.int64, name="camera_id")
            found["by_camera"] = (self.embed_encoded_by_camera, [encoded, camera_id])
            found["images_by_camera"] = (self.embed_images_by_camera, [images, camera_id])
        return found

    def facts(self) -> dict[str, object]:
        """Returns the sidecar's entries of the model."""
        facts = {
            "embedding_space": self.embedding_space,
            "embedding_dim": self.embedding_dim,
            "input_size": list(self.input_size),
            "backbone": self.backbone,
            "precision": self.precision,
        }
        if self.table is not None:
            facts["cameras"] = [int(camera) for camera in self.table.cameras]
            facts["camera_names"] = {name: camera for camera, name in self.camera_names.items()}
        return facts

    def examples(
        self, pictures: Sequence[bytes]
    ) -> dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
        """Returns what the signatures must give for some pictures, by the Keras model.

        The cameras are an unknown one and then those of the model, in turn.

        Args:
            pictures: encoded pictures [N].

        Returns:
            {signature: ({input: array}, {output: array})}.
        """
        images = np.stack([decode(picture, self.input_size).numpy() for picture in pictures])
        inputs = {"image_bytes": np.array(pictures, object), "images": images}
        names = {"serving_default": "image_bytes", "images": "images"}
        if self.table is None:
            expected = {"embedding": self.reference(images, None)}
            return {
                signature: ({name: inputs[name]}, expected) for signature, name in names.items()
            }
        cameras = self.table.cameras
        camera_id = np.resize([UNKNOWN_CAMERA, *cameras], len(images)).astype(np.int64)
        plain = {"embedding": self.reference(images, np.full(len(images), UNKNOWN_CAMERA))}
        by_camera = {
            "embedding": self.reference(images, camera_id),
            "camera_known": np.isin(camera_id, cameras),
        }
        return {signature: ({name: inputs[name]}, plain) for signature, name in names.items()} | {
            signature: ({name: inputs[name], "camera_id": camera_id}, by_camera)
            for signature, name in (("by_camera", "image_bytes"), ("images_by_camera", "images"))
        }

    def embed_encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `embed_images` of JPEG or PNG pictures of any size, string [N].

        Raises:
            InvalidArgumentError: N is 0, or a picture is too large or can't be decoded.
        """
        return self.embed_images(decoded(image_bytes, self.input_size))

    def embed_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embeds pictures that already have the model's size.

        With a table: by the statistics of the whole target.

        Args:
            images: uint8 [N, height, width, 3].

        Returns:
            {"embedding": float32 [N, D] of unit length, "embedding_space": string [N]}: every
            answer names its space, so that no client mixes two.

        Raises:
            InvalidArgumentError: N is 0, or another rank or size.
        """
        images = sized(images, self.input_size)
        rows = None if self.table is None else tf.fill([tf.shape(images)[0]], TARGET)
        return self._embedded(images, rows)

    def embed_encoded_by_camera(
        self, image_bytes: tf.Tensor, camera_id: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns `embed_images_by_camera` of JPEG or PNG pictures of any size, string [N]."""
        pictures, camera_id = _paired(tf.ensure_shape(image_bytes, [None]), camera_id)
        return self.embed_images_by_camera(decoded(pictures, self.input_size), camera_id)

    def embed_images_by_camera(
        self, images: tf.Tensor, camera_id: tf.Tensor
    ) -> dict[str, tf.Tensor]:
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
        images = sized(images, self.input_size)
        known, rows = self.table.known_and_rows(camera_id)
        return self._embedded(images, rows) | {"camera_known": known}

    def _embedded(self, images: tf.Tensor, rows: tf.Tensor | None) -> dict[str, tf.Tensor]:
        space = tf.fill([tf.shape(images)[0]], self.embedding_space)
        return {"embedding": self.embed(images, rows), "embedding_space": space}


def embedding_space(
    facts: Mapping[str, object], weights: Iterable[np.ndarray], scale: bytes = b""
) -> str:
    """Returns the fingerprint of all that decides an embedding, 16 hexadecimal digits.

    Args:
        facts: beside the weights, as JSON can hold it.
        weights: of the networks that embed.
        scale: bytes of a number that they are scaled by.
    """
    facts = {"version": _SPACE_VERSION, **facts}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for weight in weights:
        digest.update(str(weight.shape).encode() + weight.tobytes())
    digest.update(scale)
    return digest.hexdigest()[:16]


def at_precision(network: keras.Model, precision: str) -> keras.Model:
    """Returns a float32 network, or one with its weights and arithmetic in bfloat16."""
    if precision == "float32":
        return network
    clone = keras.models.clone_model(
        network,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | {"dtype": "mixed_bfloat16"}
        ),
    )
    keras_applications.copy_weights(network, clone)
    return clone


def decoded(image_bytes: tf.Tensor, input_size: tuple[int, int]) -> tf.Tensor:
    """Returns JPEG or PNG pictures, string [N], as uint8 [N, height, width, 3], guarded."""
    return tf.map_fn(
        lambda encoded: decode(_guarded(encoded), input_size),
        _some(tf.ensure_shape(image_bytes, [None])),
        fn_output_signature=tf.TensorSpec([*input_size, 3], tf.uint8),
    )


def sized(images: tf.Tensor, input_size: tuple[int, int]) -> tf.Tensor:
    """Returns the same pictures, if they are [N, height, width, 3] and N isn't 0."""
    return _some(tf.ensure_shape(images, [None, *input_size, 3]))


def _paired(pictures: tf.Tensor, camera_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both, if there is a camera for each picture; before anything is computed of them."""
    camera_id = tf.ensure_shape(camera_id, [None])
    numbers, count = tf.shape(camera_id)[0], tf.shape(pictures)[0]
    check = tf.debugging.Assert(
        tf.equal(numbers, count),
        [
            "give camera_id one number for each picture, -1 where it is unknown; there are",
            numbers,
            "numbers, and pictures:",
            count,
        ],
    )
    with tf.control_dependencies([check]):
        return tf.identity(pictures), tf.identity(camera_id)


def _some(batch: tf.Tensor) -> tf.Tensor:
    """Returns the batch, if it isn't empty.

    The control dependency matters: kernels of an empty batch fail with messages of their own.
    """
    check = tf.debugging.Assert(
        tf.shape(batch)[0] > 0, ["the batch is empty: send one picture or more"]
    )
    with tf.control_dependencies([check]):
        return tf.identity(batch)


def _guarded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns one encoded picture, if it is a JPEG or PNG of at most `MAX_IMAGE_PIXELS`."""
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
