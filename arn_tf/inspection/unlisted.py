"""The one finding on a folder or table that can't be listed at all."""

from arn_tf.inspection.finding import Finding, Level
from datasets.own_cameras.guess import UnknownLayoutError
from datasets.own_cameras.listing import ListingError
from datasets.own_cameras.manifest import ManifestError
from datasets.own_cameras.template import TemplateError

_NAMES = "unlike_names"
# By what raised the error.
_KINDS: dict[type[BaseException], tuple[str, str]] = {
    UnknownLayoutError: ("unknown_layout", "say it, as the text above does"),
    ManifestError: ("unusable_table", "mend the table, as the text above says"),
    TemplateError: (_NAMES, "write another --names"),
    OSError: ("unreadable_folder", "check the rights of the folder and the disk"),
}


def finding(error: ListingError, names: str) -> Finding:
    """Returns the finding that an error of `listing.read` is.

    Args:
        error: of a path that is there.
        names: template of the paths in a folder, or "".
    """
    cause = error.__cause__
    name, do = next(
        (found for kind, found in _KINDS.items() if isinstance(cause, kind)),
        ("no_pictures", "name the folder that holds the crops, JPEG or PNG best"),
    )
    if cause is None and names and "no pictures there" not in str(error):
        name, do = _NAMES, "write --names after the paths that the text above shows"
    return Finding(
        name,
        Level.STOPS,
        0,
        str(error).rstrip("."),
        (),
        "training can't begin: it isn't known which pictures there are, or what they are",
        do,
    )
