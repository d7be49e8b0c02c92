"""The recipes by preset: their settings, and what trains, scores, serves and ablates their runs.

Both recipes use the same file names, so that a preset names a package and a part of it a module.
The parts are imported when they are called: settings alone answer --help, without TensorFlow.
"""

import dataclasses
import importlib
import os
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from absl import flags

from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run import sources
from arn_tf.run.settings import DATASETS, RunSettings
from arn_tf.strong.settings import StrongSettings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from arn_tf.data.split import Split
    from arn_tf.ranking.evaluation import Evaluation
    from arn_tf.run.ablation import Ablation
    from arn_tf.run.folder import RunDir
    from arn_tf.served.graph import ServedModel

# Settings of the strong recipe's source stage and source batches.
_OF_SOURCE = ("epochs", "images_per_identity", "adam_learning_rate", "source_names")
_FOLDERS = ("data_dir", "manual_dir", "cache_dir")
# Settings of earlier versions -> the program that has them now.
_PROGRAMS = {
    "arn_losses": "python -m studies.joint_training",
    "keep_best": "python -m studies.labelled_choice",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train.

    Attributes:
        preset: name of the recipe, and of its package.
        settings: class of its runs' settings.
    """

    preset: str
    settings: type[RunSettings]

    def train(self, settings: RunSettings) -> "RunDir":
        """Starts or resumes the run that the settings describe; returns its folder."""
        return self._part("train").train(settings)

    def evaluate(
        self, run: "RunDir", settings: RunSettings, *options: object, **more: object
    ) -> "Evaluation":
        """Scores a finished run; see the `evaluate` of its package."""
        return self._part("evaluate").evaluate(run, settings, *options, **more)

    def embed(
        self, run: "RunDir", settings: RunSettings, split: "Split"
    ) -> "tuple[np.ndarray, list[str]]":
        """Embeds pictures with the run's model; see the `embed` of its package."""
        return self._part("evaluate").embed(run, settings, split)

    def served_titles(self) -> tuple[str, ...]:
        """Returns titles of rows about the model that is served; the last one of a table counts."""
        return self._part("evaluate").SERVED_TITLES

    def served_model(self, model: "keras.Model", precision: str | None = None) -> "ServedModel":
        """Returns what the export of a model of this recipe saves."""
        return self._part("served_model").served_model(model, precision)

    def ablation(
        self, settings: RunSettings, beside: Mapping[str, str] | None = None
    ) -> "Ablation":
        """Returns the recipe's table over seeds; raises UserError where settings don't fit.

        Args:
            settings: of the full model.
            beside: {setting: value} of a run with another network, if there is to be one.
        """
        return self._part("ablation").ablation(settings, beside or {})

    def _part(self, name: str) -> ModuleType:
        return importlib.import_module(f"arn_tf.{self.preset}.{name}")


RECIPES = {
    recipe.preset: recipe
    for recipe in (Recipe("paper", Settings), Recipe("strong", StrongSettings))
}


def recipe_of(settings: RunSettings) -> Recipe:
    """Returns the recipe that settings belong to."""
    return RECIPES[settings.preset]


def settings_of(run: "RunDir") -> RunSettings:
    """Returns the settings of a run, of an earlier version's too.

    Raises:
        UserError: this is not the folder of a run.
    """
    values = run.settings()
    try:
        settings = RECIPES[values.get("preset", "paper")].settings
        for name, value in settings.earlier(values).items():
            print(
                f"{run.path}: made with --{name}={value}, now {_PROGRAMS[name]}; it can be scored "
                "and exported, not gone on with"
            )
        return settings(**{k: v for k, v in values.items() if k not in settings.EARLIER})
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run.file('settings.json')}: not the settings of a run of arn_tf.train ({error})"
        ) from error


def define_flags(**defaults: object) -> None:
    """Defines --preset and a flag for each setting of any; `defaults` replace the dataclasses'."""
    flags.DEFINE_enum(
        "preset",
        "paper",
        sorted(RECIPES),
        "paper: ARN as published; strong: tuned backbone, camera statistics and self-training",
    )
    fields: dict[str, list[tuple[str, dataclasses.Field]]] = {}
    for name, recipe in RECIPES.items():
        for field in dataclasses.fields(recipe.settings):
            fields.setdefault(field.name, []).append((name, field))
    del fields["preset"]
    for name, owners in fields.items():
        field = owners[0][1]
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[type(field.default)]
        choices = field.metadata["choices"]
        text = field.metadata["help"]
        text += f"; one of {', '.join(map(str, choices))}" if choices else ""
        if len(owners) < len(RECIPES):
            text += f" [only --preset={owners[0][0]}]"
        elif owners[1][1].default != field.default:
            text += f" [--preset={owners[1][0]}: {owners[1][1].default}]"
        define(name, defaults.get(name, field.default), text)


def from_flags() -> RunSettings:
    """Returns the checked settings that the flags give.

    Raises:
        UserError: see `RunSettings.check`; or a flag that the preset doesn't have, or that is about
            a source where there is none.
    """
    preset = flags.FLAGS.preset
    settings = RECIPES[preset].settings
    values = {}
    own = {field.name: field.default for field in dataclasses.fields(settings)}
    known = {field.name for each in RECIPES.values() for field in dataclasses.fields(each.settings)}
    for name in known - {"preset"}:
        flag = flags.FLAGS[name]
        if name not in own:
            if flag.present:
                raise UserError(f"--{name} has no meaning with --preset={preset}")
        elif flag.present or preset == "paper":
            values[name] = flag.value
    given = settings(**values)
    # The run is found again from another folder.
    given = dataclasses.replace(
        given,
        source=",".join(map(_absolute, given.sources)) or sources.NONE,
        target=_absolute(given.target),
    )
    given.check()
    if not given.sources:
        for name in _OF_SOURCE:
            if flags.FLAGS[name].present:
                raise UserError(f"--{name} has no meaning with --source={sources.NONE}")
    return given


def _absolute(data: str) -> str:
    return data if data in DATASETS else os.path.abspath(os.path.expanduser(data))


def define_moved_folders() -> None:
    """Defines flags for the folders of a finished run that another machine may have elsewhere."""
    for name in _FOLDERS:
        flags.DEFINE_string(name, None, "where the run's data has moved to")


def with_moved_folders(settings: RunSettings) -> RunSettings:
    """Returns a run's settings with the folders that those flags give."""
    moved = {name: flags.FLAGS[name].value for name in _FOLDERS if hasattr(settings, name)}
    given = {name: value for name, value in moved.items() if value is not None}
    return dataclasses.replace(settings, **given)
