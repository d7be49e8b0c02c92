"""Everything that a run of the strong recipe can be told; flags are made from it."""

import dataclasses

from arn_tf.errors import UserError
from arn_tf.run.settings import RunSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrongSettings(RunSettings):
    """One run of `--preset=strong`: a tuned backbone, camera statistics, self-training.

    Raises:
        UserError: from `check`, naming the flag.
    """

    POSITIVE = (
        "epochs", "batch_size", "images_per_identity", "adam_learning_rate",
        "self_training_learning_rate", "self_training_steps",
    )  # fmt: skip

    preset: str = setting("strong", "the recipe", ("strong",))
    input_size: str = setting("128x64", "HEIGHTxWIDTH of a picture, pixels")
    last_stride: int = setting(1, "1 doubles height and width of the last map", (1, 2))
    epochs: int = setting(60, "passes over the source pictures")
    batch_size: int = setting(32, "pictures of each domain in a step")
    label_smoothing: float = setting(0.1, "of the cross-entropy")
    triplet_margin: float = setting(0.3, "of the batch-hard triplet loss")
    weight_decay: float = setting(5e-4, "L2 on every weight")
    adam_learning_rate: float = setting(3.5e-4, "peak, after warming up")
    precision: str = setting(
        "float32", "arithmetic of E_I; bfloat16 suits GPUs", ("float32", "bfloat16")
    )
    arn_losses: bool = setting(
        False, "back-propagate ARN's losses into E_I too, for three times the cost (README)"
    )
    self_training_rounds: int = setting(3, "rounds of clustering the target and training on it")
    self_training_steps: int = setting(80, "steps of a round")
    self_training_learning_rate: float = setting(3.5e-4, "of all rounds")
    cluster_eps: float = setting(
        0.0, "Jaccard distance between neighbours; 0: of .35 to .55 what gives most clusters"
    )
    keep_best: str = setting(
        "unlabelled", "how the stage to keep is chosen; labelled reads the target's labels, as an "
        "oracle for studies", ("unlabelled", "labelled"),
    )  # fmt: skip

    def check(self):
        """Raises UserError for the first setting that can't be."""
        super().check()
        for name in ("label_smoothing", "cluster_eps"):
            if getattr(self, name) >= 1:
                raise UserError(f"--{name}={getattr(self, name)}: must be less than 1")
