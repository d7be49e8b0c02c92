"""The stages of a strong run on its target: their models, embeddings and alarms.

    adapted   the source's weights, or those given, with statistics of each target camera
    round N   after a round of self-training
    average   the mean of the later half of the rounds, without one that has an alarm

Each is a file of the run's folder.
"""

import numpy as np
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.layers.normalization import TARGET
from arn_tf.run import tensorboard
from arn_tf.run.folder import RunDir
from arn_tf.strong import camera_statistics, unlabelled_scores
from arn_tf.strong.embedding import embed_target
from arn_tf.strong.model import StrongModel
from arn_tf.strong.stage_choice import collapsed, collapsed_statistics

ADAPTED, AVERAGE = "adapted.keras", "average.keras"
# Rounds that a stage is chosen from: the embeddings of all of many would fill the memory.
_COMPARED = 3


def round_file(number: int) -> str:
    """Returns the name of the model after a round of self-training; `ADAPTED` after none."""
    return f"round_{number}.keras" if number else ADAPTED


def compared(last: int) -> list[str]:
    """Returns the files of the stages that one is chosen from: `ADAPTED` and some of the rounds.

    A mean of rounds takes the place of the last one.

    Args:
        last: number of the last round.
    """
    numbers = {round(last * part / _COMPARED) for part in range(_COMPARED + 1)}
    return [round_file(number) for number in sorted(numbers)]


def averaged(last: int) -> list[str]:
    """Returns the files of the rounds that `AVERAGE` is the mean of: the later half, or none.

    Args:
        last: number of the last round.
    """
    later = [round_file(number) for number in range(last // 2 + 1, last + 1)]
    return later if len(later) > 1 else []


class TargetStages:
    """Models of stages, by their files, and what they make of the target.

    Args:
        run: its folder.
        strategy: in whose scope models are loaded, for rounds to train them.
        pictures: the target's training pictures, uint8 [N, height, width, 3].
        split: the target's training split.
        rounds: how many there are to be.
    """

    def __init__(
        self,
        run: RunDir,
        strategy: tf.distribute.Strategy,
        pictures: np.ndarray,
        split: Split,
        rounds: int,
    ) -> None:
        self._run = run
        self._strategy = strategy
        self._pictures = pictures
        self._split = split
        self._places = [*map(round_file, range(rounds + 1)), AVERAGE]
        # Of the last stage that was saved or loaded: file, model, and what `estimate_in_place`
        # returned for it.
        self._current: tuple[str, StrongModel, dict[int, np.ndarray] | None] | None = None
        # {file of a stage: (embeddings, alarm)}.
        self._assessed: dict[str, tuple[np.ndarray, str | None]] = {}

    def save(self, model: StrongModel, stage: str, layers: bool = True) -> None:
        """Gives a model the statistics of the target's cameras, in place, and saves it.

        Args:
            model: whose cameras are the target's.
            stage: its file.
            layers: see `camera_statistics.estimate`.
        """
        known = camera_statistics.estimate_in_place(
            model, self._pictures, self._split.camera_id, layers
        )
        self._run.save_model(model, stage)
        self._current = stage, model, known

    def model(self, stage: str) -> StrongModel:
        """Returns the model of a stage, the very one that was saved last or one that is loaded."""
        return self._loaded(stage)[0]

    def forget_model(self) -> None:
        """Lets go of the last model, which is no longer what was saved."""
        self._current = None

    def embeddings(self, stage: str) -> np.ndarray:
        """Returns embeddings of the target's training pictures by a stage, float32 [N, D].

        Computed once: the next round clusters them, and the choice of a stage compares them.
        """
        return self._assess(stage)[0]

    def forget_embeddings(self, stage: str) -> None:
        """Lets go of a stage's embeddings, which nobody compares."""
        self._assessed.pop(stage, None)

    def alarm(self, stage: str) -> str | None:
        """Returns why a stage's model can't tell pictures apart; or None."""
        return self._assess(stage)[1]

    def _loaded(self, stage: str) -> tuple[StrongModel, dict[int, np.ndarray] | None]:
        if self._current is None or self._current[0] != stage:
            with self._strategy.scope():
                self._current = stage, self._run.load_model(stage), None
        return self._current[1:]

    def _assess(self, stage: str) -> tuple[np.ndarray, str | None]:
        """Returns embeddings and alarm of a stage; logs scores that need no labels."""
        if stage not in self._assessed:
            model, known = self._loaded(stage)
            found = embed_target(model, self._pictures, self._split.camera_id, known)
            # Standardising hides that all are the same.
            alarm = collapsed_statistics(*model.table.embedding_statistics(TARGET))
            alarm = alarm or collapsed(found)
            if alarm:
                print(f"WARNING: {stage}: {alarm}", flush=True)
                scores, text = {}, alarm
            else:
                scores = unlabelled_scores.by_name(found, self._split.camera_id)
                text = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                print(f"{stage}, without labels: {text}", flush=True)
            curves = {f"unlabelled/{name}": value for name, value in scores.items()}
            place = self._places.index(stage)
            tensorboard.write_stage(self._run, "rounds", place, curves, text)
            self._assessed[stage] = found, alarm
        return self._assessed[stage]
