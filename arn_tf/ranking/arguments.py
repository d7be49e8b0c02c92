"""Checks and prepares what `arn_tf.ranking.protocol` is given; every error names the argument."""

import numpy as np
import numpy.typing as npt

JUNK = -1
DISTRACTOR = 0

# Rows normalised at a time: bounds the temporaries, and fits in a CPU's cache.
_ROWS = 1024


def unit_rows(name: str, embeddings: np.ndarray, dtype, keep: np.ndarray) -> np.ndarray:
    """A copy of the rows to keep, each divided by its length; all rows are checked."""
    units = np.empty((np.count_nonzero(keep), embeddings.shape[1]), dtype)
    filled = 0
    for start in range(0, len(embeddings), _ROWS):
        unit = embeddings[start : start + _ROWS].astype(dtype)
        largest = np.abs(unit).max(axis=1)
        wrong = np.flatnonzero(~np.isfinite(largest) | (largest == 0))
        if wrong.size:
            what = "all zeros" if largest[wrong[0]] == 0 else "not finite"
            raise ValueError(f"{name}: row {start + wrong[0]} is {what}")
        # By a power of two near the largest entry first, which rounds nothing: then no row
        # can overflow or vanish when squared.
        unit /= np.ldexp(dtype(1), np.frexp(largest)[1] - 1)[:, np.newaxis]
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        unit = unit[keep[start : start + _ROWS]]
        units[filled : filled + len(unit)] = unit
        filled += len(unit)
    return units


def embeddings(name: str, value, ndim: int = 2) -> np.ndarray:
    value = np.asarray(value)
    if value.ndim != ndim or not value.size or value.dtype.kind not in "fiu":
        shape = "[D]" if ndim == 1 else "[N, D]"
        raise ValueError(
            f"{name} must be real numbers of shape {shape}, not {value.dtype} of {value.shape}"
        )
    return value.reshape(-1, value.shape[-1])


def units_of(name: str, value: npt.ArrayLike) -> np.ndarray:
    """Embeddings, real [N, D], at unit length; float32, or float64 where they are wider."""
    rows = embeddings(name, value)
    dtype = common_dtype(rows, rows)
    return unit_rows(name, rows, dtype, np.full(len(rows), True))


def common_dtype(query: np.ndarray, gallery: np.ndarray):
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"gallery_embeddings have {gallery.shape[1]} numbers each, the query's {query.shape[1]}"
        )
    wide = np.result_type(query, gallery, np.float32).itemsize > 4
    return np.float64 if wide else np.float32


def ids(name: str, value, like: np.ndarray, least: int | None = None) -> np.ndarray:
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
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)


def no_match(query_person, gallery_person, query_camera, gallery_camera) -> str:
    """Says why no query has a match; on people's own data it is mostly the cameras."""
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
    return f"no query has a match, a gallery picture of its person from another camera: {why}"
