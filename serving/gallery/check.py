"""Compares a gallery's rows with the files they name.

A disk that isn't mounted looks like one that was emptied. So rows of a folder in which no file of
the gallery is left are removed only where that folder, or one above it, was named.
"""

import collections
import dataclasses
import os

import tqdm

from serving.command import examples
from serving.errors import GalleryError
from serving.gallery.file_state import FileState, gone, state
from serving.gallery.gallery import Gallery
from serving.gallery.records import Picture, Selection

_PAGE = 1000


@dataclasses.dataclass
class Report:
    """What became of the files of rows.

    Attributes:
        count: rows that were compared.
        wrong: (state, picture) of those whose files aren't there as they were, by file.
        lost_folders: {folder in which no file is left: rows}.
    """

    count: int = 0
    wrong: list[tuple[FileState, Picture]] = dataclasses.field(default_factory=list)
    lost_folders: dict[str, int] = dataclasses.field(default_factory=dict)

    def of(self, state: FileState) -> list[Picture]:
        """Returns the pictures whose files are in a state other than `THERE`."""
        return [picture for found, picture in self.wrong if found is state]


def compare(store: Gallery, selection: Selection) -> Report:
    """Compares selected rows with their files, which are all read.

    Memory: the rows that are wrong, and the names of folders.

    Raises:
        GalleryError: the gallery can't be read.
    """
    report = Report()
    kept: set[str] = set()
    with tqdm.tqdm(
        total=store.count(selection), desc="reading", unit=" pictures", disable=None
    ) as bar:
        # Page by page, so that nobody who writes has to wait until all files are read.
        for page in store.pages(selection, _PAGE):
            report.count += len(page)
            for picture in page:
                found = state(picture.file, picture.content_hash)
                if found is not FileState.THERE:
                    report.wrong.append((found, picture))
                if found is not FileState.GONE:
                    kept.add(os.path.dirname(picture.file))
            bar.update(len(page))
    report.wrong.sort(key=lambda each: each[1].file)
    folders = [os.path.dirname(picture.file) for picture in report.of(FileState.GONE)]
    counts = collections.Counter(folder for folder in folders if folder not in kept)
    report.lost_folders = dict(counts)
    return report


def removable(store: Gallery, report: Report, named: bool) -> list[Picture]:
    """Returns the rows whose files are gone, for `Gallery.remove_rows`.

    Args:
        store: the gallery.
        report: of `compare`.
        named: whether the user named the folder that was compared.

    Raises:
        GalleryError: of a folder no file is left, and it wasn't named.
    """
    if report.lost_folders and not named:
        raise GalleryError(
            f"nothing was removed: {lost(report)}, as where a disk isn't mounted. If they are gone "
            "for good, name them, or a folder above them, by `folder`",
            store.folder,
        )
    # Asked again: a disk may have come back while the others were read.
    return [picture for picture in report.of(FileState.GONE) if gone(picture.file)]


def lost(report: Report) -> str:
    """Returns words on the folders in which no file is left."""
    folders = [f"{folder} ({count} pictures)" for folder, count in report.lost_folders.items()]
    return f"{len(folders)} folders have no file of the gallery left: {examples(folders)}"
