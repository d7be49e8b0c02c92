"""A user's folder or table of pictures as a data set of a run, without a copy of the pictures.

The run records which files it began with, their sizes and times. What was added, removed or changed
since then is said when it goes on, and the run goes on with what it began with.
"""

import dataclasses
import os
import re

import numpy as np

from arn_tf.data import decoded_file, own_record, picture_files
from arn_tf.data.picture_files import PictureFiles
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from datasets import camera_names
from datasets.files.printable import printable
from datasets.own_cameras import guess, listing, table

_SHOWN = 3
_ALL = "train"
# Junk and distractors, of the names that `datasets.layout` knows. MSMT17 has a person 0000.
_NOBODY = {"-1": -1, "0000": 0}
_WITH_NOBODY = ("Market-1501", "DukeMTMC-reID")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run keeps what it makes of the pictures.

    Attributes:
        folder: for the record of the files, and for decoded pictures.
        begun: whether the run has begun to learn from them.
    """

    folder: str
    begun: bool


class OwnData:
    """A folder of pictures, or a table of them, CSV.

    Args:
        argument: source or target, which the pictures were given for.
        path: of the folder or table.
        names: template of the paths in it; see `datasets.own_cameras.template`.
        skip_bad_images: leave out, count and list pictures that can't be read or placed.
        image_size: (height, width) of decoded pictures, in pixels.
        place: of the run that learns from them; None: decoded in memory, and nothing is kept.
        persons: {name: person_id} of persons that other data has too; new ones are added.

    Attributes:
        name: of the folder or table, for titles.
        notes: lines for the user.
        changes: those of them on what became of the pictures since the run began.
        listing: its pictures.
        camera_names: {camera_id: name} of those whose names are no numbers.

    Raises:
        UserError: there are no pictures, it can't be told what they are, or the run can't keep
            which files they are.
    """

    def __init__(
        self,
        argument: str,
        path: str,
        names: str,
        skip_bad_images: bool,
        image_size: tuple[int, int],
        place: Place | None = None,
        persons: dict[str, int] | None = None,
    ) -> None:
        self.name = os.path.basename(os.path.normpath(path)) or path
        self._argument, self._skip_bad_images = argument, skip_bad_images
        self._image_size, self._place = image_size, place
        self._persons = {} if persons is None else persons
        self._splits: dict[str, Split] = {}
        record = os.path.join(place.folder, f"{argument}.json") if place else ""
        try:
            found = self._listed(path, names, skip_bad_images)
            _numbered(found)
        except (listing.ListingError, guess.UnknownLayoutError, table.TableError) as error:
            problem = str(error).removeprefix(f"{os.path.abspath(path)}: ")
            known = own_record.known(record) if place and place.begun else None
            if known is None:
                raise _refusal(argument, path, problem) from error
            self.listing, self._stamps = known
            self.changes = [
                f"{path}: {problem}. The run goes on with the pictures that it began with, as it "
                "has decoded them"
            ]
            notes = list(self.changes)
        else:
            self.listing, notes, self.changes = found, list(found.notes), list[str]()
            self._stamps = picture_files.stamps(found.root, found.files)
            if place is not None:
                try:
                    self.listing, self._stamps, self.changes = own_record.kept(
                        record, found, self._stamps, place.begun
                    )
                except OSError as error:
                    raise UserError(
                        f"{record}: can't be written ({error.strerror or error}). Name a model_dir "
                        "with room that you may write",
                        ["model_dir"],
                    ) from error
                notes += self.changes
        self.camera_names = _numbered(self.listing)
        self.notes = notes

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

    def listed(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns person_id and camera_id of a split, int64 [N] each; no picture is decoded.

        Args:
            name: as in `split`.
        """
        rows = self._rows(name)
        persons = _persons(self.listing, self._persons)
        return persons[rows], _cameras(self.listing)[rows]

    def _listed(self, path: str, names: str, skip_bad: bool) -> listing.Listing:
        return listing.read(path, names, skip_bad)

    def _rows(self, name: str) -> np.ndarray:
        split = self.listing.split
        if not split.names:
            return np.arange(len(self.listing) if name == _ALL else 0)
        code = split.names.index(name) if name in split.names else len(split.names)
        of_none = (split.codes == listing.UNKNOWN) & (name == _ALL)
        return np.flatnonzero((split.codes == code) | of_none)

    def _decoded(self, name: str) -> Split:
        rows = self._rows(name)
        persons = _persons(self.listing, self._persons)
        if self._argument == "source":
            rows = self._with_persons(rows, persons)
        if not len(rows):
            raise UserError(
                f"{self._argument} {self.name}: has no pictures for {name}; scores need query and "
                "gallery pictures whose persons are known",
                [self._argument],
            )
        found, size = self.listing, self._image_size
        files = PictureFiles(found.root, found.files, self._stamps, rows)
        if self._place is None:
            decoded = decoded_file.in_memory(files, size)
        else:
            path = f"{self._place.folder}/{self._argument}_{name}_{size[0]}x{size[1]}"
            title = printable(f"decoding {self.name}")
            decoded = decoded_file.decoded(
                files, size, path, files.digest, title, self._place.begun
            )
        good = np.setdiff1d(np.arange(len(rows)), np.array(list(decoded.bad), int))
        if decoded.bad:
            self._tell_bad(list(decoded.bad.values()), len(rows))
        rows = rows[good]
        return Split(
            images=files.subset(good).with_decoded(decoded.pictures),
            person_id=persons[rows],
            camera_id=_cameras(found)[rows],
            file_name=[found.files[row] for row in rows.tolist()],
            camera_names=self.camera_names,
            tracklet=found.tracklet.codes[rows].astype(np.int64) if found.tracklet.names else None,
            time=None if np.isnan(found.time).all() else found.time[rows],
            pictures=decoded.pictures,
            hashes=decoded.hashes,
        )

    def _with_persons(self, rows: np.ndarray, persons: np.ndarray) -> np.ndarray:
        """Returns those of some pictures that a source can teach with."""
        known = rows[persons[rows] > 0]
        if not len(known):
            raise UserError(
                f"source {self.name}: no picture's person is known, and a source teaches by them. "
                "Name them with source_names={person_id}_{camera}_{*}, or in a table's column "
                "person_id",
                ["source", "source_names"],
            )
        if len(known) < len(rows):
            self.notes.append(f"{len(rows) - len(known)} pictures of no known person are left out")
        return known

    def _tell_bad(self, bad: list[str], count: int) -> None:
        shown = "; ".join(bad[:_SHOWN])
        problem = f"{len(bad)} of {count} pictures can't be used: {shown}"
        if not self._skip_bad_images or len(bad) == count:
            way_out = "Replace or remove them"
            if self._place is not None:  # who only scores has no such flag
                way_out += ", or pass skip_bad_images"
            raise UserError(
                printable(f"{self._argument} {self.name}: {problem}. {way_out}"),
                [self._argument, "skip_bad_images"],
            )
        self.notes.append(f"left out: {problem}")


