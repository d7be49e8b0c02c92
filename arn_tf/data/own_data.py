"""A user's folder or table of pictures as a data set of a run, without a copy of the pictures.

The run records which files it began with, their sizes and times. What was added, removed or changed
since then is said when it goes on, and the run goes on with what it began with.
"""

import dataclasses
import os

import numpy as np

from arn_tf.data import decoded_file, own_record, picture_files
from arn_tf.data.picture_files import PictureFiles
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from datasets import camera_names
from datasets.own_cameras import listing

_SHOWN = 3
_ALL = "train"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run keeps what it makes of the pictures.

    Attributes:
        folder: for the record of the files, and for decoded pictures.
        image_size: (height, width) of those, in pixels.
        begun: whether the run has begun to learn from them.
    """

    folder: str
    image_size: tuple[int, int]
    begun: bool


class OwnData:
    """A folder of pictures, or a table of them, CSV.

    Args:
        argument: source or target, which the pictures were given for.
        path: of the folder or table.
        names: template of the paths in it; see `datasets.own_cameras.template`.
        skip_bad_images: leave out, count and list pictures that can't be read or placed.
        place: of the run.

    Attributes:
        name: of the folder or table, for titles.
        notes: lines for the user.
        listing: its pictures.
        camera_names: {camera_id: name} of those whose names are no numbers.

    Raises:
        UserError: there are no pictures, or it can't be told what they are.
    """

    def __init__(
        self, argument: str, path: str, names: str, skip_bad_images: bool, place: Place
    ) -> None:
        self.name = os.path.basename(os.path.normpath(path)) or path
        self._argument, self._skip_bad_images, self._place = argument, skip_bad_images, place
        self._splits: dict[str, Split] = {}
        try:
            found = listing.read(path, names, skip_bad_images)
            self.camera_names = _numbered(found)
        except listing.ListingError as error:
            template = "names" if argument == "target" else "source_names"
            raise UserError(
                f"{argument}={path}: {error}", [argument, template, "skip_bad_images"]
            ) from error
        stamps = picture_files.stamps(found.root, found.files)
        self.listing, self._stamps, changes = own_record.kept(
            os.path.join(place.folder, f"{argument}.json"), found, stamps, place.begun
        )
        self.notes = [*self.listing.notes, *changes]

    def told(self) -> list[str]:
        """Returns lines for the user on what the pictures are taken for."""
        found = self.listing
        lines = [f"{self._argument} {self.name}: {len(found)} pictures, {found.told_by}"]
        return lines + [f"  {line}" for line in found.examples()]

    def split(self, name: str) -> Split:
        """Returns a split, decoded when it is first asked for.

        Args:
            name: train, query or gallery. All pictures are those of train, unless the folder's
                names say otherwise.

        Raises:
            UserError: it has none, or some can't be used.
        """
        if name not in self._splits:
            self._splits[name] = self._decoded(name)
        return self._splits[name]

    def has_split(self, name: str) -> bool:
        """Whether there are pictures in a split."""
        return len(self._rows(name)) > 0

    def _rows(self, name: str) -> np.ndarray:
        split = self.listing.split
        if not split.names:
            return np.arange(len(self.listing) if name == _ALL else 0)
        code = split.names.index(name) if name in split.names else len(split.names)
        return np.flatnonzero(split.codes == code)

    def _decoded(self, name: str) -> Split:
        rows = self._rows(name)
        if not len(rows):
            raise UserError(
                f"{self._argument} {self.name}: has no pictures for {name}; scores need query and "
                "gallery pictures whose persons are known",
                [self._argument],
            )
        found, size = self.listing, self._place.image_size
        files = PictureFiles(found.root, found.files, self._stamps, rows)
        path = os.path.join(self._place.folder, f"{self._argument}_{name}_{size[0]}x{size[1]}")
        title = f"decoding {self.name}"
        decoded = decoded_file.decoded(files, size, path, files.digest, title)
        good = np.setdiff1d(np.arange(len(rows)), np.array(list(decoded.bad), int))
        if decoded.bad:
            self._tell_bad(list(decoded.bad.values()), len(rows))
        rows = rows[good]
        cameras = np.array(
            [camera_names.number_of(camera) for camera in [*found.camera.names, None]], np.int64
        )
        return Split(
            images=files.subset(good),
            person_id=_persons(found)[rows],
            camera_id=cameras[found.camera.codes[rows]],
            file_name=[found.files[row] for row in rows.tolist()],
            camera_names=self.camera_names,
            tracklet=found.tracklet.codes[rows].astype(np.int64) if found.tracklet.names else None,
            time=None if np.isnan(found.time).all() else found.time[rows],
            pictures=decoded.pictures,
        )

    def _tell_bad(self, bad: list[str], count: int) -> None:
        shown = "; ".join(bad[:_SHOWN])
        problem = f"{len(bad)} of {count} pictures can't be used: {shown}"
        if not self._skip_bad_images or len(bad) == count:
            raise UserError(
                f"{self._argument} {self.name}: {problem}. Replace or remove them, or pass "
                "skip_bad_images",
                [self._argument, "skip_bad_images"],
            )
        self.notes.append(f"left out: {problem}")


def _numbered(found: listing.Listing) -> dict[int, str]:
    """Returns {camera_id: name} of cameras whose names are no numbers.

    Raises:
        ListingError: two names are one number, as 1 and 01 are.
    """
    numbers: dict[int, str] = {}
    for name in found.camera.names:
        other = numbers.setdefault(camera_names.number_of(name), name)
        if other != name:
            raise listing.ListingError(
                f"cameras {other!r} and {name!r} have one number; rename one of them"
            )
    return {number: name for number, name in numbers.items() if not name.isdigit()}


def _persons(found: listing.Listing) -> np.ndarray:
    """Returns person_id, int64 [N]: from 1, or the numbers of an official data set; 0 unknown."""
    names = found.person_id.names
    numbers = [int(name) for name in names] if found.official else list(range(1, len(names) + 1))
    return np.array([*numbers, 0], np.int64)[found.person_id.codes]
