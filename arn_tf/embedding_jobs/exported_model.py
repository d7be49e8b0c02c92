"""An exported model, loaded once: pictures in, embeddings out, the same digits as it serves."""

import json
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from arn_tf.data import local_folder
from arn_tf.embedding_jobs.batches import EmbeddedBatch, ReadBatch
from arn_tf.errors import ArgumentError, UserError
from arn_tf.served import graph
from arn_tf.served.publish import SIDECAR
from arn_tf.served.version_folders import published_versions
from datasets.files import pictures
from datasets.files.pictures import PictureError
from datasets.files.plain_path import plain_path
from datasets.files.printable import printable

_GRAPH = "saved_model.pb"


def version_folder(model: str) -> str:
    """Returns the folder of a version: the named one, or the newest SavedModel of an export.

    Raises:
        UserError: there is none.
    """
    local_folder.refuse_url("model", model)
    folder = os.path.abspath(os.path.expanduser(model))
    try:
        if os.path.exists(os.path.join(folder, _GRAPH)):
            return folder
        versions = [os.path.join(folder, str(each)) for each in published_versions(folder)]
        if not versions and os.path.exists(os.path.join(folder, SIDECAR)):
            versions = [folder]
    except OSError as error:
        problem = f"can't be read ({error.strerror}); name what arn_tf.export wrote"
        raise ArgumentError("model", model, problem) from error
    if not versions:
        raise ArgumentError(
            "model",
            model,
            "no version of a model there (a folder named 1, 2, ...); run arn_tf.export",
        )
    usable = [each for each in versions if os.path.exists(os.path.join(each, _GRAPH))]
    if not usable:
        raise ArgumentError(
            "model",
            model,
            f"{versions[-1]} {_other_form(versions[-1])}; embed needs a version that arn_tf.export "
            "wrote with format=saved_model",
            ["format"],
        )
    if usable[-1] != versions[-1]:
        print(printable(f"note: {versions[-1]} {_other_form(versions[-1])}; using {usable[-1]}"))
    return usable[-1]


def _other_form(version: str) -> str:
    """Returns what a version is that is no SavedModel."""
    try:
        with open(os.path.join(version, SIDECAR), encoding="utf-8") as file:
            form = str(json.load(file)["format"])
    except (OSError, ValueError, TypeError, KeyError):
        form = "saved_model"
    return "has no saved_model.pb" if form == "saved_model" else f"is an export for {form}"


class ExportedModel:
    """A version of an exported model.

    Args:
        folder: of the version.

    Attributes:
        embedding_space: 16 hexadecimal digits.
        embedding_dim: numbers of an embedding.
        takes_cameras: whether pictures are embedded by the statistics of their cameras.

    Raises:
        UserError: it can't be loaded, or isn't one of arn_tf's.
    """

    def __init__(self, folder: str) -> None:
        try:
            with plain_path(folder, UserError) as path:
                self._loaded = tf.saved_model.load(path)
            signatures = self._loaded.signatures
            self.takes_cameras = "images_by_camera" in signatures
            self._run = signatures["images_by_camera" if self.takes_cameras else "images"]
            images = self._run.structured_input_signature[1]["images"]
            self._size = tuple(images.shape[1:3])
            one = self._outputs(tf.zeros([1, *self._size, 3], tf.uint8), np.array([-1]))
            self.embedding_space = one["embedding_space"].numpy()[0].decode()
            self.embedding_dim = int(one["embedding"].shape[1])
        except UserError:
            raise
        except Exception as error:  # a folder of somebody else's making may fail in any way
            text = str(error).strip().split("\n")[0][:300] or type(error).__name__
            raise ArgumentError(
                "model", folder, f"can't be loaded ({text}); export it again with arn_tf.export"
            ) from error
        self._decode_all = tf.function(
            lambda encoded: graph.decoded(encoded, self._size),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )

    def decode(self, batch: ReadBatch) -> tuple[tf.Tensor, dict[int, str]]:
        """Decodes pictures as the export itself does.

        Returns:
            uint8 [N, height, width, 3], black where one failed; and {place: why} of these.
        """
        failed = dict(batch.failed)
        if not failed:
            try:
                return self._decode_all(tf.constant(batch.encoded)), failed
            except tf.errors.OpError:
                pass  # One bad picture fails the whole batch, and isn't named: find it.
        black = tf.zeros([1, *self._size, 3], tf.uint8)
        found = [black] * len(batch.encoded)
        for place, encoded in enumerate(batch.encoded):
            if place not in failed:
                try:
                    found[place] = self._decode_all(tf.constant([encoded]))
                except tf.errors.OpError:
                    failed[place] = _problem(encoded)
        return tf.concat(found, 0), failed

    def embed(self, batch: ReadBatch, images: tf.Tensor, failed: dict[int, str]) -> EmbeddedBatch:
        """Embeds what `decode` returned."""
        outputs = self._outputs(images, batch.camera_id)
        vectors = outputs["embedding"].numpy()
        return EmbeddedBatch(batch.first, vectors, batch.content_hash, failed)

    def unknown_cameras(self, camera_id: Sequence[int]) -> list[int]:
        """Returns those of some cameras that the model has no statistics of, if it takes any."""
        if not self.takes_cameras or not len(camera_id):
            return []
        numbers = np.array(camera_id, np.int64)
        images = tf.zeros([1, *self._size, 3], tf.uint8)
        known = [
            bool(self._outputs(images, numbers[place : place + 1])["camera_known"].numpy()[0])
            for place in range(len(numbers))
        ]
        return [number for number, is_known in zip(camera_id, known, strict=True) if not is_known]

    def _outputs(self, images: tf.Tensor, camera_id: np.ndarray) -> dict[str, tf.Tensor]:
        if not self.takes_cameras:
            return self._run(images=images)
        return self._run(images=images, camera_id=tf.constant(camera_id, tf.int64))


def _problem(encoded: bytes) -> str:
    try:
        pictures.size(encoded)
    except PictureError as error:
        return str(error)
    return "can't be decoded"
