"""README and docs run as written: the command lines, on tiny data, and the blocks of Python."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import arn_tf
from tests.support import documentation
from tests.support.workplace import NOT_RUN, SERVER, Workplace, reason_not_to_run

LINES = documentation.command_lines()
PYTHON = [
    block
    for page in documentation.pages().values()
    for block in documentation.blocks(page, "python")
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """The `Workplace` where every line was run that can be; its server answers."""
    place = Workplace(tmp_path_factory.mktemp("workplace"))
    try:
        for line in LINES:
            if not reason_not_to_run(line):
                place.run(line)
        yield place
    finally:
        place.close()


@pytest.fixture
def run(workplace, monkeypatch):
    """Runs the one block of Python with a text in it, in the workplace; returns its names."""
    monkeypatch.chdir(workplace.folder)

    def run(text, **names):
        [block] = {block for block in PYTHON if text in block}
        exec(block.replace(SERVER, workplace.address), names)
        return names

    return run


def test_every_line_is_run_or_has_a_reason():
    for start in NOT_RUN:
        assert any(" ".join(line).startswith(start) for line in LINES), start
    for line in LINES:
        assert line[:2] == ["python", "-m"] or reason_not_to_run(line), line


def test_the_lines_write_what_they_should(workplace):
    for name in (
        "runs/m2d/model.keras",
        "runs/site/model.keras",
        "runs/m2d/results.json",
        "runs/paper/ranked_lists.png",
        "models/arn/1/saved_model.pb",
        "embeddings/shard-00000.parquet",
        "emb.npz",
        "gal",
        "result.html",
        "report.html",
        "pairs.html",
    ):
        assert (workplace.folder / name).exists(), name


def test_keras_loads_a_run_s_model(run):
    model = run("load_model")["model"]
    assert isinstance(model, keras.Model)
    assert 9 in model.cameras  # what calibrate added


def test_a_model_is_trained_from_python(run, monkeypatch, workplace):
    small = functools.partial(
        arn_tf.ARN, backbone="MobileNetV2", backbone_weights="random", input_size=(32, 32)
    )
    monkeypatch.setattr(arn_tf, "ARN", small)
    rng = np.random.default_rng(0)
    batch = {"source_labels": np.repeat(np.arange(2, dtype=np.int32), 2)}
    for domain in ("source", "target"):
        batch[f"{domain}_images"] = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    batches = tf.data.Dataset.from_tensors(batch)
    embeddings = run("model.fit", batches=batches, images=batch["target_images"])["embeddings"]
    assert embeddings.shape == (4, 2048)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    assert (workplace.folder / "arn.keras").exists()


def test_the_client_embeds(run):
    cosine = run("with EmbeddingClient")["cosine"]
    np.testing.assert_allclose(cosine, np.ones((1, 2)), rtol=1e-4)


def test_the_client_for_asyncio_embeds(run, capsys):
    embeddings = run("AsyncEmbeddingClient")["embeddings"]
    assert embeddings.files == ["crops/entrance/1.jpg", "crops/lift/1.jpg"]
    assert "2 embedded, 0 skipped" in capsys.readouterr().out


def test_the_shards_of_a_job_are_read(run, capsys):
    shards = run("EmbeddingShards")["shards"]
    assert len(shards) == 48
    assert "entrance/1.jpg (48, " in capsys.readouterr().out


def test_every_block_of_python_is_run():
    for block in PYTHON:
        assert any(
            text in block
            for text in (
                "load_model",
                "model.fit",
                "with EmbeddingClient",
                "AsyncEmbeddingClient",
                "EmbeddingShards",
                "tfds.builder",  # data_sets_test.py
            )
        ), block
