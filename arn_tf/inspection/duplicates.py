"""Which pictures are there more than once: the same bytes, or nearly the same to look at."""

import dataclasses

import numpy as np

# Bits of a hash that may differ; see `facts`.
MOST_BITS = 3
# One band of 16 bits at least is the same where 3 differ.
_BANDS = (0, 16, 32, 48)
# Hashes that are compared with each, of those that share a band: enough, and never quadratic.
_WINDOW = 64
_FAR = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Copies:
    """Pictures that are there more than once.

    Attributes:
        rows: int64 [K], of those pictures; the copies of one lie side by side.
        firsts: int64 [K], of the first copy of each.
        across: bool [K], whether its copies are of more than one camera.
    """

    rows: np.ndarray
    firsts: np.ndarray
    across: np.ndarray


def copies(digest: np.ndarray, camera: np.ndarray, rows: np.ndarray) -> Copies:
    """Finds pictures of the same bytes.

    Args:
        digest: uint64 [N].
        camera: int [N], negative where it is unknown.
        rows: int64 [M], of the pictures that count.
    """
    if not len(rows):
        return Copies(rows, rows, np.zeros(0, bool))
    order = rows[np.argsort(digest[rows], kind="stable")]
    begins = np.flatnonzero(np.concatenate([[True], np.diff(digest[order]) != 0]))
    sizes = np.diff(np.append(begins, len(order)))
    own = camera[order].astype(np.int64)
    least = np.minimum.reduceat(np.where(own < 0, _FAR, own), begins)
    across = least < np.maximum.reduceat(own, begins)
    kept = np.repeat(sizes, sizes) > 1
    return Copies(
        order[kept], np.repeat(order[begins], sizes)[kept], np.repeat(across, sizes)[kept]
    )


@dataclasses.dataclass(frozen=True)
class Near:
    """Pictures that look nearly the same.

    Attributes:
        rows: int64 [K], of those with one like them in another camera.
        others: int64 [K], of that one.
        share_within: of all pictures, those whose hash another picture of the camera has.
    """

    rows: np.ndarray
    others: np.ndarray
    share_within: float


def near(hashes: np.ndarray, camera: np.ndarray, rows: np.ndarray) -> Near:
    """Finds pictures whose hashes differ in `MOST_BITS` or fewer.

    Of very many that look the same some are passed over, so that time grows as the number does.

    Args:
        hashes: uint64 [N].
        camera: int [N], negative where it is unknown.
        rows: int64 [M], of the pictures that count.
    """
    if not len(rows):
        return Near(rows, rows, 0.0)
    order = rows[np.lexsort((camera[rows], hashes[rows]))]
    new = (np.diff(hashes[order]) != 0) | (np.diff(camera[order]) != 0)
    begins = np.flatnonzero(np.concatenate([[True], new]))
    sizes = np.diff(np.append(begins, len(order)))
    first = order[begins]
    other = _other_camera(hashes[first], camera[first])
    found = np.repeat(other, sizes)
    kept = found >= 0
    return Near(order[kept], first[found[kept]], float(sizes[sizes > 1].sum() / len(rows)))


def _other_camera(hashes: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Returns the place of a near hash in another camera, int64, or -1; hashes are sorted."""
    other = np.full(len(hashes), -1, np.int64)
    for band in map(np.uint64, _BANDS):
        turned = (hashes << band) | (hashes >> (np.uint64(64) - band)) if band else hashes
        order = np.argsort(turned, kind="stable")
        turned, cameras = turned[order], camera[order]
        begins = turned >> np.uint64(48)
        for step in range(1, min(_WINDOW, len(order) - 1) + 1):
            together = begins[step:] == begins[:-step]
            if not together.any():
                break
            bits = np.bitwise_count(turned[step:] ^ turned[:-step])
            known = (cameras[step:] >= 0) & (cameras[:-step] >= 0)
            apart = known & (cameras[step:] != cameras[:-step])
            left = np.flatnonzero(together & apart & (bits <= MOST_BITS))
            other[order[left]], other[order[left + step]] = order[left + step], order[left]
    return other
