"""ARN's losses into a tuned E_I: what reaches what, replicas, saving, the guard, a whole run."""

import os
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.layers import replicas
from arn_tf.paper import losses
from arn_tf.paper.constants import PAPER_WEIGHTS
from arn_tf.run.folder import RunDir
from arn_tf.strong import train as strong_train
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from studies import joint_training
from studies.joint_training import FlatMapGuard, JointTrainer
from tests.support import small_data
from tests.support.small_tolerance import assert_moved_alike

SIZE = (small_data.HEIGHT, small_data.WIDTH)
LABELS = np.array([0, 0, 1, 1, 2, 2, 0, 1], np.int32)
TERMS = ["class", "triplet", "class_codes", "contrastive", "reconstruction", "difference"]


def small_trainer(**options: Any) -> JointTrainer:
    keras.utils.set_random_seed(0)
    strong = StrongModel(3, "Tiny", "random", SIZE, **options)
    return JointTrainer(strong, code_width=16)


def batch(seed: int = 0, target: int = 100) -> dict[str, np.ndarray]:
    def images(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).uniform(0, 255, (8, *SIZE, 3)).astype("f4")

    return {
        "source_images": images(seed),
        "source_labels": LABELS,
        "target_images": images(target),
    }


def fit(trainer: JointTrainer, *batches: dict[str, np.ndarray]) -> dict[str, list[float]]:
    data = tf.data.Dataset.from_generator(
        lambda: batches,
        output_signature={k: tf.TensorSpec(v.shape, v.dtype) for k, v in batches[0].items()},
    )
    return trainer.fit(data, steps_per_epoch=len(batches), shuffle=False, verbose=0).history


def compiled(trainer: JointTrainer, optimizer: keras.optimizers.Optimizer) -> JointTrainer:
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


# Terms.


def test_the_objective_has_the_papers_weights():
    trainer = compiled(small_trainer(), keras.optimizers.SGD(0.0))
    logs = {name: values[0] for name, values in fit(trainer, batch()).items()}
    assert set(logs) == {"loss", *TERMS, "map_energy"}
    weights = dict.fromkeys(("class", "triplet", "class_codes"), 1.0) | {
        "contrastive": 0.01,
        "reconstruction": 2.0,
        "difference": 1500.0,
    }
    assert logs["loss"] == pytest.approx(sum(weights[n] * logs[n] for n in TERMS), rel=1e-5)
    assert {n: PAPER_WEIGHTS.get(n, 1.0) for n in TERMS} == weights


def test_terms_are_those_of_the_codes():
    trainer = small_trainer()
    seen = {}
    for name in ("encoder_c", "encoder_s", "encoder_t"):
        network = getattr(trainer, name)

        def call(maps, *args, network=network, name=name, **kwargs):
            result = network(maps, *args, **kwargs)
            seen.setdefault(name, []).append((maps, result))
            return result

        object.__setattr__(trainer, name, call)
    terms, energy = trainer.compute_terms(batch(), 0)
    (source, shared_s), (target, shared_t) = seen["encoder_c"]
    private_s, private_t = seen["encoder_s"][0][1], seen["encoder_t"][0][1]
    assert float(tf.reduce_mean(tf.square(source))) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(
        terms["contrastive"], losses.contrastive(shared_s, LABELS), rtol=1e-5
    )
    np.testing.assert_allclose(
        terms["difference"],
        losses.difference(shared_s, private_s) + losses.difference(shared_t, private_t),
        rtol=1e-5,
    )
    features = source.numpy().mean(axis=(1, 2))
    assert float(energy) == pytest.approx(features.var(axis=0).mean(), rel=1e-4)
    # Of one scale, that of the source.
    assert float(tf.reduce_mean(tf.square(target))) != pytest.approx(1.0, rel=1e-3)


def test_the_reconstruction_does_not_pull_the_map_towards_the_decoder():
    trainer = small_trainer()
    # A decoder that gives every picture the same passes nothing back through its input.
    trainer.decoder_c.project.kernel.assign(tf.zeros_like(trainer.decoder_c.project.kernel))
    variables = trainer.model.encoder_i.trainable_variables
    with tf.GradientTape() as tape:
        terms, _ = trainer.compute_terms(batch(), 0)
        loss = terms["reconstruction"]
    assert loss > 0.1
    assert all(
        gradient is None or not np.any(gradient) for gradient in tape.gradient(loss, variables)
    )


