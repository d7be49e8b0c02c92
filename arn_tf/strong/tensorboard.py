"""What a strong run shows in TensorBoard, and the guard of its joint training."""

import contextlib
import os

import keras
import tensorflow as tf

from arn_tf.errors import UserError
from arn_tf.run import tensorboard

# A healthy map kept its energy between pictures; a map flattened by L_rec kept a tenth.
_LEAST_ENERGY = 0.25


class StrongLog(keras.callbacks.Callback):
    """Writes every logged mean and the learning rate, ten times an epoch.

    Args:
        writer: `tf.summary` writer of the stage.
        steps_per_epoch: steps.
    """

    def __init__(self, writer, steps_per_epoch):
        super().__init__()
        self._writer = writer
        self._every = max(steps_per_epoch // 10, 1)

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        if step % self._every == 0:
            with self._writer.as_default(step=step):
                for name, value in logs.items():
                    tf.summary.scalar("loss/total" if name == "loss" else f"loss/{name}", value)
                tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch, logs=None):
        tensorboard.flush(self._writer)


class FlatMapGuard(keras.callbacks.Callback):
    """Stops joint training whose X no longer tells pictures apart, which no loss shows.

    Args:
        last_good: function of no arguments that names the newest checkpoint.
    """

    def __init__(self, last_good):
        super().__init__()
        self._last_good = last_good

    def on_epoch_end(self, epoch, logs=None):
        first = self.model.first_energy
        if not float(first.numpy()):
            first.assign(logs["map_energy"])
        share = logs["map_energy"] / max(float(first.numpy()), 1e-12)
        if share < _LEAST_ENERGY:
            raise UserError(
                f"epoch {epoch + 1}: the share of E_I's map that tells pictures apart is "
                f"{share:.2f} times what it was in the first epoch: ARN's losses are flattening "
                f"it. The last good state is {self._last_good()}. Train without --arn_losses"
            )


@contextlib.contextmanager
def log_writer(run, name):
    """A `tf.summary` writer of a stage, written out and closed at the end."""
    writer = tf.summary.create_file_writer(os.path.join(run.logs, name))
    try:
        yield writer
        tensorboard.flush(writer)
    finally:
        writer.close()


def write_stage(run, name, step, values, text):
    """Adds a stage's numbers and a text to TensorBoard.

    Args:
        run: `RunDir`.
        name: of the curves' folder.
        step: number of the stage.
        values: {name: number}.
        text: Markdown.
    """
    with log_writer(run, name) as writer, writer.as_default(step=step):
        for key, value in values.items():
            tf.summary.scalar(key, value)
        tf.summary.text("stage", text)
