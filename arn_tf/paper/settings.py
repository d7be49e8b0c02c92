"""The settings of a run of the paper's recipe; flags are made from them."""

import dataclasses
import os

from arn_tf.backbones import osnet_config
from arn_tf.errors import ArgumentError, UserError
from arn_tf.paper.constants import MOMENTUM, NORMALIZATIONS, PAPER_LEARNING_RATES, PAPER_WEIGHTS
from arn_tf.run.settings import RunSettings, positive, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """One training run. "Paper" marks a value of the paper's, "measured" one of ours.

    Raises:
        UserError: from `check`, naming the setting.
    """

    preset: str = setting("paper", "the recipe", ("paper",))
    input_size: str = setting("224x224", "HEIGHTxWIDTH of a picture, pixels (paper)")
    shared_encoder: str = setting(
        "convolutional",
        "E_C: convolutional (paper) or plain pooling of X",
        ("convolutional", "pooling"),
    )
    private_encoders: bool = setting(True, "whether there are E_S and E_T (paper)")
    embedding_dim: int = positive(2048, "width of e_c and e_p (paper)")
    hidden_width: int = positive(256, "inner channels of encoders and decoder (measured)")
    dropout: float = setting(0.5, "of the classifier C_S (measured)", less_than=1)

    class_weight: float = setting(PAPER_WEIGHTS["class"], "weight of L_class (paper)")
    contrastive_weight: float = setting(
        PAPER_WEIGHTS["contrastive"], "alpha, weight of L_ctrs (paper)"
    )
    reconstruction_weight: float = setting(
        PAPER_WEIGHTS["reconstruction"], "beta, weight of L_rec (paper)"
    )
    difference_weight: float = setting(
        PAPER_WEIGHTS["difference"], "gamma, weight of L_diff (paper)"
    )
    margin: float = setting(1.0, "m of L_ctrs (measured)")
    loss_normalization: str = setting(
        "normalized",
        "normalized trains with the paper's weights; literal is its printed sums",
        NORMALIZATIONS,
    )

    epochs: int = positive(50, "passes over the source pictures (measured)")
    source_only_epochs: int = setting(
        40, "how many of them, from the start, see the source alone (measured)"
    )
    encoder_i_epochs: int = setting(2, "how many of them, from the start, tune E_I (paper: few)")
    batch_size: int = positive(32, "pictures of each domain in a step (measured)")
    learning_rate_scale: float = positive(1.0, "multiplies every learning rate")
    encoder_i_learning_rate: float = setting(PAPER_LEARNING_RATES["encoder_i"], "E_I (paper)")
    encoder_learning_rate: float = setting(
        PAPER_LEARNING_RATES["encoder_c"], "E_C, E_S, E_T and D_C (paper)"
    )
    classifier_learning_rate: float = setting(PAPER_LEARNING_RATES["classifier_s"], "C_S (paper)")
    momentum: float = setting(MOMENTUM, "of every SGD (measured)", less_than=1)

    feature_cache: str = setting(
        "disk",
        "maps of a frozen E_I: kept on disk, or computed again in every step (none)",
        ("disk", "none"),
        changes_result=False,
    )
    cache_dir: str = setting(
        "", "folder of that cache; DATA_DIR/arn_features when empty", changes_result=False
    )
    source_only_baseline: bool = setting(
        True, "also train the source-only model of equal length that every table needs"
    )
    monitor_every: int = setting(
        1,
        "epochs between two scores by the target's labels, for TensorBoard only; 0: never",
        changes_result=False,
    )

    @property
    def loss_weights(self) -> dict[str, float]:
        """{term: weight} of the joint objective."""
        return {
            "class": self.class_weight,
            "contrastive": self.contrastive_weight,
            "reconstruction": self.reconstruction_weight,
            "difference": self.difference_weight,
        }

    @property
    def feature_dir(self) -> str:
        """Folder of the feature cache."""
        return os.path.expanduser(self.cache_dir or os.path.join(self.data_dir, "arn_features"))

    def learning_rates(self) -> dict[str, float]:
        """Returns {variable group: constant learning rate}."""
        encoders = dict.fromkeys(
            ("encoder_c", "encoder_s", "encoder_t", "decoder_c"), self.encoder_learning_rate
        )
        rates = encoders | {
            "encoder_i": self.encoder_i_learning_rate,
            "classifier_s": self.classifier_learning_rate,
        }
        return {group: rate * self.learning_rate_scale for group, rate in rates.items()}

    def check(self) -> None:
        """Raises UserError for the first setting that can't be."""
        if len(self.sources) != 1:
            raise ArgumentError(
                "source",
                self.source,
                "preset=paper learns from one source; preset=strong takes several, or none",
                also=["preset"],
            )
        super().check()
        if osnet_config.named(self.backbone):
            raise ArgumentError(
                "backbone",
                self.backbone,
                "it ends in one vector, and ARN encodes a map such as ResNet50's of 7x7 positions; "
                "train it with preset=strong",
                also=["preset"],
            )
        from arn_tf.backbones import public_weights  # not for flags alone: it loads NumPy

        if public_weights.is_one(self.backbone_weights):
            raise ArgumentError(
                "backbone_weights",
                self.backbone_weights,
                "a file of PyTorch, OpenVINO or ONNX; preset=paper takes weights files of Keras, "
                "preset=strong takes either",
                also=["preset"],
            )
        if self.source_only_epochs >= self.epochs:
            raise UserError(
                f"source_only_epochs={self.source_only_epochs} leaves none of epochs="
                f"{self.epochs} to ARN: name both",
                ["source_only_epochs", "epochs"],
            )
        supervised = self.class_weight or self.contrastive_weight
        if not any(self.loss_weights.values()):
            raise UserError("all loss weights are 0: there is nothing to train")
        if not supervised and (self.source_only_epochs or self.source_only_baseline):
            raise UserError(
                "class_weight=0 contrastive_weight=0 leaves nothing for source-only training: add "
                "source_only_epochs=0 source_only_baseline=false",
                [
                    "class_weight",
                    "contrastive_weight",
                    "source_only_epochs",
                    "source_only_baseline",
                ],
            )
        if self.difference_weight and not self.private_encoders:
            raise UserError(
                "private_encoders=false leaves L_diff nothing to compare: add difference_weight=0",
                ["private_encoders", "difference_weight"],
            )
