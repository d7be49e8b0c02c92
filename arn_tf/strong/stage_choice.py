"""Chooses the stage of a run to keep without a target label; an alarm for collapse."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from arn_tf.ranking import arguments, protocol
from arn_tf.ranking.arguments import units_of
from arn_tf.run import tensorboard
from arn_tf.run.folder import RunDir
from arn_tf.strong import clustering
from datasets.files.atomic_files import replace_text

CHOICE_FILE = "choice.json"

# Networks that work: mean cosine up to .93 (plain embeddings), effective rank from 26.
_MOST_COSINE, _LEAST_RANK = 0.99, 3
# Of consensus. Rounds that led the mean of the weights by less were worse than it.
_LEAST_LEAD = 0.01
# Fewer pictures than this may well span few directions.
_LEAST_PICTURES = 16
# Pictures in float64 at a time.
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which checkpoint to keep.

    Attributes:
        index: of the candidates.
        reason: in words.
        scores: consensus of each candidate, from 0 to 1, higher is better; NaN where it was not
            compared.
    """

    index: int
    reason: str
    scores: tuple[float, ...]


def choose(
    candidates: Sequence[np.ndarray],
    camera_id: np.ndarray,
    alarms: Sequence[str | None] | None = None,
) -> Choice:
    """Chooses the latest checkpoint that none clearly beats in consensus, and no collapsed one.

    Later rounds are better as a rule, so the burden of proof lies on an earlier one: it must
    lead by more than a point, and by more than one standard error (the one-standard-error rule of
    Breiman et al., CART, 1984), taken over clusters.

    Args:
        candidates: real [N, D] each, embeddings of the target's training pictures by every
            checkpoint of one run, in the order of training.
        camera_id: integers [N]; below 0 where it is unknown.
        alarms: why each candidate is known to be collapsed, or None where it isn't; without them
            `collapsed` finds out.

    Raises:
        ValueError: no candidates, or of different shapes.
    """
    candidates = _alike(candidates)
    if alarms is None:
        alarms = [collapsed(embeddings) for embeddings in candidates]
    sound = [row for row, alarm in enumerate(alarms) if alarm is None]
    scores = np.full(len(candidates), np.nan)
    notes = left_out(alarms)
    if not sound:
        return Choice(
            0, "every checkpoint is collapsed: " + "; ".join(notes), tuple(scores.tolist())
        )
    if len(sound) == 1:
        return Choice(sound[0], "; ".join(["the only one", *notes]), tuple(scores.tolist()))
    labels, precision, why_not = consensus([candidates[row] for row in sound], camera_id)
    if why_not:
        notes.insert(0, f"the last one, for there is nothing to compare by: {why_not}")
        return Choice(sound[-1], "; ".join(notes), tuple(scores.tolist()))
    scores[sound] = precision.mean(axis=1)
    best = int(np.argmax(precision.mean(axis=1)))
    for row in reversed(range(len(sound))):
        lead, error = _paired(precision[best] - precision[row], labels)
        if lead <= max(error, _LEAST_LEAD):
            break
        notes.insert(
            0,
            f"stage {sound[row] + 1} is behind stage {sound[best] + 1} by "
            f"{100 * lead:.1f} ± {100 * error:.1f} points",
        )
    notes.insert(
        0,
        f"stage {sound[row] + 1} of {len(candidates)} is the latest that none clearly "
        f"beats in consensus, {100 * scores[sound[row]]:.1f} %",
    )
    return Choice(sound[row], "; ".join(notes), tuple(scores.tolist()))


def left_out(alarms: Sequence[str | None]) -> list[str]:
    """Returns a note on each stage, in the order of training, that has an alarm."""
    return [f"stage {number} is out: {alarm}" for number, alarm in enumerate(alarms, 1) if alarm]


def record(run: RunDir, stages: Sequence[str], choice: Choice) -> None:
    """Writes a choice into the run's folder and TensorBoard, and prints it.

    Args:
        run: folder of the run.
        stages: names of the stages' files, in the order of training.
        choice: among them.
    """
    stage = stages[choice.index]
    scores = {
        name: None if np.isnan(score) else score
        for name, score in zip(stages, choice.scores, strict=True)
    }
    text = json.dumps({"stage": stage, "reason": choice.reason, "scores": scores}, indent=2)
    replace_text(run.file(CHOICE_FILE), text + "\n")
    tensorboard.write_stage(run, "choice", 0, {}, f"```json\n{text}\n```")
    print(f"kept: {stage}, of {', '.join(stages)} ({choice.reason})", flush=True)


