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
# Of a pass over the target, however small.
LEAST_STEPS = 80
# With a source: rounds, and passes over the target in each. Alone the target's clusters are poor at
# first, and it is better to find them anew after half a pass (docs/results.md#parts-alone).
_WITH_SOURCE, _ALONE = (3, 1.0), (12, 0.5)
# Alone, of all rounds together: more of a few hundred pictures teach a network these by heart.
MOST_PASSES = 10
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
    label_smoothing: float = setting(0.1, "of the cross-entropy", less_than=1)
    triplet_margin: float = setting(0.3, "of the batch-hard triplet loss")
    weight_decay: float = setting(5e-4, "L2 on every weight")
    adam_learning_rate: float = positive(3.5e-4, "peak, after warming up")
    precision: str = setting(
        "float32", "arithmetic of E_I; bfloat16 suits GPUs", ("float32", "bfloat16")
    )
    self_training_rounds: int = setting(
        _USUAL,
        f"rounds of clustering the target and training on it; {_USUAL}: {_WITH_SOURCE[0]}, and "
        f"without a source {_ALONE[0]}, or fewer that show it {MOST_PASSES} times",
        at_least=_USUAL,
    )
    self_training_steps: int = setting(
        0,
        f"steps of a round; 0: a pass over the target, {LEAST_STEPS} at least, and half of that "
        "without a source",
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

    def __post_init__(self) -> None:
        if self.self_training_rounds == _USUAL and not self._alone:
            object.__setattr__(self, "self_training_rounds", _WITH_SOURCE[0])

    @property
    def _alone(self) -> bool:
        return self.source == sources.NONE

    def rounds_on(self, images: int) -> int:
        """Returns the rounds of self-training on a target of so many pictures."""
        if self.self_training_rounds != _USUAL:
            return self.self_training_rounds
        shown = self.steps_of_round(images) * self.batch_size
        return min(max(MOST_PASSES * images // shown, _WITH_SOURCE[0]), _ALONE[0])

    def steps_of_round(self, images: int) -> int:
        """Returns the steps of a round of self-training on a target of so many pictures."""
        steps = max(LEAST_STEPS, images / self.batch_size)
        passes = _ALONE[1] if self._alone else _WITH_SOURCE[1]
        return self.self_training_steps or math.ceil(passes * steps)

    def check(self) -> None:
        """Raises UserError for the first setting that can't be."""
        super().check()
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
