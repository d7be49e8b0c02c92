"""ARN's losses back-propagated into an E_I that is really tuned.

    python -m studies.joint_training --source=duke --target=market --model_dir=runs/joint

Takes the flags of `arn_tf.train --preset=strong` and makes such a run, for three times the cost of
its source stage. The strong recipe's own losses stay; ARN's encoders, decoder and classifier stand
beside them on the same map, and leave with the end of the source stage, as matching uses the pooled
vector. `arn_tf.evaluate` scores the run. docs/results.md has what was measured.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from arn_tf import recipes
from arn_tf.data.sampling import Sampler
from arn_tf.errors import ArgumentError, UserError
from arn_tf.layers import replicas
from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.paper import losses, networks
from arn_tf.paper.constants import PAPER_WEIGHTS, TERMS
from arn_tf.run import command_line
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, train
from arn_tf.strong import losses as identity_losses
from arn_tf.strong.model import StrongModel, pooled
from arn_tf.strong.settings import StrongSettings

_HIDDEN_WIDTH = 256
_DROPOUT = 0.5
# A healthy map kept its energy between pictures; a map flattened by L_rec kept a tenth.
_LEAST_ENERGY = 0.25
# File of a run's folder that tells it from one without ARN's losses.
MARKER = "joint_training"


@keras.saving.register_keras_serializable(package="arn_tf")
class JointTrainer(keras.Model):
    """A `StrongModel` and ARN's heads, trained together on source and unlabelled target.

    The two domains go through E_I apart, each normalised by its own batch; the running statistics
    follow the source alone. X is divided by the root mean square of the source's batch, and the
    reconstruction's target is detached: L_rec could otherwise fall by flattening X.

    Args:
        strong: the `StrongModel`, changed by training.
        code_width: of e_c and e_p.
        seed: of the heads' weights and of the dropout.
    """

    def __init__(
        self,
        strong: StrongModel,
        code_width: int = 512,
        seed: int = 0,
        name: str = "joint_trainer",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.model = strong
        self.code_width = code_width
        self.seed = seed
        heads = networks.build_heads(
            tuple(strong.encoder_i.output_shape[1:]),
            strong.num_identities,
            shared_encoder="convolutional",
            private_encoders=True,
            embedding_dim=code_width,
            hidden_width=_HIDDEN_WIDTH,
            dropout=_DROPOUT,
            seed=seed,
        )
        self.encoder_c, self.encoder_s, self.encoder_t, self.decoder_c, self.classifier_s = heads
        # Kept with the weights: a resumed run compares with the same beginning.
        self.first_energy = self.add_weight(
            name="first_energy", shape=(), initializer="zeros", trainable=False
        )
        self._means = {
            key: keras.metrics.Mean(name=key)
            for key in ("loss", "class", "triplet", "class_codes", *TERMS[1:], "map_energy")
        }
        self.built = True

    def compute_terms(
        self, batch: Mapping[str, tf.Tensor], step: int | tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns {term: scalar, before weighting}, and the share of X's energy between pictures.

        "class" and "triplet" are the strong recipe's, "class_codes" is L_class of e_c, the others
        are ARN's (`arn_tf.paper.losses`). All but L_rec, the mean of one replica, are functions
        of the whole batch.

        Args:
            batch: as `batches.source_batches` makes it, with target pictures.
            step: seeds the dropout mask.
        """
        strong = self.model
        source = strong.batch_maps(batch["source_images"], update=True)
        target = strong.batch_maps(batch["target_images"], update=False)
        labels = replicas.gather(batch["source_labels"])
        features = pooled(source)
        energy = replicas.mean(tf.reduce_mean(tf.square(source)))
        head = strong.neck, strong.classifier
        own, _ = strong.identity_losses(
            features, batch["source_labels"], head, strong.label_smoothing
        )
        terms = {"class": own[0], "triplet": own[1]}

        scale = tf.stop_gradient(tf.sqrt(energy))
        source, target = source / scale, target / scale
        shared = [
            self.encoder_c(maps, domain=domain, training=True)
            for maps, domain in ((source, SOURCE), (target, TARGET))
        ]
        private = [self.encoder_s(source, training=True), self.encoder_t(target, training=True)]
        codes = replicas.gather(shared[0])
        mask = tf.stack([tf.cast(self.seed, tf.int32), tf.cast(step, tf.int32)])
        terms["class_codes"] = identity_losses.smoothed_classification(
            self.classifier_s(codes, mask), labels, strong.label_smoothing
        )
        terms["contrastive"] = losses.contrastive(codes, labels)
        both = tf.concat([tf.concat(shared, axis=0), tf.concat(private, axis=0)], axis=1)
        rebuilt = tf.split(self.decoder_c(both, training=True), 2)
        terms["reconstruction"] = sum(
            losses.reconstruction(tf.stop_gradient(maps), copy)
            for maps, copy in zip((source, target), rebuilt, strict=True)
        )
        terms["difference"] = losses.difference(codes, replicas.gather(private[0])) + (
            losses.difference(*(replicas.gather(each[1]) for each in (shared, private)))
        )
        between = tf.reduce_mean(tf.math.reduce_variance(replicas.gather(features), axis=0))
        return terms, tf.stop_gradient(between / energy)

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step on both domains; returns the epoch's running means by name."""
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            terms, energy = self.compute_terms(batch, self.optimizer.iterations)
            total = sum(PAPER_WEIGHTS.get(name, 1.0) * term for name, term in terms.items())
            scaled = total / replicas.count()
        # They get weak gradients alone, which decay would outweigh.
        undecayed = [
            variable
            for network in (self.encoder_s, self.encoder_t, self.decoder_c)
            for variable in network.trainable_variables
        ]
        self.model.descend(self.optimizer, tape.gradient(scaled, variables), variables, undecayed)
        logs = {"loss": total, **terms, "map_energy": energy}
        for name, value in logs.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in logs}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._means.values())

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "strong": self.model.get_config(),
            "code_width": self.code_width,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> "JointTrainer":
        return cls(StrongModel.from_config(config.pop("strong")), **config)