def _refusal(argument: str, path: str, problem: str) -> UserError:
    template = "names"
    if argument == "source":
        template = "source_names"
        problem = re.sub(r"(?<![\w/.])names(?=[=,])", template, problem)
    text = printable(f"{argument}={path}: {problem}")
    return UserError(text, [argument, template, "skip_bad_images"])


def _numbered(found: listing.Listing) -> dict[int, str]:
    """Returns {camera_id: name} of cameras whose names are no numbers.

    Raises:
        ListingError: two names are one number, as 1 and 01 are.
    """
    try:
        numbers = camera_names.named(found.camera.names)
    except ValueError as error:
        raise listing.ListingError(str(error)) from error
    # Some digits are none to int(), such as ², or too many.
    return {
        number: name for number, name in numbers.items() if str(number) != (name.lstrip("0") or "0")
    }


def _cameras(found: listing.Listing) -> np.ndarray:
    """Returns camera_id, int64 [N]; -1 where it is unknown."""
    names = [*found.camera.names, None]
    return np.array(list(map(camera_names.number_of, names)), np.int64)[found.camera.codes]


def _persons(found: listing.Listing, numbers: dict[str, int]) -> np.ndarray:
    """Returns person_id, int64 [N]: of every name another, from 1; -1 where it is unknown.

    Args:
        found: the pictures.
        numbers: {name: person_id} known before; new names are added.
    """
    known = _NOBODY if found.official in _WITH_NOBODY else {}
    for name in found.person_id.names:
        if name not in known:
            numbers.setdefault(name, len(numbers) + 1)
    codes = [known[name] if name in known else numbers[name] for name in found.person_id.names]
    return np.array([*codes, -1], np.int64)[found.person_id.codes]
