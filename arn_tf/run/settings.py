"""What the runs of every recipe have in common: settings as a frozen dataclass, flag by flag."""

import dataclasses
import json
import os

from arn_tf.errors import UserError
from arn_tf.run.atomic_files import replace_text

DATASETS = ("market", "duke", "toy_market", "toy_duke")


def setting(default, help_text, choices=None, changes_result=True):
    """A field of a `RunSettings`, and what its flag says.

    Args:
        default: of field and flag.
        help_text: for --help.
        choices: the values that it may have, or None.
        changes_result: whether a run with another value is another run.
    """
    return dataclasses.field(
        default=default,
        metadata={"help": help_text, "choices": choices, "changes_result": changes_result},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every run can be told, whatever its recipe."""

    source: str = setting("toy_market", "labelled data set", DATASETS)
    target: str = setting("toy_duke", "unlabelled data set to adapt to", DATASETS)
    model_dir: str = setting(
        "", "folder of the run; runs/[strong_]SOURCE_to_TARGET when empty", changes_result=False
    )
    data_dir: str = setting(
        "~/tensorflow_datasets", "where TFDS keeps prepared data sets", changes_result=False
    )
    manual_dir: str = setting(
        "", "folder with the official archives; DATA_DIR/downloads/manual when empty",
        changes_result=False,
    )  # fmt: skip
    skip_bad_images: bool = setting(False, "count, list and leave out pictures that can't be read")
    backbone: str = setting("ResNet50", "E_I, a network of keras.applications (paper)")
    backbone_weights: str = setting("imagenet", "imagenet, random or the path of a weights file")
    images_per_identity: int = setting(4, "of each identity in a source batch (measured)")
    seed: int = setting(0, "of weights, batches, flips and dropout: equal seeds give equal runs")
    replicas: int = setting(
        0, "0: all GPUs, or one CPU; N: as many GPUs, or parts of the CPU", changes_result=False
    )

    @property
    def image_size(self):
        """(height, width) in pixels."""
        parts = self.input_size.lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UserError(f"--input_size={self.input_size}: give HEIGHTxWIDTH, such as 224x224")
        return int(parts[0]), int(parts[1])

    @property
    def run_dir(self):
        recipe = "" if self.preset == "paper" else f"{self.preset}_"
        name = f"{recipe}{self.source}_to_{self.target}"
        return os.path.expanduser(self.model_dir or os.path.join("runs", name))

    def check(self):
        """Raises UserError for the first setting that can't be."""
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if choices and value not in choices:
                raise UserError(
                    f"--{field.name}={value}: choose one of {', '.join(map(str, choices))}"
                )
            if isinstance(value, float | int) and not 0 <= value < float("inf"):
                raise UserError(f"--{field.name}={value}: must be a number that is not negative")
        for name in self.POSITIVE:
            if getattr(self, name) <= 0:
                raise UserError(f"--{name}={getattr(self, name)}: must be more than 0")
        if self.source == self.target:
            raise UserError(
                f"--source and --target are both {self.source}: adaptation goes from one data set "
                "to another"
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
        self.image_size  # noqa: B018 - parsed for its error

    def save(self, path):
        replace_text(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    def differences(self, other):
        """Lines naming each setting that changes a run's result and isn't equal in both."""
        if self.preset != other.preset:
            return [f"--preset: {self.preset} there, {other.preset} here"]
        return [
            f"--{field.name}: {getattr(self, field.name)} there, {getattr(other, field.name)} here"
            for field in dataclasses.fields(self)
            if field.metadata["changes_result"]
            and getattr(self, field.name) != getattr(other, field.name)
        ]
