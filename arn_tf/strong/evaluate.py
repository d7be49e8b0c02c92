"""Scores a run of the strong recipe, in rows that say what each part gives.

No statistic comes from the query or the gallery, but rows (c) re-rank, which uses the gallery as a
whole.
"""

import functools
import json
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.layers.normalization import UNKNOWN_CAMERA
from arn_tf.ranking import reranking, scores, tracklets
from arn_tf.ranking.evaluation import Evaluation, Kept, Row
from arn_tf.run import scored
from arn_tf.run.data import opened
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import TARGETS_OWN, Labelled
from arn_tf.strong import batches, camera_statistics, oracle, stage_choice, unlabelled_scores
from arn_tf.strong import train as strong_train
from arn_tf.strong.embedding import embed_by_camera, embed_plain
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from arn_tf.strong.stages import ADAPTED as ADAPTED_FILE
from arn_tf.strong.stages import round_file

UNTRAINED = "untrained"
UNTRAINED_CAMERAS = "untrained_cameras"
SOURCE_ONLY = "source_only"
SOURCE_ONLY_CAMERAS = "source_only_cameras"
SOURCE_ONLY_RERANKED = "source_only_reranked"
ADAPTED = "adapted"
ADAPTED_CAMERAS = "adapted_cameras"
ADAPTED_RERANKED = "adapted_reranked"
TITLES = {
    UNTRAINED: "untrained pooled backbone",
    UNTRAINED_CAMERAS: "untrained, standardised per camera",
    SOURCE_ONLY: "source only (a) plain statistics",
    SOURCE_ONLY_CAMERAS: "source only (b) camera statistics, flip",
    SOURCE_ONLY_RERANKED: "source only (c) = (b) + re-ranking",
    ADAPTED: "self-trained (a) plain statistics",
    ADAPTED_CAMERAS: "self-trained (b) camera statistics, flip",
    ADAPTED_RERANKED: "self-trained (c) = (b) + re-ranking",
}
# Of a run without a source: the weights that it was given are those of its untrained network.
WITHOUT_SOURCE = {
    SOURCE_ONLY: "as given (a) plain statistics",
    UNTRAINED_CAMERAS: "as given, standardised per camera",
    SOURCE_ONLY_CAMERAS: "calibrated (b) camera statistics, flip",
    SOURCE_ONLY_RERANKED: "calibrated (c) = (b) + re-ranking",
    ADAPTED: "self-trained (a) statistics as given",
    ADAPTED_CAMERAS: TITLES[ADAPTED_CAMERAS],
    ADAPTED_RERANKED: TITLES[ADAPTED_RERANKED],
}
# Of rows about the model that is served; the last one that a table has counts.
SERVED_TITLES = (
    TITLES[SOURCE_ONLY_CAMERAS],
    WITHOUT_SOURCE[SOURCE_ONLY_CAMERAS],
    TITLES[ADAPTED_CAMERAS],
    # In tables of earlier versions, of stages that were chosen by labels.
    f"ORACLE, by labels: {TITLES[ADAPTED_CAMERAS]}",
    oracle.title(TITLES[ADAPTED_CAMERAS]),
)


def titles_of(settings: StrongSettings) -> dict[str, str]:
    """Returns {key: title} of the rows of a run."""
    titles = TITLES if settings.sources else WITHOUT_SOURCE
    if not settings.oracle_labels:
        return titles
    by_labels = (ADAPTED, ADAPTED_CAMERAS, ADAPTED_RERANKED)
    return titles | {key: oracle.title(titles[key]) for key in by_labels}


def evaluate(
    run: RunDir,
    settings: StrongSettings,
    rerank: bool | None = None,
    labelled: Labelled = TARGETS_OWN,
) -> Evaluation:
    """Scores every stage of a finished run on the target, or says what can be said without labels.

    Args:
        run: folder of the run.
        settings: of the run.
        rerank: whether there are rows (c), which are re-ranked; None: yes.
        labelled: pictures to score on; see `scored.splits`.

    Raises:
        UserError: the run isn't finished, or its data can't be read.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    # Listed and read once; not at all, yet, where the user's own pictures can't be used.
    target = functools.cache(lambda: opened(settings, "target", run))
    found = scored.splits(settings, run, labelled, target)
    if found is None:
        return _without_labels(run, settings, target().split("train"))
    splits = list(found)
    pictures = [batches.decoded(split, settings.image_size) for split in splits]
    model = run.load_model(strong_train.RESULT)
    titles = titles_of(settings)
    rows = []

    def add(key: str, embeddings: list[np.ndarray], distance: Callable | None = None) -> None:
        rows.append(Row(key, titles[key], scores.score(*embeddings, *splits, distance=distance)))

    def add_stage(model: StrongModel, plain: str, cameras: str, reranked: str) -> list[np.ndarray]:
        if not any(row.key == plain for row in rows):
            add(plain, [embed_plain(model, each) for each in pictures])
        embeddings = [
            embed_by_camera(model, each, split.camera_id)
            for each, split in zip(pictures, splits, strict=True)
        ]
        add(cameras, embeddings)
        if rerank in (None, True):
            add(reranked, embeddings, reranking.rerank)
        return embeddings

    initial = run.load_model(strong_train.INITIAL)
    plain = [embed_plain(initial, each) for each in pictures]
    # Without a source the stage that others begin with has the weights of the first.
    add(UNTRAINED if settings.sources else SOURCE_ONLY, plain)
    train = target().split("train")
    known = embed_plain(initial, batches.decoded(train, settings.image_size))
    standardized = [
        _standardized(each, split.camera_id, known, train.camera_id)
        for each, split in zip(plain, splits, strict=True)
    ]
    add(UNTRAINED_CAMERAS, standardized)
    trained = os.path.exists(run.file(round_file(1)))
    # Without a round the result is the source's model, perhaps calibrated since.
    adapted = run.load_model(ADAPTED_FILE) if trained else model
    embeddings = add_stage(adapted, SOURCE_ONLY, SOURCE_ONLY_CAMERAS, SOURCE_ONLY_RERANKED)
    notes = _cameras_without_statistics(model, splits, "query or gallery pictures")
    kept = SOURCE_ONLY_CAMERAS
    if trained:
        kept = ADAPTED_CAMERAS
        embeddings = add_stage(model, ADAPTED, ADAPTED_CAMERAS, ADAPTED_RERANKED)
        notes.append(f"the {_learnt(settings)} rows are those of {_kept(run)}")
    title = f"{settings.direction}: strong recipe (b)"
    lists = scores.draw_ranked_lists(*embeddings, *splits, title)
    made = Kept(titles[kept], *splits, *embeddings)
    by_tracklet, more = tracklets.row(made, kept)
    return Evaluation(rows, lists, notes + more, kept=made, by_tracklet=by_tracklet)


def embed(run: RunDir, settings: StrongSettings, split: Split) -> tuple[np.ndarray, list[str]]:
    """Embeds pictures as the served model does, by their cameras.

    Returns:
        float32 [N, D], of unit length, and what a reader must know, a list of sentences.

    Raises:
        UserError: the run isn't finished.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    model = run.load_model(strong_train.RESULT)
    embeddings = embed_by_camera(
        model, batches.decoded(split, settings.image_size), split.camera_id
    )
    return embeddings, _cameras_without_statistics(model, [split], "pictures of pairs")


