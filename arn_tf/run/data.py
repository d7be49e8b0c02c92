"""Opens a run's sources or target: a data set by its name, or a user's folder or table."""

from arn_tf.data.own_data import OwnData, Place
from arn_tf.data.reid_data import ReidData
from arn_tf.run import sources
from arn_tf.run.folder import RunDir
from arn_tf.run.settings import DATASETS, RunSettings
from datasets.files.printable import printable


def opened(settings: RunSettings, argument: str, run: RunDir) -> ReidData | OwnData:
    """Opens what the run adapts to, or the one source that it learns from.

    Args:
        settings: of the run.
        argument: source or target.
        run: its folder, where decoded pictures of a user's own are kept.

    Raises:
        UserError: see `ReidData` and `OwnData`.
    """
    if argument == "source":
        [source] = opened_sources(settings, run)
        return source
    return _opened(settings, argument, settings.target, settings.names, run, sources.PICTURES)


def opened_sources(settings: RunSettings, run: RunDir) -> list[ReidData | OwnData]:
    """Opens what the run learns from; arguments and errors are those of `opened`."""
    count = len(settings.sources)
    return [
        _opened(settings, "source", given, names, run, sources.folder(number, count))
        for number, (given, names) in enumerate(
            zip(settings.sources, settings.source_templates, strict=True), start=1
        )
    ]


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


def _opened(
    settings: RunSettings, argument: str, given: str, names: str, run: RunDir, folder: str
) -> ReidData | OwnData:
    if given in DATASETS:
        return ReidData(given, settings.data_dir, settings.manual_dir, settings.skip_bad_images)
    return OwnData(
        argument,
        given,
        names,
        settings.skip_bad_images,
        settings.image_size,
        Place(run.file(folder), run.begun),
    )
