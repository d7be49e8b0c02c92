"""Settings of the runs of every recipe: a frozen dataclass, a flag for each field."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from arn_tf.errors import ArgumentError, UserError
from datasets.files import answers

# Data sets that have a name; others are a user's own.
DATASETS = ("market", "duke", "toy_market", "toy_duke")

_KINDS = f"one of {', '.join(DATASETS)}, or a folder of pictures, or a table of them (CSV)"


def setting(
    default: object,
    help_text: str,
    choices: Iterable[object] | None = None,
    changes_result: bool = True,
    more_than: float | None = None,
    less_than: float = float("inf"),
) -> Any:
    """Returns a field of a `RunSettings` with what its flag needs.

    Args:
        default: of field and flag.
        help_text: for --help.
        choices: the values that it may have, or None.
        changes_result: whether a run with another value is another run.
        more_than: limit of a number; None: it must not be negative.
        less_than: limit of a number.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help_text,
            "choices": choices,
            "changes_result": changes_result,
            "more_than": more_than,
            "less_than": less_than,
        },
    )


def positive(default: float, help_text: str, **options: Any) -> Any:
    """Returns a `setting` that must be more than 0."""
    return setting(default, help_text, more_than=0, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of every run. A recipe adds its own, and gives these defaults of its own.

    Attributes:
        EARLIER: {setting that earlier versions had: its default there}.
    """

    EARLIER: ClassVar[Mapping[str, object]] = {}

    preset: str
    input_size: str
    batch_size: int
    source: str = setting("toy_market", f"labelled data set; {_KINDS} whose persons are known")
    target: str = setting("toy_duke", f"unlabelled data set to adapt to; {_KINDS}")
    names: str = setting(
        "",
        "what the paths in the target's folder mean, like '{camera}/{tracklet}/{*}.jpg'; a guess, "
        "which is printed, when empty",
    )
    source_names: str = setting(
        "", "the same of the source's folder, like '{person_id}_{camera}_{*}'"
    )
    model_dir: str = setting(
        "", "folder of the run; runs/[strong_]SOURCE_to_TARGET when empty", changes_result=False
    )
    data_dir: str = setting(
        "~/tensorflow_datasets", "where TFDS keeps prepared data sets", changes_result=False
    )
    manual_dir: str = setting(
        "",
        "folder with the official archives; DATA_DIR/downloads/manual when empty",
        changes_result=False,
    )
    skip_bad_images: bool = setting(False, "count, list and leave out pictures that can't be read")
    backbone: str = setting(
        "ResNet50",
        "E_I, a network of keras.applications (paper); with preset=strong also OSNet, OSNetIBN or "
        "OSNetAIN",
    )
    backbone_weights: str = setting(
        "imagenet",
        "imagenet, random or the path of a weights file; `python -m arn_tf.weights FILE` tells "
        "what is in a public one",
    )
    images_per_identity: int = positive(4, "of each identity in a source batch (measured)")
    seed: int = setting(0, "of weights, batches, flips and dropout: equal seeds give equal runs")
    replicas: int = setting(
        0, "0: all GPUs, or one CPU; N: as many GPUs, or parts of the CPU", changes_result=False
    )

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        parts = self.input_size.lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise ArgumentError("input_size", self.input_size, "give HEIGHTxWIDTH, such as 224x224")
        return int(parts[0]), int(parts[1])

    @property
    def direction(self) -> str:
        """ "SOURCE to TARGET", for titles."""
        return f"{title(self.source)} to {title(self.target)}"

    @property
    def run_dir(self) -> str:
        """Folder of the run."""
        recipe = "" if self.preset == "paper" else f"{self.preset}_"
        name = recipe + self.direction.replace(" ", "_")
        return os.path.expanduser(self.model_dir or os.path.join("runs", name))

    def check(self) -> None:
        """Raises UserError for the first setting that can't be."""
        for field in dataclasses.fields(self):
            self._check_limits(field)
        for argument in ("source", "target"):
            self._check_data(argument)
        # One folder has many names.
        source, target = (
            given if given in DATASETS else os.path.realpath(given)
            for given in (self.source, self.target)
        )
        if source == target:
            raise UserError(
                f"source and target are both {self.source}: adaptation goes from one data set "
                "to another",
                ["source", "target"],
            )
        if self.batch_size % self.images_per_identity:
            raise UserError(
                f"batch_size={self.batch_size} is not a multiple of images_per_identity="
                f"{self.images_per_identity}",
                ["batch_size", "images_per_identity"],
            )
        if self.replicas and self.batch_size % self.replicas:
            raise UserError(
                f"batch_size={self.batch_size} can't be divided by replicas={self.replicas}",
                ["batch_size", "replicas"],
            )
        self.image_size  # noqa: B018 - parsed for its error

    def save(self, path: str) -> None:
        """Writes the settings as JSON."""
        # Not at the top: --help needs no more than this file.
        from datasets.files.atomic_files import replace_text

        replace_text(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    def differences(self, there: Mapping[str, object]) -> list[str]:
        """Returns a line for each setting that changes a run's result and differs.

        Args:
            there: {name: value} of a run's file; what it lacks has its default.
        """
        preset = there.get("preset", "paper")
        if self.preset != preset:
            return [f"preset: {preset} there, {self.preset} here"]
        lines = []
        for field in dataclasses.fields(self):
            here, other = getattr(self, field.name), there.get(field.name, field.default)
            if field.metadata["changes_result"] and here != other:
                lines.append(f"{field.name}: {other} there, {here} here")
        for name, value in self.earlier(there).items():
            lines.append(f"{name}: {value} there, no setting any more")
        return lines

    @classmethod
    def earlier(cls, there: Mapping[str, object]) -> dict[str, object]:
        """Returns settings that only earlier versions had, where they are not the usual ones.

        Args:
            there: {name: value} of a run's file.
        """
        return {
            name: there[name]
            for name, default in cls.EARLIER.items()
            if there.get(name, default) != default
        }

    def _check_data(self, argument: str) -> None:
        given = getattr(self, argument)
        names = {"source": "source_names", "target": "names"}[argument]
        if given in DATASETS:
            if getattr(self, names):
                raise UserError(
                    f"{names}={getattr(self, names)}: {given} has its own names; that is for a "
                    "folder of pictures",
                    [names],
                )
        elif not (self._has_begun_with(argument) or _is_there(argument, given)):
            raise ArgumentError(
                argument,
                given,
                f"no such folder or table; data sets that have a name are {', '.join(DATASETS)}",
            )

    def _has_begun_with(self, argument: str) -> bool:
        """Whether the run has decoded the user's pictures and learns from them already."""
        needed = ("initial.keras", os.path.join("pictures", f"{argument}.json"))
        return all(os.path.exists(os.path.join(self.run_dir, name)) for name in needed)

    def _check_limits(self, field: dataclasses.Field) -> None:
        name, limits, value = field.name, field.metadata, getattr(self, field.name)
        if limits["choices"] and value not in limits["choices"]:
            choices = ", ".join(map(str, limits["choices"]))
            raise ArgumentError(name, value, f"choose one of {choices}")
        if not isinstance(value, float | int):
            return
        if not 0 <= value < float("inf"):
            raise ArgumentError(name, value, "must be a number that is not negative")
        if limits["more_than"] is not None and value <= limits["more_than"]:
            raise ArgumentError(name, value, f"must be more than {limits['more_than']}")
        if value >= limits["less_than"]:
            raise ArgumentError(name, value, f"must be less than {limits['less_than']}")


def _is_there(argument: str, path: str) -> bool:
    try:
        return answers.is_folder(path) or answers.is_file(path)
    except OSError as error:
        problem = f"can't be read ({error.strerror}); {answers.way_out(error)}"
        raise ArgumentError(argument, path, problem) from error


def title(data: str) -> str:
    """Returns a data set's name, or that of a user's folder or table, as part of a path."""
    return data if data in DATASETS else os.path.splitext(os.path.basename(data))[0]
