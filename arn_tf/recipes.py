"""The recipes by name, their flags, and the settings of a run from flags or from its folder."""

import dataclasses
import json

from absl import flags

from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run.settings import DATASETS
from arn_tf.strong.settings import StrongSettings

PRESETS = {"paper": Settings, "strong": StrongSettings}
_FOLDERS = ("data_dir", "manual_dir", "cache_dir")

__all__ = [
    "DATASETS", "PRESETS", "define_flags", "define_moved_folders", "from_flags", "load",
    "with_moved_folders",
]  # fmt: skip


def define_flags(**defaults):
    """Defines --preset and a flag for each setting of any; `defaults` replace the dataclasses'."""
    flags.DEFINE_enum(
        "preset", "paper", sorted(PRESETS),
        "paper: ARN as published; strong: tuned backbone, camera statistics and self-training",
    )  # fmt: skip
    fields = {}
    for name, settings in PRESETS.items():
        for field in dataclasses.fields(settings):
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
        if len(owners) < len(PRESETS):
            text += f" [only --preset={owners[0][0]}]"
        elif owners[1][1].default != field.default:
            text += f" [--preset={owners[1][0]}: {owners[1][1].default}]"
        define(name, defaults.get(name, field.default), text)


def from_flags():
    """The checked settings that the flags give.

    Raises:
        UserError: see `RunSettings.check`; or a flag that the preset doesn't have.
    """
    preset = flags.FLAGS.preset
    settings = PRESETS[preset]
    values = {}
    own = {field.name: field.default for field in dataclasses.fields(settings)}
    known = {field.name for each in PRESETS.values() for field in dataclasses.fields(each)}
    for name in known - {"preset"}:
        flag = flags.FLAGS[name]
        if name not in own:
            if flag.present:
                raise UserError(f"--{name} has no meaning with --preset={preset}")
        elif flag.present or preset == "paper":
            values[name] = flag.value
    settings = settings(**values)
    settings.check()
    return settings


def load(path):
    """Reads the file that `RunSettings.save` wrote.

    Raises:
        UserError: not such a file.
    """
    try:
        with open(path) as file:
            values = json.load(file)
        return PRESETS[values.get("preset", "paper")](**values)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the settings of a run of arn_tf.train ({error})") from error


def define_moved_folders():
    """Defines flags for the folders of a finished run that another machine may have elsewhere."""
    for name in _FOLDERS:
        flags.DEFINE_string(name, None, "where the run's data has moved to")


def with_moved_folders(settings):
    """A run's settings with the folders that those flags give."""
    moved = {name: flags.FLAGS[name].value for name in _FOLDERS if hasattr(settings, name)}
    given = {name: value for name, value in moved.items() if value is not None}
    return dataclasses.replace(settings, **given)