@pytest.mark.parametrize("term", TERMS)
def test_every_term_reaches_e_i(term):
    trainer = small_trainer()
    variables = trainer.model.encoder_i.trainable_variables
    with tf.GradientTape() as tape:
        loss = trainer.compute_terms(batch(), 0)[0][term]
    assert tf.linalg.global_norm(tape.gradient(loss, variables)) > 0


def test_running_statistics_follow_the_source_alone():
    found = []
    for target in (100, 200):
        trainer = compiled(small_trainer(), keras.optimizers.SGD(0.0))
        before = trainer.model.encoder_i.get_weights()
        fit(trainer, batch(target=target))
        found.append(trainer.model.encoder_i.get_weights())
        assert any(np.any(a != b) for a, b in zip(before, found[-1], strict=True))
    for left, right in zip(*found, strict=True):
        np.testing.assert_array_equal(left, right)


def test_private_encoders_and_decoder_have_no_weight_decay():
    moved = {}
    for decay in (0.0, 10.0):
        trainer = compiled(small_trainer(weight_decay=decay), keras.optimizers.SGD(1e-3))
        fit(trainer, batch())
        moved[decay] = {
            name: getattr(trainer, name).get_weights()
            for name in ("encoder_c", "encoder_s", "encoder_t", "decoder_c", "classifier_s")
        }
    for name, plain in moved[0.0].items():
        equal = all(np.array_equal(*pair) for pair in zip(plain, moved[10.0][name], strict=True))
        assert equal == (name in ("encoder_s", "encoder_t", "decoder_c")), name


# Saving.


