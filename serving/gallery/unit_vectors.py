"""Checks embeddings before a gallery takes them."""

import numpy as np

from serving.errors import GalleryError

# Float32 sums over a few thousand numbers stay far below this.
_NORM_TOLERANCE = 1e-3


def check(vectors: np.ndarray, count: int, dim: int) -> None:
    """Raises a GalleryError unless vectors are float32 [count, dim], of unit length."""
    if vectors.dtype != np.float32 or vectors.shape != (count, dim):
        raise GalleryError(
            f"the server sent embeddings {vectors.dtype} {list(vectors.shape)} and the gallery "
            f"takes float32 {[count, dim]}; check `server` and `model`"
        )
    wrong = not_unit(vectors)
    if wrong.size:
        raise GalleryError(
            f"the server sent an embedding that is not finite and of unit length (row {wrong[0]} "
            "of its reply); check `server` and `model`"
        )


def not_unit(vectors: np.ndarray) -> np.ndarray:
    """Returns the rows of float32 [N, D] whose length isn't 1; NaN isn't either."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    return np.flatnonzero(~(np.abs(squares - 1) < _NORM_TOLERANCE))
