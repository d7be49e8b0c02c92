"""What watches a training run: numbers that are not finite, and codes that collapse."""

import math

import keras
import numpy as np
from absl import logging

from arn_tf.errors import UserError
from arn_tf.paper.model import TERMS

# Healthy runs stayed within 1 to 2 times the first norm; collapses were at 85, 0.25 and 0.13.
_NORM_RANGE = (0.3, 10.0)
# At the paper's learning rates L_class leaves chance within fewer.
_STEPS_TO_LEARN = 500
_SYMBOLS = {
    "class": "L_class", "contrastive": "L_ctrs", "reconstruction": "L_rec", "difference": "L_diff"
}  # fmt: skip


class NonFiniteError(UserError):
    """A loss or a weight is no number any more.

    Attributes:
        what: which one, and when.
    """

    def __init__(self, what, advice):
        super().__init__(f"{what}. {advice}")
        self.what = what


class NonFiniteGuard(keras.callbacks.Callback):
    """Stops the run at the first step whose loss is not finite, before it can be saved.

    The last step of an epoch can spoil the weights without its loss showing it, so these are
    looked at too before they are saved.

    Args:
        last_good: function of no arguments that names the newest checkpoint.
    """

    def __init__(self, last_good):
        super().__init__()
        self._last_good = last_good

    def on_train_batch_end(self, batch, logs=None):
        if all(math.isfinite(value) for value in (logs or {}).values()):
            return
        broken = [name for name in (*TERMS, "loss") if not math.isfinite(logs.get(name, 0.0))]
        broken = broken or [name for name, value in logs.items() if not math.isfinite(value)]
        self._stop(", ".join(_SYMBOLS.get(name, name) for name in broken))

    def on_epoch_end(self, epoch, logs=None):
        for variable in self.model.variables:
            if not np.isfinite(variable.numpy()).all():
                self._stop(variable.path)

    def _stop(self, what):
        step = int(self.model.optimizer.iterations.numpy())
        print(flush=True)  # The progress bar left its line open.
        raise NonFiniteError(
            f"{what} is not finite at step {step}",
            f"The last good state is {self._last_good()}. In a new --model_dir, make the steps "
            "smaller with --learning_rate_scale (--preset=strong: --adam_learning_rate), or the "
            "weight of that term; --loss_normalization=literal diverges with the paper's weights",
        )


class CollapseWarning(keras.callbacks.Callback):
    """Says in words when the codes shrink, grow, or carry no identity.

    Args:
        num_identities: of the source.
        tell: function of one text, called with each warning and the epoch.
    """

    def __init__(self, num_identities, tell):
        super().__init__()
        self._chance = math.log(num_identities)
        self._tell = tell

    def on_epoch_end(self, epoch, logs=None):
        ratio = logs["code_norm"] / max(float(self.model.initial_code_norm.numpy()), 1e-12)
        if not _NORM_RANGE[0] <= ratio <= _NORM_RANGE[1]:
            self._warn(
                epoch,
                f"the codes' norm is {ratio:.3g} times what it was at first: they are collapsing "
                "or exploding. Lower --learning_rate_scale or the weight of a term",
            )
        steps = int(self.model.optimizer.iterations.numpy())
        if steps >= _STEPS_TO_LEARN and logs.get("class", 0.0) > 0.98 * self._chance:
            self._warn(
                epoch,
                f"after {steps} steps L_class is {logs['class']:.3f}, where chance is "
                f"log(identities) = {self._chance:.3f}: the codes carry no identity. Train longer, "
                "or change --learning_rate_scale",
            )

    def _warn(self, epoch, text):
        text = f"epoch {epoch + 1}: {text}"
        logging.warning(text)
        self._tell(text, epoch)


class Checkpoints(keras.callbacks.Callback):
    """Saves model and optimizers after every epoch, then drops the one before.

    Args:
        run: `RunDir`.
        branch: name of what is trained.
    """

    def __init__(self, run, branch):
        super().__init__()
        self._run = run
        self._branch = branch

    def on_epoch_end(self, epoch, logs=None):
        self._run.save_model(self.model, self._run.checkpoint(self._branch, epoch + 1))
        self._run.forget_checkpoints(self._branch, keep=epoch + 1)