def test_training_goes_on_from_a_file(tmp_path):
    trainer = compiled(small_trainer(), keras.optimizers.Adam(1e-3))
    fit(trainer, batch(0), batch(1))
    trainer.first_energy.assign(0.25)
    trainer.save(tmp_path / "trainer.keras")
    again = keras.saving.load_model(tmp_path / "trainer.keras")
    assert float(again.first_energy) == 0.25
    for one in (trainer, again):
        fit(one, batch(2), batch(3))
    for left, right in zip(
        trainer.variables + trainer.optimizer.variables,
        again.variables + again.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(left, right, err_msg=left.path)


# The guard.


@pytest.fixture
def stopped_run(tmp_path: pathlib.Path) -> RunDir:
    """Returns the folder of a run whose second epoch is saved."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "source-0002.keras").touch()
    return RunDir(str(tmp_path))


def test_a_flattened_map_stops_the_run(stopped_run):
    trainer = small_trainer()
    guard = FlatMapGuard(stopped_run)
    guard.set_model(trainer)
    guard.on_epoch_end(0, {"map_energy": 0.16})
    guard.on_epoch_end(1, {"map_energy": 0.05})
    good = r"last good state is .*/checkpoints/source-0002\.keras"
    with pytest.raises(UserError, match=rf"epoch 3.*0\.19 times.*{good}"):
        guard.on_epoch_end(2, {"map_energy": 0.03})
    # A resumed run has a new guard, and the same beginning.
    resumed = FlatMapGuard(stopped_run)
    resumed.set_model(trainer)
    with pytest.raises(UserError, match="ARN's losses are flattening it"):
        resumed.on_epoch_end(3, {"map_energy": 0.03})
    # Before the first checkpoint there is the untrained model.
    os.remove(stopped_run.file("checkpoints/source-0002.keras"))
    with pytest.raises(UserError, match=r"last good state is .*/initial\.keras"):
        resumed.on_epoch_end(0, {"map_energy": 0.03})


# Replicas: this file runs itself as a program, as the CPU is split before TensorFlow starts.


def replicas_program() -> None:
    """Compares two epochs on one replica and on two."""
    replicas.split_cpu(2)
    results, initial = [], None
    for count in (1, 2):
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        with strategy.scope():
            trainer = small_trainer()
            initial = initial or trainer.get_weights()
            trainer.set_weights(initial)
            # With Adam, rounding decides the sign of a step where a gradient is 0.
            compiled(trainer, keras.optimizers.SGD(1e-3, 0.9))
        data = tf.data.Dataset.from_tensor_slices(batch()).repeat(2).batch(8)
        logs = trainer.fit(data, shuffle=False, verbose=0).history
        results.append((logs, [(v.path, v.numpy()) for v in trainer.weights]))
    (left_logs, left), (right_logs, right) = results
    for name, values in left_logs.items():
        # L_rec is what one replica logs of its own share.
        if name not in ("reconstruction", "loss"):
            np.testing.assert_allclose(right_logs[name], values, rtol=1e-3, err_msg=name)
    for (path, one), (_, two), old in zip(left, right, initial, strict=True):
        assert_moved_alike(two, one, old, path)
    assert max(np.abs(w - old).max() for (_, w), old in zip(left, initial, strict=True)) > 1e-3


def test_two_replicas_learn_what_one_does():
    small_data.run_again(__file__)


# Whole runs.


SETTINGS = {
    "source": "market",
    "target": "duke",
    "backbone": "Tiny",
    "backbone_weights": "random",
    "input_size": f"{SIZE[0]}x{SIZE[1]}",
    "batch_size": 8,
    "images_per_identity": 2,
    "epochs": 2,
    "self_training_rounds": 0,
    "replicas": 1,
}


def files_are_those_of_a_strong_run(run: RunDir) -> None:
    for name in ("initial", "source", "adapted", "model"):
        assert isinstance(run.load_model(f"{name}.keras"), StrongModel)
    assert os.listdir(run.file("checkpoints")) == []
    assert os.listdir(os.path.join(run.logs, "source"))
    assert isinstance(recipes.settings_of(run), StrongSettings)


def test_a_run_with_arns_losses(tmp_path, capsys):
    settings = StrongSettings(
        **SETTINGS | small_data.inputs() | {"model_dir": str(tmp_path / "run")}
    )
    run = strong_train.train(settings, joint_training.source_stage)
    files_are_those_of_a_strong_run(run)
    # ARN's terms are shown beside the recipe's own.
    printed = capsys.readouterr().out
    for name in ("class", "triplet", "contrastive", "reconstruction", "difference"):
        assert f" {name}: " in printed, name


def test_a_run_goes_on_from_its_checkpoint(tmp_path, capsys):
    """A stage that stopped after its first epoch: what is left of it is trained."""
    folders = tmp_path / "whole", tmp_path / "stopped"
    whole, stopped = (
        StrongSettings(**SETTINGS | small_data.inputs() | {"model_dir": str(folder)})
        for folder in folders
    )
    run = strong_train.train(whole, joint_training.source_stage)
    initial = run.load_model(strong_train.INITIAL).get_weights()

    class Stopped(Exception):
        pass

    def stop(guard: joint_training.FlatMapGuard, epoch: int, logs: object) -> None:
        if epoch == 1:
            raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_training.FlatMapGuard, "on_epoch_end", stop)
        with pytest.raises(Stopped):
            strong_train.train(stopped, joint_training.source_stage)
    run = RunDir(stopped.run_dir)
    assert run.newest_checkpoint("source")[0] == 1
    capsys.readouterr()
    strong_train.train(stopped, joint_training.source_stage)
    assert "source: epochs 2 to 2" in capsys.readouterr().out
    files_are_those_of_a_strong_run(run)
    for left, right, old in zip(
        run.load_model(strong_train.SOURCE).get_weights(),
        RunDir(whole.run_dir).load_model(strong_train.SOURCE).get_weights(),
        initial,
        strict=True,
    ):
        assert_moved_alike(left, right, old)


def test_it_needs_a_source(monkeypatch):
    alone = StrongSettings(source="none", model_dir="runs/joint")
    monkeypatch.setattr(recipes, "from_flags", lambda: alone)
    with pytest.raises(UserError, match=r"^source=none: this study trains on a source: name one"):
        joint_training.main()


def test_the_command(tmp_path):
    """It is a run of the strong recipe, whatever --preset would be by default."""
    folder = tmp_path / "run"
    line = small_data.command(
        "studies.joint_training", model_dir=folder, **SETTINGS | small_data.inputs()
    )
    without = small_data.start(small_data.command("studies.joint_training", **SETTINGS))
    status, out, err = small_data.finish(line)
    assert status == 0, err
    assert f"done: {folder}. Score it with" in out
    files_are_those_of_a_strong_run(RunDir(str(folder)))
    _, err = without.communicate(timeout=300)
    assert without.returncode == 2
    assert "Traceback" not in err
    assert "name a folder with --model_dir=" in err


if __name__ == "__main__":
    replicas_program()
