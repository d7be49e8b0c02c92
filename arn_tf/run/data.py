"""Opens a run's source or target: a data set by its name, or a user's folder or table."""

from arn_tf.data.own_data import OwnData, Place
from arn_tf.data.reid_data import ReidData
from arn_tf.run.folder import RunDir
from arn_tf.run.settings import DATASETS, RunSettings
from datasets.files.printable import printable


def opened(settings: RunSettings, argument: str, run: RunDir) -> ReidData | OwnData:
    """Opens what the run learns from, or adapts to.

    Args:
        settings: of the run.
        argument: source or target.
        run: its folder, where decoded pictures of a user's own are kept.

    Raises:
        UserError: see `ReidData` and `OwnData`.
    """
    given = getattr(settings, argument)
    if given in DATASETS:
        return ReidData(given, settings.data_dir, settings.manual_dir, settings.skip_bad_images)
    names = settings.names if argument == "target" else settings.source_names
    return OwnData(
        argument,
        given,
        names,
        settings.skip_bad_images,
        settings.image_size,
        Place(run.file("pictures"), run.begun),
    )


def reopened(settings: RunSettings, argument: str, run: RunDir) -> ReidData | OwnData:
    """As `opened`, of a finished run; prints what became of a user's pictures since it began."""
    data = opened(settings, argument, run)
    tell_changes(data)
    return data


def tell_changes(data: ReidData | OwnData) -> None:
    """Prints what became of a user's pictures since the run began."""
    if isinstance(data, OwnData):
        for line in data.changes:
            print(printable(f"{data.name}: {line}"))
