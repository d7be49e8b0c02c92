"""Callbacks of a run of ARN: warnings of collapse, curves, scores of the target."""

import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.paper import embedding
from arn_tf.paper.constants import TERMS
from arn_tf.paper.optimizers import group_learning_rates
from arn_tf.ranking import scores
from arn_tf.run.tensorboard import POINTS_PER_EPOCH, flush

# Healthy runs stayed within 1 to 2 times the first norm; collapses were at 85, 0.25 and 0.13.
_NORM_RANGE = (0.3, 10.0)
# At the paper's learning rates L_class leaves chance within fewer.
_STEPS_TO_LEARN = 500


class CollapseWarning(keras.callbacks.Callback):
    """Warns when the codes shrink, grow, or carry no identity; in the log and in TensorBoard.

    Args:
        num_identities: of the source.
        writer: `tf.summary` writer of the branch.
    """

    def __init__(self, num_identities: int, writer: tf.summary.SummaryWriter) -> None:
        super().__init__()
        self._chance = math.log(num_identities)
        self._writer = writer

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        ratio = logs["code_norm"] / max(float(self.model.initial_code_norm.numpy()), 1e-12)
        if not _NORM_RANGE[0] <= ratio <= _NORM_RANGE[1]:
            self._warn(
                epoch,
                f"the codes' norm is {ratio:.3g} times what it was at first: they are collapsing "
                "or exploding. Lower learning_rate_scale or the weight of a term",
            )
        steps = int(self.model.optimizer.iterations.numpy())
        if steps >= _STEPS_TO_LEARN and logs.get("class", 0.0) > 0.98 * self._chance:
            self._warn(
                epoch,
                f"after {steps} steps L_class is {logs['class']:.3f}, where chance is "
                f"log(identities) = {self._chance:.3f}: the codes carry no identity. Train longer, "
                "or change learning_rate_scale",
            )

    def _warn(self, epoch: int, text: str) -> None:
        text = f"epoch {epoch + 1}: {text}"
        logging.warning(text)
        with self._writer.as_default(step=epoch):
            tf.summary.text("warnings", text)


class ScalarLog(keras.callbacks.Callback):
    """Writes losses, learning rates and gradient norms: means since the epoch began.

    Args:
        writer: `tf.summary` writer of the branch.
        steps_per_epoch: steps.
    """

    def __init__(self, writer: tf.summary.SummaryWriter, steps_per_epoch: int) -> None:
        super().__init__()
        self._writer = writer
        self._every = max(steps_per_epoch // POINTS_PER_EPOCH, 1)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        step = int(self.model.optimizer.iterations.numpy())
        if step % self._every == 0:
            self._write(step, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._write(int(self.model.optimizer.iterations.numpy()), logs)
        flush(self._writer)

    def _write(self, step: int, logs: Mapping[str, float]) -> None:
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
    """Scores the target after every few epochs, for TensorBoard: nothing in training reads it.

    Args:
        writer: `tf.summary` writer of the branch.
        data: {split: (Split, its cached maps or None)} of the target: train, query, gallery.
        every: epochs between two scores.
        last_epoch: the last epoch of the branch, scored in any case.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        data: Mapping[str, tuple[Split, np.ndarray | None]],
        every: int,
        last_epoch: int,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._data = data
        self._every = every
        self._last_epoch = last_epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if (epoch + 1) % self._every and epoch + 1 != self._last_epoch:
            return
        # Scoring must not leave a trace in the model.
        statistics = self.model.encoder_c.non_trainable_variables
        before = [variable.numpy() for variable in statistics]
        try:
            self._score(epoch)
        except UserError as error:
            logging.warning("the target can't be monitored: %s", error)
            self._every = self._last_epoch + 1
        for variable, value in zip(statistics, before, strict=True):
            variable.assign(value)

    def _score(self, epoch: int) -> None:
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
