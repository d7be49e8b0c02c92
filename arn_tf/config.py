"""Everything that a run can be told, as one frozen dataclass; flags are made from it."""

import dataclasses
import json
import os

from absl import flags

from arn_tf.errors import UserError
from arn_tf.files import replace_text
from arn_tf.losses import NORMALIZATIONS
from arn_tf.optimizers import MOMENTUM, PAPER_LEARNING_RATES

DATASETS = ("market", "duke", "toy_market", "toy_duke")
_FOLDERS = ("data_dir", "manual_dir", "cache_dir")


def _field(default, help_text, choices=None, changes_result=True):
    return dataclasses.field(
        default=default,
        metadata={"help": help_text, "choices": choices, "changes_result": changes_result},
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """One training run. "Paper" marks a value of the paper's, "measured" one of ours (README).

    Raises:
        UserError: from `check`, naming the flag.
    """

    source: str = _field("toy_market", "labelled data set", DATASETS)
    target: str = _field("toy_duke", "unlabelled data set to adapt to", DATASETS)
    model_dir: str = _field(
        "", "folder of the run; runs/SOURCE_to_TARGET when empty", changes_result=False
    )
    data_dir: str = _field(
        "~/tensorflow_datasets", "where TFDS keeps prepared data sets", changes_result=False
    )
    manual_dir: str = _field(
        "", "folder with the official archives; DATA_DIR/downloads/manual when empty",
        changes_result=False,
    )  # fmt: skip
    skip_bad_images: bool = _field(False, "count, list and leave out pictures that can't be read")

    backbone: str = _field("ResNet50", "E_I, a network of keras.applications (paper)")
    backbone_weights: str = _field("imagenet", "imagenet, random or the path of a weights file")
    input_size: str = _field("224x224", "HEIGHTxWIDTH of a picture, pixels (paper)")
    shared_encoder: str = _field(
        "convolutional", "E_C: convolutional (paper) or plain pooling of X",
        ("convolutional", "pooling"),
    )  # fmt: skip
    private_encoders: bool = _field(True, "whether there are E_S and E_T (paper)")
    embedding_dim: int = _field(2048, "width of e_c and e_p (paper)")
    hidden_width: int = _field(256, "inner channels of encoders and decoder (measured)")
    dropout: float = _field(0.5, "of the classifier C_S (measured)")

    class_weight: float = _field(1.0, "weight of L_class (paper)")
    contrastive_weight: float = _field(0.01, "alpha, weight of L_ctrs (paper)")
    reconstruction_weight: float = _field(2.0, "beta, weight of L_rec (paper)")
    difference_weight: float = _field(1500.0, "gamma, weight of L_diff (paper)")
    margin: float = _field(1.0, "m of L_ctrs (measured)")
    loss_normalization: str = _field(
        "normalized", "normalized trains with the paper's weights; literal is its printed sums",
        NORMALIZATIONS,
    )  # fmt: skip

    epochs: int = _field(50, "passes over the source pictures (measured)")
    source_only_epochs: int = _field(
        40, "how many of them, from the start, see the source alone (measured)"
    )
    encoder_i_epochs: int = _field(2, "how many of them, from the start, tune E_I (paper: few)")
    batch_size: int = _field(32, "pictures of each domain in a step (measured)")
    images_per_identity: int = _field(4, "of each identity in a source batch (measured)")
    learning_rate_scale: float = _field(1.0, "multiplies every learning rate")
    encoder_i_learning_rate: float = _field(PAPER_LEARNING_RATES["encoder_i"], "E_I (paper)")
    encoder_learning_rate: float = _field(
        PAPER_LEARNING_RATES["encoder_c"], "E_C, E_S, E_T and D_C (paper)"
    )
    classifier_learning_rate: float = _field(PAPER_LEARNING_RATES["classifier_s"], "C_S (paper)")
    momentum: float = _field(MOMENTUM, "of every SGD (measured)")
    seed: int = _field(0, "of weights, batches, flips and dropout: equal seeds give equal runs")

    replicas: int = _field(
        0, "0: all GPUs, or one CPU; N: as many GPUs, or parts of the CPU", changes_result=False
    )
    feature_cache: str = _field(
        "disk", "maps of a frozen E_I: kept on disk, or computed again in every step (none)",
        ("disk", "none"), changes_result=False,
    )  # fmt: skip
    cache_dir: str = _field(
        "", "folder of that cache; DATA_DIR/arn_features when empty", changes_result=False
    )
    source_only_baseline: bool = _field(
        True, "also train the source-only model of equal length that every table needs"
    )
    monitor_every: int = _field(
        1, "epochs between two looks at the target's labels, for TensorBoard only; 0: never",
        changes_result=False,
    )  # fmt: skip

    @property
    def image_size(self):
        """(height, width) in pixels."""
        parts = self.input_size.lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UserError(f"--input_size={self.input_size}: give HEIGHTxWIDTH, such as 224x224")
        return int(parts[0]), int(parts[1])

    @property
    def loss_weights(self):
        """{term: weight} of the joint objective."""
        return {
            "class": self.class_weight,
            "contrastive": self.contrastive_weight,
            "reconstruction": self.reconstruction_weight,
            "difference": self.difference_weight,
        }

    @property
    def run_dir(self):
        run_dir = self.model_dir or os.path.join("runs", f"{self.source}_to_{self.target}")
        return os.path.expanduser(run_dir)

    @property
    def feature_dir(self):
        return os.path.expanduser(self.cache_dir or os.path.join(self.data_dir, "arn_features"))

    def learning_rates(self):
        """{variable group: constant learning rate}."""
        encoders = dict.fromkeys(
            ("encoder_c", "encoder_s", "encoder_t", "decoder_c"), self.encoder_learning_rate
        )
        rates = encoders | {
            "encoder_i": self.encoder_i_learning_rate,
            "classifier_s": self.classifier_learning_rate,
        }
        return {group: rate * self.learning_rate_scale for group, rate in rates.items()}

    def check(self):
        """Raises UserError for the first setting that can't be."""
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if choices and value not in choices:
                raise UserError(f"--{field.name}={value}: choose one of {', '.join(choices)}")
            if isinstance(value, float | int) and not 0 <= value < float("inf"):
                raise UserError(f"--{field.name}={value}: must be a number that is not negative")
        positive = (
            "embedding_dim hidden_width epochs batch_size images_per_identity learning_rate_scale"
        )
        for name in positive.split():
            if getattr(self, name) <= 0:
                raise UserError(f"--{name}={getattr(self, name)}: must be more than 0")
        if self.source == self.target:
            raise UserError(
                f"--source and --target are both {self.source}: adaptation goes from one data set "
                "to another"
            )
        for name, limit in (("dropout", 1), ("momentum", 1)):
            if getattr(self, name) >= limit:
                raise UserError(f"--{name}={getattr(self, name)}: must be less than {limit}")
        if self.source_only_epochs >= self.epochs:
            raise UserError(
                f"--source_only_epochs={self.source_only_epochs} leaves none of --epochs="
                f"{self.epochs} to ARN: name both"
            )
        if self.batch_size % self.images_per_identity:
            raise UserError(
                f"--batch_size={self.batch_size} is not a multiple of --images_per_identity="
                f"{self.images_per_identity}"
            )
        if self.replicas and self.batch_size % self.replicas:
            raise UserError(
                f"--batch_size={self.batch_size} can't be divided by --replicas={self.replicas}"
            )
        supervised = self.class_weight or self.contrastive_weight
        if not any(self.loss_weights.values()):
            raise UserError("all loss weights are 0: there is nothing to train")
        if not supervised and (self.source_only_epochs or self.source_only_baseline):
            raise UserError(
                "--class_weight=0 --contrastive_weight=0 leaves nothing for source-only training: "
                "add --source_only_epochs=0 --nosource_only_baseline"
            )
        if self.difference_weight and not self.private_encoders:
            raise UserError(
                "--noprivate_encoders leaves L_diff nothing to compare: add --difference_weight=0"
            )
        self.image_size  # noqa: B018 - parsed for its error

    def save(self, path):
        replace_text(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path):
        """Reads `save`'s file.

        Raises:
            UserError: not such a file.
        """
        try:
            with open(path) as file:
                return cls(**json.load(file))
        except (OSError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not the settings of a run of arn_tf.train ({error})"
            ) from error

    def differences(self, other):
        """Lines naming each setting that changes a run's result and isn't equal in both."""
        return [
            f"--{field.name}: {getattr(self, field.name)} there, {getattr(other, field.name)} here"
            for field in dataclasses.fields(self)
            if field.metadata["changes_result"]
            and getattr(self, field.name) != getattr(other, field.name)
        ]


def define_flags(**defaults):
    """Defines an absl flag for each setting; `defaults` replace the dataclass's."""
    for field in dataclasses.fields(Settings):
        default = defaults.get(field.name, field.default)
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[type(field.default)]
        choices = field.metadata["choices"]
        text = field.metadata["help"] + (f"; one of {', '.join(choices)}" if choices else "")
        define(field.name, default, text)


def from_flags():
    """The checked `Settings` that the flags give.

    Raises:
        UserError: see `Settings.check`.
    """
    values = flags.FLAGS.flag_values_dict()
    settings = Settings(**{f.name: values[f.name] for f in dataclasses.fields(Settings)})
    settings.check()
    return settings


def define_moved_folders():
    """Defines flags for the folders of a finished run that another machine may have elsewhere."""
    for name in _FOLDERS:
        flags.DEFINE_string(name, None, "where the run's data has moved to")


def with_moved_folders(settings):
    """A run's `Settings` with the folders that those flags give."""
    moved = {name: flags.FLAGS[name].value for name in _FOLDERS}
    given = {name: value for name, value in moved.items() if value is not None}
    return dataclasses.replace(settings, **given)
