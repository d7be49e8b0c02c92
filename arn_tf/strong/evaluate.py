"""Scores a run of the strong recipe, in rows that say what each part gives.

Called by `arn_tf.evaluate`. No statistic comes from the query or the gallery, but the last rows
re-rank, which uses the gallery as a whole.
"""

import json
import os

import numpy as np
import tensorflow as tf

from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.ranking import reranking, scores
from arn_tf.strong import batches, camera_statistics, keep_stage
from arn_tf.strong import train as strong_train
from arn_tf.strong.embedding import embed_by_camera, embed_plain

UNTRAINED = "untrained pooled backbone"
UNTRAINED_CAMERAS = "untrained, standardised per camera"
SOURCE_ONLY = "source only (a) plain statistics"
SOURCE_ONLY_CAMERAS = "source only (b) camera statistics, flip"
SOURCE_ONLY_RERANKED = "source only (c) = (b) + re-ranking"
ADAPTED = "self-trained (a) plain statistics"
ADAPTED_CAMERAS = "self-trained (b) camera statistics, flip"
ORACLE_MARK = "ORACLE, by labels:"
ADAPTED_RERANKED = "self-trained (c) = (b) + re-ranking"


def evaluate(run, settings):
    """Scores every stage of a finished run on the target.

    Args:
        run: `RunDir`.
        settings: the run's `StrongSettings`.

    Returns:
        {row name: RankingResult}, the ranked lists of the last row (b) as a `PIL.Image`, and what
        a reader of the table must know, a list of sentences.

    Raises:
        UserError: the run isn't finished, or its data can't be read.
    """
    data = ReidData(
        settings.target, settings.data_dir, settings.manual_dir, settings.skip_bad_images
    )
    splits = [data.split(name) for name in ("query", "gallery")]
    run.keep_data(
        {f"target {n}": s.digest for n, s in zip(("query", "gallery"), splits, strict=True)}
    )
    tf.config.experimental.enable_tensor_float_32_execution(False)
    pictures = [batches.decoded(split, settings.image_size) for split in splits]
    model = run.load_model(strong_train.RESULT)
    results = {}

    def add(name, embeddings, **how):
        results[name] = scores.score(*embeddings, *splits, **how)
        return embeddings

    def by_camera(model):
        return [
            embed_by_camera(model, each, split.camera_id)
            for each, split in zip(pictures, splits, strict=True)
        ]

    initial = run.load_model("initial.keras")
    plain = add(UNTRAINED, [embed_plain(initial, each) for each in pictures])
    train = data.split("train")
    known = embed_plain(initial, batches.decoded(train, settings.image_size))
    add(UNTRAINED_CAMERAS, [
        _standardized(each, split.camera_id, known, train.camera_id)
        for each, split in zip(plain, splits, strict=True)
    ])  # fmt: skip
    trained = os.path.exists(run.file(strong_train.round_file(1)))
    # Without a round the result is the source's model, perhaps calibrated since.
    adapted = run.load_model(strong_train.ADAPTED) if trained else model
    add(SOURCE_ONLY, [embed_plain(adapted, each) for each in pictures])
    embeddings = add(SOURCE_ONLY_CAMERAS, by_camera(adapted))
    add(SOURCE_ONLY_RERANKED, embeddings, distance=reranking.rerank)
    mark = f"{ORACLE_MARK} " if settings.keep_best == "labelled" else ""
    notes = _cameras_without_statistics(model, splits)
    if trained:
        add(mark + ADAPTED, [embed_plain(model, each) for each in pictures])
        embeddings = add(mark + ADAPTED_CAMERAS, by_camera(model))
        add(mark + ADAPTED_RERANKED, embeddings, distance=reranking.rerank)
        notes.append(f"the self-trained rows are those of {_kept(run)}")
    title = f"{settings.source} to {settings.target}: {mark}strong recipe (b)"
    return results, scores.draw_ranked_lists(*embeddings, *splits, title), notes


def _cameras_without_statistics(model, splits):
    cameras = np.unique(np.concatenate([split.camera_id for split in splits]))
    missing = [int(camera) for camera in cameras if camera not in model.cameras]
    if not missing:
        return []
    return [
        "query or gallery pictures of these cameras use the statistics of the whole target, as the "
        f"model has none of theirs: {', '.join(map(str, missing))}"
    ]


def _kept(run):
    """The stage that the run keeps, and why."""
    path = run.file(keep_stage.CHOICE_FILE)
    try:
        with open(path) as file:
            choice = json.load(file)
        return f"{choice['stage']} ({choice['reason']})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not what arn_tf.train writes ({error}); remove {strong_train.RESULT} beside "
            "it and give the run's command again"
        ) from error


def _standardized(embeddings, camera_id, known, known_camera_id):
    """Embeddings less the mean of their camera's training pictures, over their deviation."""
    result = np.empty_like(embeddings)
    for camera in np.unique(camera_id):
        train = known[known_camera_id == camera]
        # As everywhere: too few pictures, and the whole target stands in.
        train = train if len(train) >= camera_statistics.LEAST_PICTURES else known
        deviation = np.maximum(train.std(axis=0), 1e-6)
        rows = camera_id == camera
        result[rows] = (embeddings[rows] - train.mean(axis=0)) / deviation
    return result
