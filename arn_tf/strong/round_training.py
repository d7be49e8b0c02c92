"""What a round of self-training trains, and by which batches."""

import numpy as np

from arn_tf.data.split import Split
from arn_tf.layers.adam import Adam
from arn_tf.strong import inter_camera, target_batches
from arn_tf.strong.model import StrongModel
from arn_tf.strong.self_training import SelfTrainer
from arn_tf.strong.settings import StrongSettings


def trainer(
    before: StrongModel,
    settings: StrongSettings,
    embeddings: np.ndarray,
    labels: np.ndarray,
    camera_id: np.ndarray,
    between_cameras: bool,
    last: SelfTrainer | None = None,
) -> SelfTrainer:
    """Returns a compiled trainer of a round, within the scope of the strategy in force.

    Args:
        before: the model after the round before, made within that scope; it is trained.
        settings: of the run.
        embeddings: of the target's training pictures by that model, float [N, D].
        labels: int64 [N], clusters from 0; -1 for a picture that isn't used.
        camera_id: int [N]; below 0 is unknown.
        between_cameras: whether there is a loss between cameras.
        last: the trainer of `before`, which goes on: it is traced once for all rounds, which takes
            as long as training a small target for one. (Setting TensorFlow's seed would forget
            what was traced, and nothing here is drawn by it.)
    """
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max() + 1))
    of_clusters = np.split(embeddings[order], starts)[1:]  # before the first are the unused
    centroids = np.stack([each.mean(axis=0) for each in of_clusters])
    proxies = None
    if between_cameras:
        cameras = target_batches.indices(camera_id)
        proxies = inter_camera.of_clusters(embeddings, labels, cameras)
    if last:
        last.begin_again(centroids, proxies)
        return last
    found = SelfTrainer(before, centroids, proxies)
    rate = settings.self_training_learning_rate
    found.compile(optimizer=Adam(rate), jit_compile=False)
    # Made inside of the first step, its variables would have it traced twice.
    found.optimizer.build(found.learnt)
    return found


def pairs(settings: StrongSettings, labels: np.ndarray, split: Split) -> target_batches.PairSampler:
    """Returns the sampler of a round's target batches.

    Args:
        settings: of the run.
        labels: see `trainer`.
        split: the target's training split.
    """
    return target_batches.PairSampler(
        labels, split.camera_id, settings.batch_size, settings.seed, split.tracklet
    )
