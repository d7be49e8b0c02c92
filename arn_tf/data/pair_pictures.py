"""The pictures of a user's table of pairs, as a data set whose pairs are known."""

import numpy as np

from arn_tf.data.own_data import OwnData
from datasets.own_cameras import listing, pairs


class PairPictures(OwnData):
    """The pictures of a table of pairs, decoded in memory.

    Args:
        path: of the table; see `datasets.own_cameras.pairs`.
        names: template of the paths in it, below its folder.
        skip_bad_images: leave out pairs whose pictures can't be read or placed.
        image_size: (height, width) of decoded pictures, in pixels.

    Raises:
        UserError: the table or its pictures can't be used.
    """

    _pairs: pairs.Pairs

    def __init__(
        self, path: str, names: str, skip_bad_images: bool, image_size: tuple[int, int]
    ) -> None:
        super().__init__("pairs", path, names, skip_bad_images, image_size)

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns rows of a, rows of b, int64 [P], of the split `train`, and bool [P], same.

        Pairs are left out whose pictures were.
        """
        files = self.split("train").file_name
        row_of = {file: row for row, file in enumerate(files)}
        rows = np.array([row_of.get(file, -1) for file in self._pairs.files], np.int64)
        a, b = rows[self._pairs.a], rows[self._pairs.b]
        kept = (a >= 0) & (b >= 0)
        return a[kept], b[kept], self._pairs.same[kept]

    def _rows(self, name: str) -> np.ndarray:
        # All are asked for by the one name, in whichever folders of an official data set they lie.
        return np.arange(len(self.listing))

    def _listed(self, path: str, names: str, skip_bad: bool) -> listing.Listing:
        found = pairs.read(path)
        self._pairs = found
        return listing.of_files(found.root, found.files, names, skip_bad, list(found.notes))
