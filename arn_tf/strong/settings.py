"""The settings of a run of the strong recipe; flags are made from them."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

from arn_tf.backbones import osnet_config
from arn_tf.errors import ArgumentError
from arn_tf.run import sources
from arn_tf.run.settings import RunSettings, positive, setting

# Pictures of the whole target that count among each camera's own: of 4 to 64 what loses least, for
# 1 to 256 pictures of a camera (studies/calibration.py). Here, and not beside what uses it: what
# looks at pictures before a run imports no TensorFlow.
PRIOR_PICTURES = 16
# A camera with fewer pictures is told: a fifth of its statistics, or more, isn't its own.
FEW_PICTURES = 64
# Of a round, which is half a pass over the target, or this on a small one: clusters are poor at
# first, and it is better to find them anew soon (docs/results.md#parts-alone).
_LEAST_STEPS = 40
_ROUNDS = 12
# Without a source, over the target in all rounds together: more of a few hundred pictures teach a
# network these by heart, if less than without erasing. Beside those of a source they are learnt
# from to the last round.
_MOST_PASSES, _LEAST_ROUNDS = 10, 3
# Rounds that are as usual.
_USUAL = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrongSettings(RunSettings):
    """One run of `--preset=strong`: a tuned backbone, camera statistics, self-training.

    Raises:
        UserError: from `check`, naming the setting.
    """

    EARLIER: ClassVar[Mapping[str, object]] = {"arn_losses": False, "keep_best": "unlabelled"}

    preset: str = setting("strong", "the recipe", ("strong",))
    input_size: str = setting("128x64", "HEIGHTxWIDTH of a picture, pixels")
    last_stride: int = setting(1, "1 doubles height and width of the last map", (1, 2))
    epochs: int = positive(60, "passes over the source pictures")
    batch_size: int = positive(32, "pictures of each domain in a step")
    label_smoothing: float = setting(0.1, "of the source's cross-entropy", less_than=1)
    triplet_margin: float = setting(0.3, "of the batch-hard triplet loss")
    weight_decay: float = setting(5e-4, "L2 on every weight")
    adam_learning_rate: float = positive(3.5e-4, "peak, after warming up")
    precision: str = setting(
        "float32", "arithmetic of E_I; bfloat16 suits GPUs", ("float32", "bfloat16")
    )
    self_training_rounds: int = setting(
        _USUAL,
        f"rounds of clustering the target and training on it; {_USUAL}: {_ROUNDS}, and without a "
        f"source fewer that show a small target {_MOST_PASSES} times, {_LEAST_ROUNDS} at least",
        at_least=_USUAL,
    )
    self_training_steps: int = setting(
        0,
        f"steps of a round; 0: half a pass over the target, {_LEAST_STEPS} at least",
    )
    self_training_learning_rate: float = positive(3.5e-4, "of all rounds")
    cluster_eps: float = setting(
        0.0,
        "Jaccard distance between neighbours, all cameras together; 0: of .35 to .55 what gives "
        "most clusters",
        less_than=1,
    )
    oracle_labels: bool = setting(
        False,
        "train on the target's labels: an oracle, the bound that adaptation is measured against",
    )

    def rounds_on(self, images: int) -> int:
        """Returns the rounds of self-training on a target of so many pictures."""
        if self.self_training_rounds != _USUAL:
            return self.self_training_rounds
        if self.source != sources.NONE:
            return _ROUNDS
        shown = self.steps_of_round(images) * self.batch_size
        return min(max(_MOST_PASSES * images // shown, _LEAST_ROUNDS), _ROUNDS)

    def steps_of_round(self, images: int) -> int:
        """Returns the steps of a round of self-training on a target of so many pictures."""
        half = math.ceil(images / self.batch_size / 2)
        return self.self_training_steps or max(_LEAST_STEPS, half)

    def check(self) -> None:
        """Raises UserError for the first setting that can't be."""
        super().check()
        if self.batch_size % 2:
            raise ArgumentError(
                "batch_size",
                self.batch_size,
                "half a target batch is of one camera: give an even number",
            )
        check_last_stride(self.backbone, self.last_stride)
        if self.oracle_labels and not self.self_training_rounds:
            raise ArgumentError(
                "oracle_labels",
                True,
                "labels are learnt from in rounds, and self_training_rounds=0 has none",
                also=["self_training_rounds"],
            )


def check_last_stride(backbone: str, last_stride: int) -> None:
    """Raises UserError where a network has no last stride that could be left as it is."""
    if last_stride != 1 and osnet_config.named(backbone):
        raise ArgumentError(
            "last_stride",
            last_stride,
            f"{backbone} has no last stride: its last stage keeps the size of the map. Leave "
            "last_stride=1",
        )