class FlatMapGuard(keras.callbacks.Callback):
    """Stops joint training whose X hardly varies between pictures, which no loss shows.

    Args:
        run: folder of the run.
    """

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run = run

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        first = self.model.first_energy
        if not float(first.numpy()):
            first.assign(logs["map_energy"])
        share = logs["map_energy"] / max(float(first.numpy()), 1e-12)
        if share < _LEAST_ENERGY:
            raise UserError(
                f"epoch {epoch + 1}: the share of E_I's map that tells pictures apart is "
                f"{share:.2f} times what it was in the first epoch: ARN's losses are flattening "
                f"it. The last good state is {train.last_good(self._run)}"
            )


def source_stage(
    settings: StrongSettings,
    run: RunDir,
    strategy: tf.distribute.Strategy,
    sampler: Sampler,
    source: np.ndarray,
    target: np.ndarray,
) -> StrongModel:
    """Trains the source stage with ARN's losses; arguments and result as `strong.train.tune`.

    Args:
        target: unlabelled training pictures, uint8 [M, height, width, 3].
    """
    with strategy.scope():
        model, epochs = train.resumed(settings, run)
        if not model.compiled:
            model = JointTrainer(model, seed=settings.seed)
            train.compile_for_source(model, settings, sampler.steps_per_epoch)
    data = batches.source_batches(sampler, source, epochs, settings.seed, target)
    shown = ("loss", *TERMS, "triplet")
    train.fit(settings, run, sampler, model, epochs, data, shown, [FlatMapGuard(run)])
    return model.model


def claim(settings: StrongSettings) -> None:
    """Marks a folder as that of a run with ARN's losses.

    Raises:
        UserError: a run without them is there, or the folder can't be written.
    """
    marker = os.path.join(settings.run_dir, MARKER)
    if os.path.exists(os.path.join(settings.run_dir, "settings.json")) and not os.path.exists(
        marker
    ):
        raise ArgumentError(
            "model_dir", settings.run_dir, "a run without ARN's losses is there; name another"
        )
    try:
        os.makedirs(settings.run_dir, exist_ok=True)
        open(marker, "w", encoding="utf-8").close()
    except OSError as error:
        raise ArgumentError("model_dir", settings.run_dir, str(error)) from error


def main() -> None:
    """Trains the run that the flags describe, with ARN's losses."""
    settings = recipes.from_flags()
    if not isinstance(settings, StrongSettings):
        raise ArgumentError("preset", settings.preset, "this study is of preset=strong")
    if not settings.sources:
        raise ArgumentError("source", settings.source, "this study trains on a source: name one")
    if not settings.model_dir:
        raise UserError(
            "name a folder with model_dir=, which no run of arn_tf.train has", ["model_dir"]
        )
    claim(settings)
    command_line.start_tensorflow(settings.replicas)
    run = train.train(settings, source_stage)
    print(f"done: {run.path}. Score it with\n  python -m arn_tf.evaluate --model_dir={run.path}")


if __name__ == "__main__":
    sys.argv[1:1] = ["--preset=strong"]
    recipes.define_flags()
    flags.adopt_module_key_flags(recipes)
    command_line.run(main)
