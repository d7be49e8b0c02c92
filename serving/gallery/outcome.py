"""What became of the pictures that `build` or `add` was given."""

import dataclasses


@dataclasses.dataclass
class Outcome:
    """What became of pictures.

    Attributes:
        added: how many are committed, without those that moved.
        bad: how many were left out.
        moved: {new name: old name}; recameraed: how many of them have another camera.
        told: how many were there and have another tracklet or time now.
        copies: {file that got no row: the file whose row stands for it}.
        apart: {file: file of another camera with the same bytes}.
        unknown_cameras: the cameras among those committed that the model has no statistics for.
        cameras: names of the cameras of those committed; None where one has no name.
        version: of the model that embedded them.
    """

    added: int = 0
    bad: int = 0
    moved: dict[str, str] = dataclasses.field(default_factory=dict)
    recameraed: int = 0
    told: int = 0
    copies: dict[str, str] = dataclasses.field(default_factory=dict)
    apart: dict[str, str] = dataclasses.field(default_factory=dict)
    unknown_cameras: set[int] = dataclasses.field(default_factory=set)
    cameras: set[str | None] = dataclasses.field(default_factory=set)
    version: int = 0
