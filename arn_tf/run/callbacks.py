"""Callbacks of both recipes: numbers that are not finite, checkpoints, progress."""

import math
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from arn_tf.errors import UserError
from arn_tf.run.folder import RunDir


class NonFiniteError(UserError):
    """A loss or a weight is no number any more.

    Attributes:
        what: which one, and when.
    """

    def __init__(self, what: str, advice: str, arguments: Sequence[str] = ()) -> None:
        super().__init__(f"{what}. {advice}", arguments)
        self.what = what


class NonFiniteGuard(keras.callbacks.Callback):
    """Stops the run at the first step whose loss is not finite, before it can be saved.

    The last step of an epoch can spoil the weights without its loss showing it, so these are
    checked too before they are saved.

    Args:
        last_good: function of no arguments that names the newest checkpoint.
        rate: name of the argument that scales the steps.
        advice: what else helps, as the end of a sentence.
        arguments: names of the arguments in `advice`.
        symbols: {logged term: its symbol in the error}.
    """

    def __init__(
        self,
        last_good: Callable[[], str],
        rate: str,
        advice: str = "",
        arguments: Sequence[str] = (),
        symbols: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._last_good = last_good
        self._advice = f"In a new model_dir, make the steps smaller with {rate}{advice}"
        self._arguments = ("model_dir", rate, *arguments)
        self._symbols = dict(symbols or {})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            # The terms are the cause of the total and of the gradients.
            terms = [name for name in (*self._symbols, "loss") if name in broken]
            self._stop(", ".join(self._symbols.get(name, name) for name in terms or broken))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for variable in self.model.variables:
            if not np.isfinite(variable.numpy()).all():
                self._stop(variable.path)

    def _stop(self, what: str) -> None:
        step = int(self.model.optimizer.iterations.numpy())
        print(flush=True)  # The progress bar left its line open.
        raise NonFiniteError(
            f"{what} is not finite at step {step}",
            f"The last good state is {self._last_good()}. {self._advice}",
            self._arguments,
        )


class Checkpoints(keras.callbacks.Callback):
    """Saves model and optimizers after every epoch, then drops the one before.

    Args:
        run: folder of the run.
        branch: name of what is trained.
    """

    def __init__(self, run: RunDir, branch: str) -> None:
        super().__init__()
        self._run = run
        self._branch = branch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._run.save_model(self.model, self._run.checkpoint(self._branch, epoch + 1))
        self._run.forget_checkpoints(self._branch, keep=epoch + 1)


class ProgressBar(keras.callbacks.Callback):
    """Keras's progress bar with the loss terms alone.

    Args:
        steps_per_epoch: steps.
        epochs: the branch's last epoch.
        shown: names of the logged means to show.
    """

    def __init__(self, steps_per_epoch: int, epochs: int, shown: Sequence[str]) -> None:
        super().__init__()
        self._steps = steps_per_epoch
        self._epochs = epochs
        self._shown = tuple(shown)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        print(f"epoch {epoch + 1}/{self._epochs}", flush=True)
        # The logs are means already.
        self._bar = keras.utils.Progbar(self._steps, stateful_metrics=self._shown)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        self._bar.update(batch + 1, [(name, logs[name]) for name in self._shown if name in logs])
