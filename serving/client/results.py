"""What a client gives its caller."""

import dataclasses

import numpy as np

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
        description: of the model, a `ModelDescription`.
        pictures: how many rows there can be.
    """

    def __init__(self, description, pictures):
        self._version = description.version
        self._vectors = np.empty((pictures, description.embedding_dim), np.float32)
        self._files, self._skipped, self._space = [], [], ""
        self._unknown_cameras = set()

    def add(self, part):
        """Adds the next `Embeddings`; returns how many pictures are now dealt with."""
        rows = len(self._files)
        self._vectors[rows : rows + len(part.files)] = part.vectors
        self._files += part.files
        self._skipped += part.skipped
        self._unknown_cameras.update(part.unknown_cameras)
        self._space = self._space or part.space
        return len(self._files) + len(self._skipped)

    def embeddings(self):
        """All that was added."""
        vectors = self._vectors[: len(self._files)]
        return Embeddings(
            vectors, self._files, self._space, self._version, self._skipped,
            sorted(self._unknown_cameras),
        )  # fmt: skip
