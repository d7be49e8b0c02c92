"""The pictures of one split, encoded, and what is known of them."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from arn_tf.data.picture_files import HASH_BYTES, PictureFiles, content_hash

# Pictures that are read at once, of those in files.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class Split:
    """Pictures of one split, sorted by file name.

    Attributes:
        images: the encoded pictures, bytes objects [N], in memory or in their files.
        person_id: int64 [N]; -1 junk or unknown, 0 distractor.
        camera_id: int64 [N], see `datasets.camera_names.number_of`; -1 unknown.
        file_name: N names.
        camera_names: {camera_id: name} of cameras whose names are no numbers.
        tracklet: int64 [N], -1 where there is none; None where none is known.
        time: float64 [N], seconds, NaN where it is unknown; None where none is known.
        pictures: uint8 [N, height, width, 3], decoded at the size of the run; None until then.
        hashes: uint8 [N, `HASH_BYTES`], `content_hash` of each picture, where they were kept as it
            was decoded; None: they are computed when they are asked for.
        views: int64 [N]; a match must come from another view. None: from another camera.
    """

    images: np.ndarray | PictureFiles
    person_id: np.ndarray
    camera_id: np.ndarray
    file_name: list[str]
    camera_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    tracklet: np.ndarray | None = None
    time: np.ndarray | None = None
    pictures: np.ndarray | None = None
    hashes: np.ndarray | None = None
    views: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def view_id(self) -> np.ndarray:
        """int64 [N], `views` or the cameras."""
        return self.camera_id if self.views is None else self.views

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the encoded pictures in their order.

        Of pictures in files: of their paths, sizes and times.
        """
        if isinstance(self.images, PictureFiles):
            return self.images.digest
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(len(image).to_bytes(8, "little"))
            digest.update(image)
        return digest.hexdigest()

    def content_hashes(self) -> list[bytes]:
        """Returns a hash of each encoded picture, equal where they are."""
        if self.hashes is not None:
            kept = self.hashes.tobytes()
            return [kept[at : at + HASH_BYTES] for at in range(0, len(kept), HASH_BYTES)]
        return [
            content_hash(image)
            for start in range(0, len(self), _CHUNK)
            for image in self.images[start : start + _CHUNK]
        ]

    def subset(self, rows: np.ndarray) -> "Split":
        """Returns some of the pictures.

        Args:
            rows: int64 [M].
        """
        images = self.images
        arrays = ("person_id", "camera_id", "tracklet", "time", "pictures", "hashes", "views")
        chosen: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[rows]
            for name in arrays
        }
        return dataclasses.replace(
            self,
            images=images.subset(rows) if isinstance(images, PictureFiles) else images[rows],
            file_name=[self.file_name[row] for row in rows.tolist()],
            **chosen,
        )

    def camera(self, row: int) -> str:
        """Returns a picture's camera for a reader: its name, or c and its number."""
        number = int(self.camera_id[row])
        return self.camera_names.get(number, f"c{number}")

    def labels(self) -> tuple[np.ndarray, int]:
        """Returns the row of each picture's identity in a classifier, and the number of rows.

        Returns:
            int32 [N], from 0, and the number of identities.
        """
        identities, labels = np.unique(self.person_id, return_inverse=True)
        return labels.astype(np.int32), len(identities)
