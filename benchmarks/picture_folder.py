"""The pictures of a benchmark, as the client would send them."""

from serving.client import picture_files
from serving.errors import BadInputError


def read(folder: str, most: int) -> list[bytes]:
    """Returns the first pictures below a folder, each JPEG or PNG, upright.

    Args:
        folder: value of `--pictures`.
        most: how many at most.

    Raises:
        SystemExit: there are none, or one of them can't be used.
    """
    try:
        paths = picture_files.find([folder])[:most]
        return [picture_files.upright(picture_files.read(path), path) for path in paths]
    except BadInputError as error:
        raise SystemExit(f"--pictures: {error}") from error
