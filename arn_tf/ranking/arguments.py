"""Checks and prepares arrays for the modules of this folder; every error names the argument."""

import numpy as np
import numpy.typing as npt

JUNK = -1
DISTRACTOR = 0
# What `no_match` begins with.
NO_MATCH = "no query has a match"

# Numbers normalised at a time: bounds the temporaries, and fits in a CPU's cache.
_NUMBERS = 2**16
# Lengths from 1 / _SAFE to _SAFE have squares that neither overflow nor vanish.
_SAFE = 2.0**30


def unit_rows(
    name: str, embeddings: np.ndarray, dtype: type[np.floating], keep: np.ndarray
) -> np.ndarray:
    """Returns a copy of the rows to keep, each divided by its length; all rows are checked.

    Args:
        name: of the argument, for errors.
        embeddings: real [N, D].
        dtype: of the result.
        keep: bool [N].

    Raises:
        ValueError: a row is all zeros or not finite.
    """
    units = np.empty((np.count_nonzero(keep), embeddings.shape[1]), dtype)
    rows = max(1, _NUMBERS // embeddings.shape[1])
    filled = 0
    for start in range(0, len(embeddings), rows):
        unit = embeddings[start : start + rows].astype(dtype, copy=False)
        length = _lengths(unit)
        if not ((length > 1 / _SAFE) & (length < _SAFE)).all():
            largest = np.abs(unit).max(axis=1)
            wrong = np.flatnonzero(~np.isfinite(largest) | (largest == 0))
            if wrong.size:
                what = "all zeros" if largest[wrong[0]] == 0 else "not finite"
                raise ValueError(f"{name}: row {start + wrong[0]} is {what}")
            # By a power of two near the largest entry first, which rounds nothing: then no row
            # can overflow or vanish when squared.
            unit = unit / np.ldexp(dtype(1), np.frexp(largest)[1] - 1)[:, np.newaxis]
            length = _lengths(unit)
        kept = keep[start : start + rows]
        if not kept.all():
            unit, length = unit[kept], length[kept]
        stop = filled + len(unit)
        np.divide(unit, length[:, np.newaxis], out=units[filled:stop])
        filled = stop
    return units


def _lengths(rows: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return length


def embeddings(name: str, value: npt.ArrayLike, ndim: int = 2) -> np.ndarray:
    """Returns real numbers as an array [N, D], of the type that they have.

    Args:
        name: of the argument, for errors.
        value: real [N, D]; or [D], where `ndim` is 1.
        ndim: 1 or 2, the dimensions that `value` must have.

    Raises:
        ValueError: another shape or type, or no number at all.
    """
    value = np.asarray(value)
    if value.ndim != ndim or not value.size or value.dtype.kind not in "fiu":
        shape = "[D]" if ndim == 1 else "[N, D]"
        raise ValueError(
            f"{name} must be real numbers of shape {shape}, not {value.dtype} of {value.shape}"
        )
    return value.reshape(-1, value.shape[-1])


def units_of(name: str, value: npt.ArrayLike) -> np.ndarray:
    """Returns embeddings at unit length, float [N, D].

    Args:
        name: of the argument, for errors.
        value: real [N, D], of any length above zero.

    Returns:
        float32, or float64 where `value` is wider than float32.

    Raises:
        ValueError: another shape or type, or a row that is all zeros or not finite.
    """
    rows = embeddings(name, value)
    return unit_rows(name, rows, common_dtype(rows, rows), np.full(len(rows), True))


def common_dtype(query: np.ndarray, gallery: np.ndarray) -> type[np.floating]:
    """Returns float32, or float64 where one of two arrays of embeddings is wider than that.

    Raises:
        ValueError: their widths differ.
    """
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"gallery_embeddings have {gallery.shape[1]} numbers each, the query's {query.shape[1]}"
        )
    wide = np.result_type(query, gallery, np.float32).itemsize > 4
    return np.float64 if wide else np.float32


def ids(name: str, value: npt.ArrayLike, like: np.ndarray, least: int | None = None) -> np.ndarray:
    """Returns person or camera ids as int64 [N].

    Args:
        name: of the argument, for errors.
        value: integers [N].
        like: the embeddings [N, D] that they belong to.
        least: smallest id that there may be, or None for any.

    Raises:
        ValueError: another shape or type, or an id below `least`.
    """
    value = np.asarray(value)
    if value.shape != like.shape[:1] or value.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be {len(like)} integers, one per embedding, not {value.dtype} of "
            f"{value.shape}"
        )
    value = value.astype(np.int64)
    if least is not None and value.min() < least:
        raise ValueError(
            f"{name}: row {value.argmin()} is {value.min()}, below {least}; persons are numbered "
            f"from 1, and a gallery may hold {DISTRACTOR} for distractors and {JUNK} for junk"
        )
    return value


def positive(name: str, value: int) -> int:
    """Returns `value`; raises a ValueError unless it is an integer of at least 1."""
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)


def no_match(
    query_person: np.ndarray,
    gallery_person: np.ndarray,
    query_camera: np.ndarray,
    gallery_camera: np.ndarray,
) -> str:
    """Returns a sentence on why no query has a match; often it is the cameras.

    Args:
        query_person: int64 [Q].
        gallery_person: int64 [G], without junk.
        query_camera: int64 [Q].
        gallery_camera: int64 [G].
    """
    cameras = np.union1d(query_camera, gallery_camera)
    if not gallery_person.size:
        why = f"every gallery picture is junk (person {JUNK})"
    elif cameras.size == 1:
        why = (
            f"all pictures have the camera id {cameras[0]}; if the cameras are not known, give "
            "the query and the gallery pictures different camera ids"
        )
    elif not np.isin(query_person, gallery_person).any():
        why = "no person of query_person_id is in gallery_person_id"
    else:
        why = "every person in both was seen by one camera only"
    return f"{NO_MATCH}, a gallery picture of its person from another camera: {why}"
