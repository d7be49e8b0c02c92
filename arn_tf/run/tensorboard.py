"""What a run shows in TensorBoard: losses, rates, gradients, the target's scores and pictures."""

import io
import os

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image, ImageOps
from tensorboard.plugins import projector

from arn_tf.errors import UserError
from arn_tf.paper import embedding
from arn_tf.paper.model import TERMS
from arn_tf.paper.optimizers import group_learning_rates
from arn_tf.ranking import scores

# Points of loss curves in an epoch.
_POINTS_PER_EPOCH = 10
# The projector draws squares.
_SPRITE_SIDE = 64
_PROJECTOR_POINTS = 1000
_SHOWN = ("loss", *TERMS, "triplet")


def flush(writer):
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


class ProgressBar(keras.callbacks.Callback):
    """Keras's progress bar with the loss terms alone.

    Args:
        steps_per_epoch: steps.
        epochs: the branch's last epoch.
    """

    def __init__(self, steps_per_epoch, epochs):
        super().__init__()
        self._steps = steps_per_epoch
        self._epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        print(f"epoch {epoch + 1}/{self._epochs}", flush=True)
        # The logs are means already.
        self._bar = keras.utils.Progbar(self._steps, stateful_metrics=_SHOWN)

    def on_train_batch_end(self, batch, logs=None):
        shown = [(name, logs[name]) for name in _SHOWN if name in logs]
        self._bar.update(batch + 1, shown)


class ScalarLog(keras.callbacks.Callback):
    """Writes losses, learning rates and gradient norms: means since the epoch began.

    Args:
        writer: `tf.summary` writer of the branch.
        steps_per_epoch: steps.
    """

    def __init__(self, writer, steps_per_epoch):
        super().__init__()
        self._writer = writer
        self._every = max(steps_per_epoch // _POINTS_PER_EPOCH, 1)

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        if step % self._every == 0:
            self._write(step, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._write(int(self.model.optimizer.iterations.numpy()), logs)
        flush(self._writer)

    def _write(self, step, logs):
        with self._writer.as_default(step=step):
            tf.summary.scalar("loss/total", logs["loss"])
            tf.summary.scalar("codes/norm", logs["code_norm"])
            for term in TERMS:
                if term in logs:
                    weight = self.model.loss_weights[term]
                    tf.summary.scalar(f"loss_raw/{term}", logs[term])
                    tf.summary.scalar(f"loss_weighted/{term}", weight * logs[term])
            for name, value in logs.items():
                if name.startswith("gradient_norm_"):
                    tf.summary.scalar(name.replace("norm_", "norm/"), value)
            for group, rate in group_learning_rates(self.model.optimizer).items():
                # The others stand still.
                if f"gradient_norm_{group}" in logs:
                    tf.summary.scalar(f"learning_rate/{group}", rate)


class TargetMonitor(keras.callbacks.Callback):
    """Scores the target after every few epochs, for the eye alone: nothing in training reads it.

    Args:
        writer: `tf.summary` writer of the branch.
        data: {split: (Split, its cached maps or None)} of the target: train, query, gallery.
        every: epochs between two looks.
        last_epoch: the last epoch of the branch, looked at in any case.
    """

    def __init__(self, writer, data, every, last_epoch):
        super().__init__()
        self._writer = writer
        self._data = data
        self._every = every
        self._last_epoch = last_epoch

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every and epoch + 1 != self._last_epoch:
            return
        # Looking must not leave a trace in the model.
        statistics = self.model.encoder_c.non_trainable_variables
        before = [variable.numpy() for variable in statistics]
        try:
            self._look(epoch)
        except UserError as error:
            logging.warning("the target can't be monitored: %s", error)
            self._every = self._last_epoch + 1
        for variable, value in zip(statistics, before, strict=True):
            variable.assign(value)

    def _look(self, epoch):
        embedding.estimate_target_statistics(self.model, *self._data["train"])
        query, gallery = self._data["query"], self._data["gallery"]
        embeddings = [embedding.embed_split(self.model, *part) for part in (query, gallery)]
        result = scores.score(*embeddings, query[0], gallery[0])
        picture = scores.draw_ranked_lists(
            *embeddings, query[0], gallery[0], f"epoch {epoch + 1}: target, {len(query[0])} queries"
        )
        note = "monitoring only: the method never sees target labels"
        with self._writer.as_default(step=int(self.model.optimizer.iterations.numpy())):
            for name in ("rank-1", "rank-5", "rank-10", "rank-20", "mean_ap"):
                value = result.to_json()[name]
                tf.summary.scalar(f"monitoring_target/{name}", value, description=note)
            tf.summary.image(
                "monitoring_target/ranked_lists", np.asarray(picture)[None], description=note
            )
        flush(self._writer)
        print(
            f"target (monitoring only): rank-1 {100 * result.rank(1):.1f}, "
            f"mAP {100 * result.mean_ap:.1f}",
            flush=True,
        )


def write_projector(log_dir, split, embeddings):
    """Writes TensorBoard's projector data: embeddings with thumbnails, person and camera.

    Args:
        log_dir: folder of the branch's events.
        split: `input_pipeline.Split` of the pictures.
        embeddings: float32 [N, D].
    """
    count = min(len(split), _PROJECTOR_POINTS)
    rows = np.linspace(0, len(split) - 1, count).astype(int)
    with open(os.path.join(log_dir, "metadata.tsv"), "w") as file:
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
    projector.visualize_embeddings(log_dir, config)
