"""What a gallery holds of its model and pictures, and how some of them are selected."""

import dataclasses

from datasets.own_cameras.cameras import Tracklet


@dataclasses.dataclass(frozen=True)
class Binding:
    """The model whose embeddings a gallery holds; any with the same space may be searched."""

    embedding_space: str
    name: str
    version: int
    dim: int


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a gallery.

    Attributes:
        file: absolute path.
        camera: name of the camera, or None.
        content_hash: SHA-256 of the file, 32 bytes.
        inserted_at: seconds since 1970, UTC; set by the store where it is 0.
        id: row in the store; set by the store.
        tracklet: that it is of, in its camera, or None. To `Gallery.add` and `move` None is
            not known: a picture that is there keeps its own.
        taken_at: when it was taken, in seconds, or None; to `add` and `move` as the tracklet.
    """

    file: str
    camera: str | None
    content_hash: bytes
    inserted_at: int = 0
    id: int = 0
    tracklet: Tracklet | None = None
    taken_at: float | None = None

    def keeping(self, old: "Picture") -> "Picture":
        """Returns this one with its row's age, and its tracklet and time where none is told."""
        return dataclasses.replace(
            self,
            inserted_at=old.inserted_at,
            tracklet=old.tracklet if self.tracklet is None else self.tracklet,
            taken_at=old.taken_at if self.taken_at is None else self.taken_at,
        )

    def agrees(self, told: "Picture") -> bool:
        """Whether this one, of a gallery, has the tracklet and time that are told, if any are."""
        return told.tracklet in (None, self.tracklet) and told.taken_at in (None, self.taken_at)


@dataclasses.dataclass(frozen=True)
class Hit:
    """A gallery picture and the cosine of its embedding and the query's."""

    picture: Picture
    score: float


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which pictures; all conditions must hold, and an empty one always does.

    Attributes:
        files: absolute paths. Files and patterns together are one condition.
        patterns: glob patterns, absolute; `*` crosses folders, as SQLite's GLOB has it.
        cameras: names of cameras.
        other_than_camera: leaves this camera out; pictures without a camera stay.
        inserted_before: seconds since 1970.
        taken_after: seconds; this moment and later. Pictures without a time don't pass, here and
            in the next.
        taken_before: seconds; earlier than this moment.
    """

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    other_than_camera: str | None = None
    inserted_before: int | None = None
    taken_after: float | None = None
    taken_before: float | None = None

    @property
    def by_time(self) -> bool:
        """Whether only pictures with a time can pass."""
        return self.taken_after is not None or self.taken_before is not None

    def sql(self) -> tuple[str, list[str | int | float]]:
        """Returns a condition of SQL and its parameters."""
        conditions = ["1"]
        parameters: list[str | int | float] = []
        if self.files or self.patterns:
            exact = f"file IN ({', '.join('?' * len(self.files))})"
            each = " OR ".join([exact] + ["file GLOB ?"] * len(self.patterns))
            conditions.append(f"({each})")
            parameters += self.files + self.patterns
        if self.cameras:
            conditions.append(f"camera IN ({', '.join('?' * len(self.cameras))})")
            parameters += self.cameras
        if self.other_than_camera is not None:
            conditions.append("camera IS NOT ?")
            parameters.append(self.other_than_camera)
        if self.inserted_before is not None:
            conditions.append("inserted_at < ?")
            parameters.append(self.inserted_before)
        # A comparison with NULL isn't true.
        if self.taken_after is not None:
            conditions.append("taken_at >= ?")
            parameters.append(self.taken_after)
        if self.taken_before is not None:
            conditions.append("taken_at < ?")
            parameters.append(self.taken_before)
        return " AND ".join(conditions), parameters


EVERYTHING = Selection()
