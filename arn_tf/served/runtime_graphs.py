"""The graphs of exports for other runtimes: pictures of the model's size in, embeddings out.

They are `ServedModel.embed` with all of its preprocessing, and without what only TensorFlow has:
no JPEG, no strings, no assertions. A camera is given as its row of the table and not by its number:
OpenVINO on a processor computes int64 as int32, where the numbers of all cameras that have names
are one and the same.
"""

import os
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from arn_tf.layers.normalization import TARGET
from arn_tf.served.graph import ServedModel, decoded

IMAGES, CAMERA_ROW, EMBEDDING = "images", "camera_row", "embedding"
# Names of graphs: signatures of the SavedModel that take the same pictures.
PLAIN, BY_CAMERA = "images", "images_by_camera"
# A graph of NumPy arrays: uint8 [N, height, width, 3] and int32 [N] or None -> float32 [N, D].
Embed = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


def graphs(served: ServedModel) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Returns {`PLAIN` or `BY_CAMERA`: what computes {"embedding": float32 [N, D]}}.

    `PLAIN` takes `images`, uint8 [N, height, width, 3]. `BY_CAMERA`, which only a model with a
    table has, takes `camera_row`, int32 [N], too: see `camera_rows`.
    """
    images = tf.TensorSpec([None, *served.input_size, 3], tf.uint8, name=IMAGES)

    def plain(images: tf.Tensor) -> dict[str, tf.Tensor]:
        # One row for all pictures, and a constant: converters fold it into the convolutions.
        rows = None if served.table is None else tf.constant([TARGET], tf.int32)
        return {EMBEDDING: served.embed(images, rows)}

    found = {PLAIN: tf.function(plain, input_signature=[images])}
    if served.table is not None:
        count = TARGET + 1 + len(served.table.cameras)

        def by_camera(images: tf.Tensor, camera_row: tf.Tensor) -> dict[str, tf.Tensor]:
            # What a gather does outside of a table differs between runtimes. Chosen in float32,
            # which holds any row: between integers OpenVINO takes small ones for denormal numbers,
            # which are 0 to it, on processors without AVX-512.
            row = tf.cast(camera_row, tf.float32)
            known = tf.logical_and(row > TARGET, row < count)
            row = tf.cast(tf.where(known, row, float(TARGET)), tf.int32)
            return {EMBEDDING: served.embed(images, row)}

        row = tf.TensorSpec([None], tf.int32, name=CAMERA_ROW)
        found[BY_CAMERA] = tf.function(by_camera, input_signature=[images, row])
    return {name: function.get_concrete_function() for name, function in found.items()}


def camera_rows(served: ServedModel) -> dict[str, int]:
    """Returns {camera's name: its `camera_row`}; any other number is the whole target."""
    if served.table is None:
        return {}
    _, rows = served.table.known_and_rows(tf.constant(served.table.cameras, tf.int64))
    return {
        served.camera_names.get(camera, str(camera)): int(row)
        for camera, row in zip(served.table.cameras, rows.numpy(), strict=True)
    }


def inputs(images: np.ndarray, camera_row: np.ndarray | None) -> dict[str, np.ndarray]:
    """Returns {input: array} of an `Embed`'s arguments."""
    rows = {} if camera_row is None else {CAMERA_ROW: camera_row}
    return {IMAGES: images, **rows}


def written(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """Returns {graph: path} of the graphs that are in a version's folder.

    Args:
        folder: of the version.
        files: {graph: its file there}.
    """
    paths = {name: os.path.join(folder, file) for name, file in files.items()}
    return {name: path for name, path in paths.items() if os.path.exists(path)}


def save_decoder(served: ServedModel, folder: str) -> None:
    """Writes a SavedModel without weights: `image_bytes`, string [N] -> `images`, guarded.

    Where the development server runs another runtime's graph it decodes with this, so that a
    picture is the same to every export, and refused in the same words.
    """
    module = tf.Module()
    encoded = tf.TensorSpec([None], tf.string, name="image_bytes")
    module.decode = tf.function(
        lambda image_bytes: {IMAGES: decoded(image_bytes, served.input_size)},
        input_signature=[encoded],
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": module.decode})
