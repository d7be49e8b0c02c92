"""The data sets that a run's settings name: what they may be, and whether they are there."""

import os
from typing import TYPE_CHECKING

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import sources
from datasets.files import answers

if TYPE_CHECKING:
    from arn_tf.run.settings import RunSettings

# Data sets that have a name; others are a user's own.
DATASETS = ("market", "duke", "toy_market", "toy_duke")
KINDS = f"one of {', '.join(DATASETS)}, or a folder of pictures, or a table of them (CSV)"


def check(settings: "RunSettings") -> None:
    """Checks that sources and target are there, and that none is another one.

    Raises:
        UserError: see above; or a template is given for what has its own names.
    """
    given = settings.sources
    if not given and settings.source_names:
        raise ArgumentError("source_names", settings.source_names, "there is no source")
    for number, (source, names) in enumerate(
        zip(given, settings.source_templates, strict=True), start=1
    ):
        record = os.path.join(sources.folder(number, len(given)), "source.json")
        _check(settings, "source", source, "source_names", names, record)
    record = os.path.join(sources.PICTURES, "target.json")
    _check(settings, "target", settings.target, "names", settings.names, record)
    places = {_place(settings.target)}
    for number, source in enumerate(given, start=1):
        places.add(_place(source))
        if len(places) > number:
            continue
        if _place(source) == _place(settings.target):
            raise UserError(
                f"source and target are both {source}: adaptation goes from one data set to "
                "another",
                ["source", "target"],
            )
        raise ArgumentError("source", settings.source, f"{source} is there twice; name it once")


def is_recorded(settings: "RunSettings", record: str) -> bool:
    """Whether the run has decoded a user's pictures and learns from them already.

    Args:
        settings: of the run.
        record: of the pictures, below the run's folder; see `own_record`.
    """
    needed = ("initial.keras", record)
    return all(os.path.exists(os.path.join(settings.run_dir, name)) for name in needed)


def is_there(argument: str, path: str) -> bool:
    """Whether a path is that of a folder or a file.

    Args:
        argument: that it was given as.
        path: as given.

    Raises:
        UserError: its disk doesn't answer.
    """
    try:
        return answers.is_folder(path) or answers.is_file(path)
    except OSError as error:
        problem = f"can't be read ({error.strerror}); {answers.way_out(error)}"
        raise ArgumentError(argument, path, problem) from error


def title(data: str) -> str:
    """Returns a data set's name, or that of a user's folder or table, as part of a path."""
    return data if data in DATASETS else os.path.splitext(os.path.basename(data))[0]


def _check(
    settings: "RunSettings", argument: str, given: str, template: str, names: str, record: str
) -> None:
    if given in DATASETS:
        if names:
            raise UserError(
                f"{template}={names}: {given} has its own names; that is for a folder of pictures",
                [template],
            )
    elif not (is_recorded(settings, record) or is_there(argument, given)):
        raise ArgumentError(
            argument,
            given,
            f"no such folder or table; data sets that have a name are {', '.join(DATASETS)}",
        )


def _place(data: str) -> str:
    """Returns a data set's name, or the real path of a folder or table, which has many names."""
    return data if data in DATASETS else os.path.realpath(data)
