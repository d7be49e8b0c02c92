"""TensorBoard's logs of a run: writers, means, stages, and the projector's embeddings."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
from tensorboard.plugins import projector
from tensorboard.plugins.projector import metadata

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.run.folder import RunDir

# Points of a curve in an epoch.
POINTS_PER_EPOCH = 10
# The projector draws squares.
_SPRITE_SIDE = 64
_PROJECTOR_POINTS = 1000


def flush(writer: tf.summary.SummaryWriter) -> None:
    """Writes out what a `tf.summary` writer holds.

    Raises:
        UserError: the disk is full.
    """
    try:
        writer.flush()
    except tf.errors.OpError as error:
        raise UserError(
            f"can't write TensorBoard's logs: {error.message}. Make room and give the same "
            "command again"
        ) from error


class MeansLog(keras.callbacks.Callback):
    """Writes every logged mean and the learning rate, ten times an epoch.

    Args:
        writer: `tf.summary` writer of the stage.
        steps_per_epoch: steps.
    """

    def __init__(self, writer: tf.summary.SummaryWriter, steps_per_epoch: int) -> None:
        super().__init__()
        self._writer = writer
        self._every = max(steps_per_epoch // POINTS_PER_EPOCH, 1)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        step = int(self.model.optimizer.iterations.numpy())
        if step % self._every == 0:
            with self._writer.as_default(step=step):
                for name, value in (logs or {}).items():
                    tf.summary.scalar("loss/total" if name == "loss" else f"loss/{name}", value)
                tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        flush(self._writer)


@contextlib.contextmanager
def log_writer(run: RunDir, name: str) -> Iterator[tf.summary.SummaryWriter]:
    """Yields a `tf.summary` writer of a stage, written out and closed at the end."""
    # As bytes: a folder's name need not be UTF-8.
    writer = tf.summary.create_file_writer(os.fsencode(os.path.join(run.logs, name)))
    try:
        yield writer
        flush(writer)
    finally:
        writer.close()


def write_stage(run: RunDir, name: str, step: int, values: Mapping[str, float], text: str) -> None:
    """Adds a stage's numbers and a text to TensorBoard.

    Args:
        run: folder of the run.
        name: of the curves' folder.
        step: number of the stage.
        values: {name: number}.
        text: Markdown.
    """
    with log_writer(run, name) as writer, writer.as_default(step=step):
        for key, value in values.items():
            tf.summary.scalar(key, value)
        tf.summary.text("stage", text)


def write_projector(log_dir: str, split: Split, embeddings: np.ndarray) -> None:
    """Writes TensorBoard's projector data: embeddings with thumbnails, person and camera.

    Args:
        log_dir: folder of the branch's events.
        split: `Split` of the pictures.
        embeddings: float32 [N, D].
    """
    count = min(len(split), _PROJECTOR_POINTS)
    rows = np.linspace(0, len(split) - 1, count).astype(int)
    path = os.path.join(log_dir, "metadata.tsv")
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("person_id\tcamera_id\tfile_name\n")
        for row in rows:
            file.write(f"{split.person_id[row]}\t{split.camera_id[row]}\t{split.file_name[row]}\n")
    side = int(np.ceil(np.sqrt(count)))
    sprite = Image.new("RGB", (side * _SPRITE_SIDE, side * _SPRITE_SIDE), "white")
    for place, row in enumerate(rows):
        thumbnail = Image.open(io.BytesIO(split.images[row])).convert("RGB")
        thumbnail = ImageOps.contain(thumbnail, (_SPRITE_SIDE, _SPRITE_SIDE))
        left = place % side * _SPRITE_SIDE + (_SPRITE_SIDE - thumbnail.width) // 2
        sprite.paste(thumbnail, (left, place // side * _SPRITE_SIDE))
    sprite.save(os.path.join(log_dir, "sprite.png"))
    np.savetxt(os.path.join(log_dir, "embeddings.tsv"), embeddings[rows], "%.6g", "\t")
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = "query embeddings"
    entry.tensor_path = "embeddings.tsv"
    entry.metadata_path = "metadata.tsv"
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([_SPRITE_SIDE, _SPRITE_SIDE])
    # Not by `projector.visualize_embeddings`, which takes paths as UTF-8.
    with open(os.path.join(log_dir, metadata.PROJECTOR_FILENAME), "w", encoding="utf-8") as file:
        file.write(str(config))
