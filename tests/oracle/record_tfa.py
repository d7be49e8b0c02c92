"""Records what tensorflow-addons computes, as the numbers our code is held to.

TFA has the two pieces of ARN that modern TensorFlow lost or moved: the contrastive loss
and one optimizer per group of layers. It does not install beside TensorFlow 2.16 or
later, so it is run once, in its own environment (`requirements-tfa.txt`), and its
answers are kept in `tfa_values.json` together with every input:

    python record_tfa.py

The schema is in README.md beside this file.
"""

import json
import pathlib
import re
import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

OUTPUT = pathlib.Path(__file__).with_name("tfa_values.json")

MARGINS = (1.0, 0.5)
# Distances at, just beside and far from both margins, and zero; every one is used both
# for a pair of the same person and for a pair of two persons.
DISTANCES = (0.0, 0.001, 0.25, 0.4999, 0.5, 0.5001, 0.75, 0.9999, 1.0, 1.0001, 1.5, 3.0)

STEPS = 6
MOMENTUM = 0.9
LEARNING_RATES = {"trunk": 1e-2, "head": 2e-2}
SEED = 20190616


def contrastive() -> dict:
    """Values of `tfa.losses.contrastive_loss`, pair by pair, and of its Keras class."""
    same_person = np.repeat(np.array([1, 0], np.int32), len(DISTANCES))
    distance = np.tile(np.array(DISTANCES, np.float32), 2)
    record = {"same_person": same_person.tolist(), "distance": distance.tolist(), "margins": []}
    for margin in MARGINS:
        per_pair = tfa.losses.contrastive_loss(same_person, distance, margin)
        mean = tfa.losses.ContrastiveLoss(margin=margin)(same_person, distance)
        record["margins"].append(
            {"margin": margin, "per_pair": per_pair.numpy().tolist(), "mean": float(mean)}
        )
    return record


def build_model(weights: dict) -> tf.keras.Model:
    """A linear model of two named layers that starts from the given weights."""
    inputs = tf.keras.Input(weights["trunk/kernel"].shape[:1])
    hidden = tf.keras.layers.Dense(weights["trunk/bias"].size, name="trunk")(inputs)
    outputs = tf.keras.layers.Dense(weights["head/bias"].size, name="head")(hidden)
    model = tf.keras.Model(inputs, outputs)
    for name in LEARNING_RATES:
        model.get_layer(name).set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    return model


def build_optimizer(model: tf.keras.Model) -> tfa.optimizers.MultiOptimizer:
    """One SGD per layer. TFA subclasses the legacy optimizer, so its parts are legacy too."""
    return tfa.optimizers.MultiOptimizer(
        [
            (
                tf.keras.optimizers.legacy.SGD(learning_rate=rate, momentum=MOMENTUM),
                model.get_layer(name),
            )
            for name, rate in LEARNING_RATES.items()
        ]
    )


def named(model: tf.keras.Model, values) -> dict:
    """Lists by "layer/weight" for values in the order of the trainable variables."""
    names = [variable.name.partition(":")[0] for variable in model.trainable_variables]
    return {name: value.numpy().tolist() for name, value in zip(names, values, strict=True)}


def multi_optimizer() -> dict:
    """A full-batch run: the gradient before and the weights after every step."""
    random = np.random.default_rng(SEED)
    inputs = random.normal(size=(8, 4)).astype(np.float32)
    targets = random.normal(size=(8, 2)).astype(np.float32)
    shapes = {"trunk/kernel": (4, 3), "trunk/bias": (3,), "head/kernel": (3, 2), "head/bias": (2,)}
    initial = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    model = build_model(initial)
    optimizer = build_optimizer(model)
    mean_squared_error = tf.keras.losses.MeanSquaredError()
    steps = []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            loss = mean_squared_error(targets, model(inputs, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        steps.append(
            {
                "loss": float(loss),
                "gradients": named(model, gradients),
                "weights": named(model, model.trainable_variables),
            }
        )

    # The way users train must walk the same path as the loop above.
    compiled = build_model(initial)
    compiled.compile(optimizer=build_optimizer(compiled), loss="mse")
    for _ in range(STEPS):
        compiled.train_on_batch(inputs, targets)
    for ours, theirs in zip(model.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)

    return {
        "momentum": MOMENTUM,
        "learning_rates": LEARNING_RATES,
        "loss": "mean_squared_error",
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "initial_weights": {name: value.tolist() for name, value in initial.items()},
        "steps": steps,
    }


def main() -> None:
    record = {
        "versions": {
            "python": sys.version.partition(" ")[0],
            "tensorflow": tf.__version__,
            "tensorflow_addons": tfa.__version__,
            "numpy": np.__version__,
        },
        "contrastive_loss": contrastive(),
        "multi_optimizer": multi_optimizer(),
    }
    text = json.dumps(record, indent=1)
    # A list of plain numbers goes on one line, so that a change can be read in a diff.
    text = re.sub(r"\[[^\[\]{}]+\]", lambda match: " ".join(match[0].split()), text)
    OUTPUT.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {OUTPUT.name}")


if __name__ == "__main__":
    main()