def _without_labels(run: RunDir, settings: StrongSettings, split: Split) -> Evaluation:
    """Returns the label-free numbers of the stages on a split, and lists of the kept one."""
    pictures = batches.decoded(split, settings.image_size)
    model = run.load_model(strong_train.RESULT)
    titles = titles_of(settings)
    first = titles[UNTRAINED if settings.sources else SOURCE_ONLY]
    trained = os.path.exists(run.file(round_file(1)))
    # Without a round the result is the source's model, perhaps calibrated since.
    adapted = run.load_model(ADAPTED_FILE) if trained else model
    stages = {
        first: embed_plain(run.load_model(strong_train.INITIAL), pictures),
        titles[SOURCE_ONLY_CAMERAS]: embed_by_camera(adapted, pictures, split.camera_id),
    }
    notes = [
        "no person of the target is known, so nothing can be scored: these numbers only compare "
        "models on one target. Name pictures whose persons are known with query and gallery"
    ]
    kept = titles[SOURCE_ONLY_CAMERAS]
    if trained:
        kept = titles[ADAPTED_CAMERAS]
        stages[kept] = embed_by_camera(model, pictures, split.camera_id)
        notes.append(f"the {_learnt(settings)} row is that of {_kept(run)}")
    several = np.unique(split.camera_id[split.camera_id >= 0]).size > 1
    if not several:
        notes.append(
            "the target has fewer than two cameras that are known, and these numbers compare "
            "pictures of different ones: there are none"
        )
    numbers = {
        title: unlabelled_scores.by_name(each, split.camera_id) for title, each in stages.items()
    }
    place = "in other cameras" if several else "of all pictures"
    title = f"{settings.direction}: nearest {place}, {kept}"
    lists = scores.draw_lists_across_cameras(stages[kept], split, title)
    made = Kept(kept, split, split, stages[kept], stages[kept])
    return Evaluation([], lists, notes, numbers, made)


def _cameras_without_statistics(
    model: StrongModel, splits: list[Split], pictures: str
) -> list[str]:
    cameras = np.unique(np.concatenate([split.camera_id for split in splits]))
    names = {number: name for split in splits for number, name in split.camera_names.items()}
    names[UNKNOWN_CAMERA] = "unknown"
    missing = [
        names.get(int(camera), str(camera)) for camera in cameras if camera not in model.cameras
    ]
    if not missing:
        return []
    return [
        f"{pictures} of these cameras use the statistics of the whole target, as the model has "
        f"none of theirs: {', '.join(missing)}"
    ]


def _learnt(settings: StrongSettings) -> str:
    return "supervised" if settings.oracle_labels else "self-trained"


def _kept(run: RunDir) -> str:
    """Returns the stage that the run keeps, and why."""
    path = run.file(stage_choice.CHOICE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            choice = json.load(file)
        return f"{choice['stage']} ({choice['reason']})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not what arn_tf.train writes ({error}); remove {strong_train.RESULT} beside "
            "it and give the run's command again"
        ) from error


def _standardized(
    embeddings: np.ndarray, camera_id: np.ndarray, known: np.ndarray, known_camera_id: np.ndarray
) -> np.ndarray:
    """Returns embeddings less the mean of their camera's training pictures, over the deviation.

    Shrunk toward the whole target as everywhere, which is all that a camera without them has.
    """
    result = np.empty_like(embeddings)
    whole = known.mean(axis=0), known.var(axis=0)
    for camera in np.unique(camera_id):
        train = known[known_camera_id == camera]
        mean, variance = whole
        if camera >= 0 and len(train):
            own = train.mean(axis=0), train.var(axis=0)
            share = camera_statistics.own_share(len(train))
            mean, variance = camera_statistics.shrunk(own, whole, share)
        rows = camera_id == camera
        result[rows] = (embeddings[rows] - mean) / np.maximum(np.sqrt(variance), 1e-6)
    return result
