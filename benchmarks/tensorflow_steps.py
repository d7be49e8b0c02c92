"""The product's and bare Keras's side of `benchmarks.beside_torch`."""

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data.sampling import Sampler
from arn_tf.layers.adam import Adam
from arn_tf.layers.normalization import DomainBatchNormalization
from arn_tf.run.callbacks import NonFiniteGuard
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong import batches, inter_camera, self_training, target_batches
from arn_tf.strong.embedding import embed_plain
from arn_tf.strong.model import StrongModel
from benchmarks import turns

_SIZE, _IDENTITIES, _BATCH, _PICTURES = (128, 64), 16, 32, 512


def take_turns(kind: str, backbone: str) -> None:
    """Takes steps of one kind, as `turns.requested` asks.

    Args:
        kind: of `beside_torch.KINDS`.
        backbone: E_I.
    """
    ways = {
        "Keras step": keras_step,
        "Keras forward": keras_forward,
        "embedding": embedding,
        "source step": source_step,
        "self-training": self_training_step,
    }
    random = np.random.default_rng(0)
    ways[kind](backbone, random.integers(0, 256, (_PICTURES, *_SIZE, 3), np.uint8))


def keras_step(backbone: str, pictures: np.ndarray) -> None:
    """The same network with a classifier, in the hands of `keras.Model.fit`."""
    network = _plain(backbone)
    codes = keras.layers.GlobalAveragePooling2D()(network.output)
    logits = keras.layers.Dense(_IDENTITIES)(codes)
    model = keras.Model(network.input, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices(
        (pictures.astype(np.float32) / 127.5 - 1, np.arange(_PICTURES) % _IDENTITIES)
    )
    _fit(model, batches.batch(_BATCH).repeat())


def keras_forward(backbone: str, pictures: np.ndarray) -> None:
    """The same network by its running statistics, pictures in float already."""
    network = _plain(backbone)
    call = tf.function(lambda images: tf.reduce_mean(network(images, training=False), [1, 2]))
    batch = tf.constant(pictures[:64], tf.float32)
    for steps in turns.requested():
        for _ in range(steps):
            call(batch).numpy()


def embedding(backbone: str, pictures: np.ndarray) -> None:
    """`embed_plain`."""
    model = _started(backbone)[0]
    for steps in turns.requested():
        embed_plain(model, np.resize(pictures, (64 * steps, *pictures.shape[1:])))


def source_step(backbone: str, pictures: np.ndarray) -> None:
    """`StrongModel.train_step`."""
    model, strategy = _started(backbone)
    sampler = _sampler()
    data = batches.source_batches(sampler, pictures, range(10**6), 0)
    with strategy.scope():
        model.compile(Adam(1e-4), jit_compile=False)
    _fit(model, data)


def self_training_step(backbone: str, pictures: np.ndarray) -> None:
    """`SelfTrainer.train_step`."""
    model, strategy = _started(backbone)
    cameras = np.arange(_PICTURES) % 2
    pairs = target_batches.PairSampler(_labels(), cameras, _BATCH, 0)
    data = target_batches.batches(_sampler(), pictures, pairs, pictures, 10**6, 0, 0)
    with strategy.scope():
        centroids = np.eye(_IDENTITIES, model.embedding_dim, dtype=np.float32)
        proxies = inter_camera.of_clusters(centroids[_labels()], _labels(), cameras)
        trainer = self_training.SelfTrainer(model, centroids, proxies)
        trainer.compile(Adam(1e-4), jit_compile=False)
    _fit(trainer, data)


def _plain(backbone: str) -> keras.Model:
    """Returns E_I of the strong recipe with Keras's own normalisation."""
    network = tuned_backbone.build(backbone, _SIZE, "random")[0]

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, DomainBatchNormalization):
            return type(layer).from_config(layer.get_config())
        return keras.layers.BatchNormalization(
            epsilon=layer.epsilon, momentum=layer.momentum, scale=layer.scale, name=layer.name
        )

    return keras.models.clone_model(network, clone_function=replaced)


def _started(backbone: str) -> tuple[StrongModel, tf.distribute.Strategy]:
    """Returns a model as a run has it, and its strategy."""
    tf.config.experimental.enable_op_determinism()
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        return StrongModel(_IDENTITIES, backbone, "random", _SIZE), strategy


def _labels() -> np.ndarray:
    return np.repeat(np.arange(_IDENTITIES, dtype=np.int32), _PICTURES // _IDENTITIES)


def _sampler() -> Sampler:
    return Sampler(_labels(), _PICTURES, _BATCH, 4, 0)


def _fit(model: keras.Model, data: tf.data.Dataset) -> None:
    """Trains in turns until there are no more."""
    requests = turns.requested()
    left = next(requests)

    def count(batch: int, logs: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            left = next(requests, 0)
            model.stop_training = not left

    model.fit(
        data,
        steps_per_epoch=10**6,
        shuffle=False,
        verbose=0,
        callbacks=[
            NonFiniteGuard(lambda: "", "adam_learning_rate"),
            keras.callbacks.LambdaCallback(on_train_batch_end=count),
        ],
    )
