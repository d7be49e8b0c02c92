"""ARN's losses back-propagated into an E_I that is really tuned: `--preset=strong --arn_losses`.

The strong recipe's own losses stay; ARN's encoders, decoder and classifier stand beside them on the
same map, and leave with the end of the source stage, as matching uses the pooled vector. A gain was
measured from a source of 20 persons, and none from one of 150 or with self-training on top (README,
"The strong recipe").
"""

import keras
import tensorflow as tf

from arn_tf.layers import replicas
from arn_tf.paper import losses, networks
from arn_tf.paper.model import PAPER_WEIGHTS, SOURCE, TARGET
from arn_tf.strong import backbone as tuned_backbone
from arn_tf.strong import losses as identity_losses
from arn_tf.strong.model import StrongModel

_HIDDEN_WIDTH = 256
_DROPOUT = 0.5


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

    def __init__(self, strong, code_width=512, seed=0, name="joint_trainer", **kwargs):
        super().__init__(name=name, **kwargs)
        self.model = strong
        self.code_width = code_width
        self.seed = seed
        heads = networks.build_heads(
            tuple(strong.encoder_i.output_shape[1:]), strong.num_identities, "convolutional", True,
            code_width, _HIDDEN_WIDTH, _DROPOUT, seed,
        )  # fmt: skip
        self.encoder_c, self.encoder_s, self.encoder_t, self.decoder_c, self.classifier_s = heads
        # Kept with the weights: a resumed run compares with the same beginning.
        self.first_energy = self.add_weight(
            name="first_energy", shape=(), initializer="zeros", trainable=False
        )
        self._means = {
            key: keras.metrics.Mean(name=key)
            for key in ("loss", "class", "triplet", "class_codes", *list(PAPER_WEIGHTS)[1:],
                        "map_energy")
        }  # fmt: skip
        self.built = True

    def compute_terms(self, batch, step):
        """{term: scalar, before weighting}, and how much of X's energy tells pictures apart.

        "class" and "triplet" are the strong recipe's, "class_codes" is L_class of e_c, the others
        are ARN's (`arn_tf.paper.losses`). All but L_rec, the mean of one replica, are functions of the
        whole batch.

        Args:
            batch: as `strong_data.source_batches` makes it, with target pictures.
            step: seeds the dropout mask.
        """
        strong = self.model
        with tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=True)):
            source = strong.feature_maps(batch["source_images"])
        with tuned_backbone.normalized_by(tuned_backbone.BatchMoments(update=False)):
            target = strong.feature_maps(batch["target_images"])
        labels = replicas.gather(batch["source_labels"])
        features = tf.reduce_mean(source, axis=[1, 2])
        energy = replicas.mean(tf.reduce_mean(tf.square(source)))
        terms = dict(zip(
            ("class", "triplet"),
            strong.identity_losses(features, batch["source_labels"],
                                   (strong.neck, strong.classifier)),
            strict=True,
        ))  # fmt: skip

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

    def train_step(self, batch):
        """One step on both domains; returns the epoch's running means by name."""
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
    def metrics(self):
        return list(self._means.values())

    def get_config(self):
        return {
            "name": self.name,
            "strong": self.model.get_config(),
            "code_width": self.code_width,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        return cls(StrongModel.from_config(config.pop("strong")), **config)
