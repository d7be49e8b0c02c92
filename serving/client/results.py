"""What a client gives its caller, and how the parts of a job are put together."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from datasets import camera_names
from datasets.camera_names import UNKNOWN_CAMERA
from serving.errors import BadImageError


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """A served model, as its server describes it.

    Attributes:
        name: the server's name for it.
        version: its number, the newest when the server was asked.
        embedding_dim: D, the length of an embedding.
        image_size: (height, width) of `embed_images`, in pixels. Encoded pictures may have any.
        takes_cameras: whether pictures may come with their camera's number.
    """

    name: str
    version: int
    embedding_dim: int
    image_size: tuple[int, int]
    takes_cameras: bool = False


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version of a model: its number, state ("AVAILABLE", "LOADING", ...) and error, if any."""

    version: int
    state: str
    error: str


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one model version.

    Attributes:
        vectors: float32 [N, D], each of length 1.
        files: N names, one a row.
        space: fingerprint of the embedding space; only embeddings of one space can be compared.
            Empty when N is 0, for then the server was not asked.
        version: of the model.
        skipped: why each picture that has no row was left out.
        unknown_cameras: numbers among the given cameras, each once, ascending, for which the model
            has no statistics; their pictures were embedded by those of the whole target.
    """

    vectors: np.ndarray
    files: list[str]
    space: str
    version: int
    skipped: list[BadImageError]
    unknown_cameras: list[int] = dataclasses.field(default_factory=list)


class Gathered:
    """Puts the parts of a job together, in one copy.

    Args:
        description: of the model.
        pictures: how many rows there can be.
    """

    def __init__(self, description: ModelDescription, pictures: int) -> None:
        self._version = description.version
        self._vectors = np.empty((pictures, description.embedding_dim), np.float32)
        self._files: list[str] = []
        self._skipped: list[BadImageError] = []
        self._space = ""
        self._unknown_cameras: set[int] = set()

    def add(self, part: Embeddings) -> int:
        """Adds the next part; returns how many pictures it settles, embedded or skipped."""
        rows = len(self._files)
        self._vectors[rows : rows + len(part.files)] = part.vectors
        self._files += part.files
        self._skipped += part.skipped
        self._unknown_cameras.update(part.unknown_cameras)
        self._space = self._space or part.space
        return len(part.files) + len(part.skipped)

    def embeddings(self) -> Embeddings:
        """Returns all that was added."""
        return Embeddings(
            self._vectors[: len(self._files)],
            self._files,
            self._space,
            self._version,
            self._skipped,
            sorted(self._unknown_cameras),
        )


@contextlib.contextmanager
def progress_bar(pictures: int, shown: bool) -> Iterator[Callable[[int], object]]:
    """A context with a progress bar on stderr, and the function that advances it by N pictures.

    Args:
        pictures: how many there are.
        shown: whether to draw it.
    """
    if not shown:
        yield lambda settled: None
        return
    import tqdm  # It starts a thread, so it is loaded only to draw.

    with tqdm.tqdm(total=pictures, unit="picture", file=sys.stderr) as bar:
        yield bar.update


def camera_notes(
    unknown: Iterable[int], model: str, version: int, names: Iterable[str | None] = ()
) -> list[str]:
    """Returns lines for a user on cameras without statistics of their own.

    Args:
        unknown: their numbers, each once; -1 stands for pictures whose camera is unknown.
        model: name of the model.
        version: of the model.
        names: of the cameras that the numbers stand for, where they are known.
    """
    name_of = {camera_names.number_of(name): name for name in set(names)}
    unknown = sorted(unknown)
    lines = []
    numbers = [name_of.get(camera) or str(camera) for camera in unknown if camera != UNKNOWN_CAMERA]
    if numbers:
        lines.append(
            f"note: model {model} version {version} has no statistics of camera "
            f"{', '.join(numbers)}: its pictures were embedded by those of the whole target. "
            "Calibrate it with arn_tf.calibrate and export again"
        )
    if UNKNOWN_CAMERA in unknown:
        lines.append(
            "note: pictures whose camera is unknown were embedded by the statistics of the "
            "whole target"
        )
    return lines
