"""Scores a run of ARN beside the two baselines that tell adaptation from transfer."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.paper import embedding
from arn_tf.paper.feature_cache import UnwritableCacheError, cached_maps
from arn_tf.paper.model import ARN
from arn_tf.paper.settings import Settings
from arn_tf.ranking import reranking, scores, tracklets
from arn_tf.ranking.evaluation import Evaluation, Kept, Row
from arn_tf.run import scored
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import TARGETS_OWN, Labelled

UNTRAINED = "untrained"
SOURCE_ONLY = "source_only"
SOURCE_ONLY_TARGET_STATISTICS = "source_only_target_statistics"
ADAPTED = "arn"
TITLES = {
    UNTRAINED: "untrained pooled backbone",
    SOURCE_ONLY: "source only",
    SOURCE_ONLY_TARGET_STATISTICS: "source only, target statistics",
    ADAPTED: "ARN",
}
# Of rows about the model that is served; the last one that a table has counts.
SERVED_TITLES = (TITLES[ADAPTED],)
_RERANKED_KEY, _RERANKED_TITLE = "_reranked", " + re-ranking"


def evaluate(
    run: RunDir,
    settings: Settings,
    rerank: bool | None = None,
    labelled: Labelled = TARGETS_OWN,
) -> Evaluation:
    """Scores every model of a finished run on the target.

    Args:
        run: folder of the run.
        settings: of the run.
        rerank: whether each row is followed by one that is re-ranked, which uses the gallery as a
            whole; None: no.
        labelled: pictures to score on; see `scored.splits`.

    Raises:
        UserError: the run isn't finished, its data can't be read, or no person is known.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    found = scored.splits(settings, run, labelled)
    if found is None:
        raise UserError(
            "no person of the target is known, so nothing can be scored, drawn or reported: name "
            "pictures whose persons are known with query and gallery. Only runs of preset=strong "
            "have numbers and a page without labels",
            ["query", "gallery", "preset"],
        )
    query, gallery = found
    rows = []
    told: set[str] = set()

    def add(key: str, embed: Callable[..., np.ndarray], model: ARN) -> list[np.ndarray]:
        embeddings = [
            embed(model, split, _maps(model, split, f"{settings.direction} {name}", settings, told))
            for name, split in (("query", query), ("gallery", gallery))
        ]
        rows.append(Row(key, TITLES[key], scores.score(*embeddings, query, gallery)))
        if rerank:
            result = scores.score(*embeddings, query, gallery, distance=reranking.rerank)
            rows.append(Row(key + _RERANKED_KEY, TITLES[key] + _RERANKED_TITLE, result))
        return embeddings

    # Loaded first: it is the one that an unfinished run lacks.
    arn = run.load_model("model.keras")
    add(UNTRAINED, embedding.pool_split, run.load_model("initial.keras"))
    if settings.source_only_baseline:
        model = run.load_model("source_only.keras")
        for key, domain in ((SOURCE_ONLY, SOURCE), (SOURCE_ONLY_TARGET_STATISTICS, TARGET)):
            add(key, lambda *a, domain=domain: embedding.embed_split(*a, domain), model)
    embeddings = add(ADAPTED, embedding.embed_split, arn)
    title = f"{settings.direction}: {TITLES[ADAPTED]}"
    lists = scores.draw_ranked_lists(*embeddings, query, gallery, title)
    kept = Kept(TITLES[ADAPTED], query, gallery, *embeddings)
    by_tracklet, notes = tracklets.row(kept, ADAPTED)
    return Evaluation(rows, lists, notes, kept=kept, by_tracklet=by_tracklet)


def embed(run: RunDir, settings: Settings, split: Split) -> tuple[np.ndarray, list[str]]:
    """Embeds pictures with the run's model.

    Returns:
        float32 [N, D], and what a reader must know, a list of sentences.

    Raises:
        UserError: the run isn't finished.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return embedding.embed_split(run.load_model("model.keras"), split, None), []


def _maps(
    model: ARN, split: Split, title: str, settings: Settings, told: set[str]
) -> np.ndarray | None:
    """Returns the cached maps of a split, or None; `told` are the warnings printed already."""
    if settings.feature_cache != "disk":
        return None
    try:
        return cached_maps(model, split, 1, settings.feature_dir, title)
    except UnwritableCacheError as error:
        # Somebody else's, perhaps. Scores need the maps once or twice, not in every step.
        warning = f"{error.problem}: its missing maps are computed here and not kept"
        if warning not in told:
            print(warning, flush=True)
            told.add(warning)
        return None