def consensus(
    candidates: Sequence[np.ndarray], camera_id: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Measures how well each candidate ranks, by clusters of all candidates together.

    The clusters are those of the candidates' mean cosine: their ensemble is the teacher, as
    in EnsV (Hu et al., "Towards Reliable Model Selection for Unsupervised Domain Adaptation",
    NeurIPS 2024). Every clustered picture is a query to all others, across cameras; pictures
    in no cluster match nothing. HIGHER is better, within one list of candidates only.

    Args:
        candidates: see `choose`.
        camera_id: see `choose`; where fewer than two are known, none is distinguished.

    Returns:
        labels: int64 [Q], the cluster of each query.
        precision: float64 [candidates, Q], average precision.
        why_not: why the clusters can't serve, in words, with the others empty; or None.
    """
    candidates = _alike(candidates)
    camera = arguments.ids("camera_id", camera_id, candidates[0])
    rows = np.flatnonzero(camera >= 0)
    if np.unique(camera[rows]).size >= 2:
        camera = apart = camera[rows]
    else:
        # A camera for each picture: then all others may match it.
        rows = apart = np.arange(len(camera))
    # One copy of all: a large target's fill the memory.
    dtype = np.result_type(*(arguments.common_dtype(each, each) for each in candidates))
    units = np.empty((len(rows), len(candidates), candidates[0].shape[1]), dtype)
    for i, each in enumerate(candidates):
        units[:, i] = units_of(f"candidates[{i}]", each)[rows]
    labels, counts = clustering.cluster(units.reshape(len(rows), -1), camera)
    why_not = clustering.stop_reason(counts)
    if why_not:
        return np.empty(0, np.int64), np.empty((len(candidates), 0)), why_not
    used = labels >= 0
    person = np.where(used, labels + 1, arguments.DISTRACTOR)
    precision = np.stack(
        [
            protocol.rank_gallery(
                embeddings[used], embeddings, person[used], person, apart[used], apart
            ).average_precision
            for embeddings in units.swapaxes(0, 1)
        ]
    )
    valid = np.isfinite(precision[0])
    return labels[used][valid], precision[:, valid], None


def collapsed(embeddings: np.ndarray) -> str | None:
    """Returns why embeddings can't separate pictures, in words; None where they seem to.

    They are nearly the same, zero or not finite, or vary in hardly more than a direction or two.
    Of fewer than 16 pictures only zeros and numbers that are not finite count. Embeddings that
    were standardised hide that they are the same: see `collapsed_statistics`.

    Args:
        embeddings: real [N, D].
    """
    embeddings = np.asarray(embeddings)
    if not np.isfinite(embeddings).all():
        return "the embeddings are not finite"
    zeros = int(np.count_nonzero(~np.any(embeddings, axis=1)))
    if zeros:
        return f"the embeddings of {zeros} of {len(embeddings)} pictures are zero"
    units = units_of("embeddings", embeddings)
    images = len(units)
    if images < _LEAST_PICTURES:
        return None
    total = units.sum(axis=0, dtype=np.float64)
    cosine = (total @ total - images) / (images * (images - 1))
    if cosine > _MOST_COSINE:
        return f"the embeddings are nearly the same for all pictures: mean cosine {cosine:.4f}"
    rank = effective_rank(units)
    if rank < _LEAST_RANK:
        return f"the embeddings vary in hardly any direction: effective rank {rank:.1f}"
    return None


def collapsed_statistics(mean: np.ndarray, deviation: np.ndarray) -> str | None:
    """Returns `collapsed` by the mean and deviation that embeddings are standardised by.

    Args:
        mean: real [D], as `CameraTable.embedding_statistics` has them.
        deviation: real [D], likewise.
    """
    squares = [float(np.sum(np.square(value, dtype=np.float64))) for value in (mean, deviation)]
    # What the mean cosine would be, were all of the mean's length.
    cosine = squares[0] / max(sum(squares), np.finfo(np.float64).tiny)
    if cosine > _MOST_COSINE:
        return f"the embeddings are nearly the same for all pictures: mean cosine {cosine:.4f}"
    return None


def effective_rank(units: np.ndarray) -> float:
    """Returns exp of the entropy of the covariance's spectrum (Roy and Vetterli, EUSIPCO 2007).

    Args:
        units: real [N, D].
    """
    mean = units.mean(axis=0, dtype=np.float64)
    if len(units) < units.shape[1]:
        centred = units - mean
        products = centred @ centred.T
    else:
        products = np.zeros((len(mean), len(mean)))
        for start in range(0, len(units), _BLOCK):
            centred = units[start : start + _BLOCK] - mean
            products += centred.T @ centred
    spectrum = np.maximum(np.linalg.eigvalsh(products), 0)
    if not spectrum.sum() > 0:
        return 1.0
    share = spectrum[spectrum > 0] / spectrum.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


def _alike(candidates: Sequence[np.ndarray]) -> list[np.ndarray]:
    candidates = [np.asarray(each) for each in candidates]
    if not candidates:
        raise ValueError("there are no candidates to choose from")
    shapes = {each.shape for each in candidates}
    if len(shapes) > 1:
        raise ValueError(f"candidates must be of the same pictures and width, not {shapes}")
    return candidates


def _paired(difference: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the mean of a difference and its standard error over clusters."""
    mean = difference.mean()
    sums = np.bincount(labels, difference - mean)
    sums = sums[np.unique(labels)]
    clusters = len(sums)
    return mean, np.sqrt(clusters / (clusters - 1) * np.sum(sums**2)) / len(difference)
