"""Settings of the runs of every recipe: a frozen dataclass, a flag for each field."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import given_data, sources
from arn_tf.run.given_data import DATASETS, title


def setting(
    default: object,
    help_text: str,
    choices: Iterable[object] | None = None,
    changes_result: bool = True,
    more_than: float | None = None,
    less_than: float = float("inf"),
    at_least: float = 0,
) -> Any:
    """Returns a field of a `RunSettings` with what its flag needs.

    Args:
        default: of field and flag.
        help_text: for --help.
        choices: the values that it may have, or None.
        changes_result: whether a run with another value is another run.
        more_than: limit of a number, or None.
        less_than: likewise.
        at_least: the least number.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help_text,
            "choices": choices,
            "changes_result": changes_result,
            "more_than": more_than,
            "less_than": less_than,
            "at_least": at_least,
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
    source: str = setting(
        "toy_market",
        f"labelled data set; {given_data.KINDS} whose persons are known; with --preset=strong "
        f"several of these, separated by commas, or {sources.NONE}",
    )
    target: str = setting("toy_duke", f"unlabelled data set to adapt to; {given_data.KINDS}")
    names: str = setting(
        "",
        "what the paths in the target's folder mean, like '{camera}/{tracklet}/{*}.jpg'; a guess, "
        "which is printed, when empty",
    )
    source_names: str = setting(
        "",
        "the same of the source's folder, like '{person_id}_{camera}_{*}'; of several sources one "
        "for all folders, or one for each source, separated by commas",
    )
    model_dir: str = setting(
        "",
        "folder of the run; runs/[strong_]SOURCE_to_TARGET when empty; without a source "
        "runs/strong_TARGET_alone",
        changes_result=False,
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
        "OSNetAIN; ResNet50 is PyTorch's where backbone_weights names a file of that",
    )
    backbone_weights: str = setting(
        "imagenet",
        "imagenet, random or the path of a weights file; `python -m arn_tf.weights FILE` tells "
        "what is in a public one",
    )
    images_per_identity: int = positive(4, "of each identity in a source batch (measured)")
    seed: int = setting(
        0,
        "of weights, batches, flips and dropout: equal seeds give equal runs",
        less_than=2**32,
    )
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
    def sources(self) -> tuple[str, ...]:
        """Names and paths of the labelled data sets; none where the run learns without.

        Raises:
            UserError: see `sources.parts`.
        """

        def is_there(path: str) -> bool:
            if os.path.exists(os.path.expanduser(path)):
                return True
            # The run needs its files no more.
            record = os.path.join(sources.PICTURES, "source.json")
            alone = path == self.source and bool(self.model_dir)
            return alone and given_data.is_recorded(self, record)

        return tuple(sources.parts(self.source, is_there))

    @property
    def source_templates(self) -> list[str]:
        """Template of the paths of each of the `sources`.

        Raises:
            UserError: see `sources.templates`.
        """
        return sources.templates(self.source_names, self.sources, DATASETS)

    @property
    def direction(self) -> str:
        """ "SOURCE to TARGET", for titles; "ONE+OTHER to TARGET", "TARGET alone"."""
        if not self.sources:
            return f"{title(self.target)} alone"
        return f"{'+'.join(map(title, self.sources))} to {title(self.target)}"

    @property
    def run_dir(self) -> str:
        """Folder of the run."""
        if self.model_dir:
            return os.path.expanduser(self.model_dir)
        recipe = "" if self.preset == "paper" else f"{self.preset}_"
        return os.path.join("runs", recipe + self.direction.replace(" ", "_"))

    def check(self) -> None:
        """Raises UserError for the first setting that can't be."""
        for field in dataclasses.fields(self):
            self._check_limits(field)
        given_data.check(self)
        if self.sources and self.batch_size % self.images_per_identity:
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

    def _check_limits(self, field: dataclasses.Field) -> None:
        name, limits, value = field.name, field.metadata, getattr(self, field.name)
        if limits["choices"] and value not in limits["choices"]:
            choices = ", ".join(map(str, limits["choices"]))
            raise ArgumentError(name, value, f"choose one of {choices}")
        if not isinstance(value, float | int):
            return
        least = limits["at_least"]
        if not least <= value < float("inf"):
            wanted = f"of {least} or more" if least else "that is not negative"
            raise ArgumentError(name, value, f"must be a number {wanted}")
        if limits["more_than"] is not None and value <= limits["more_than"]:
            raise ArgumentError(name, value, f"must be more than {limits['more_than']}")
        if value >= limits["less_than"]:
            raise ArgumentError(name, value, f"must be less than {limits['less_than']}")
