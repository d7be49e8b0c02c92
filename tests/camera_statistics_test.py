"""Statistics of cameras against NumPy, and what becomes of rows that come, stay and go."""

import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf import camera_statistics
from arn_tf.camera_statistics import estimate, refresh, with_cameras
from arn_tf.strong_model import SOURCE_ROW, TARGET_ROW, StrongModel

SIZE = (16, 8)


def dots_network(include_top, weights, input_shape):
    """Two normalisations between convolutions of single pixels: matrix products, in NumPy."""
    picture = keras.Input(input_shape)
    x = keras.layers.Conv2D(5, 1, 2, use_bias=False)(picture)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(epsilon=1e-3)(x))
    x = keras.layers.Conv2D(4, 1, 2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(epsilon=1e-2)(x))
    return keras.Model(picture, keras.layers.Conv2D(6, 1)(x), name="dots")


@pytest.fixture(scope="module", autouse=True)
def dots_application():
    """Adds E_I "Dots" to the networks of keras.applications."""
    module = types.ModuleType("dots")
    module.Dots, module.preprocess_input = dots_network, lambda x: x / 127.5 - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "dots", module)
        patch.setattr(keras.applications, "Dots", dots_network, raising=False)
        patch.setattr(dots_network, "__module__", "dots")
        yield


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "Dots", "random", SIZE, last_stride=2)
    rng = np.random.default_rng(0)
    for variable in model.encoder_i.variables:
        value = rng.normal(size=variable.shape)
        variable.assign(np.abs(value) if "variance" in variable.path else value)
    return model


def crops(seed, count, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (count, *SIZE, 3)).astype(np.uint8)


def weights(model):
    """{path: value} of all but the table."""
    table = {id(variable) for variable in model.table.values()}
    return {v.path: v.numpy() for v in model.weights if id(v) not in table}


def rows(model, *places):
    return {key: variable.numpy()[list(places)] for key, variable in model.table.items()}


def assert_same(left, right):
    assert left.keys() == right.keys()
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


def by_hand(model, pictures, moments=None):
    """Embeddings and [(mean, variance)] of each layer, float64; of the batch, or as given."""
    layers = [layer for layer in model.encoder_i.layers if layer.weights]
    x, found = pictures.astype("f8") / 127.5 - 1, []
    for convolution, normalization in zip(layers[0:4:2], layers[1:4:2], strict=True):
        x = x[:, ::2, ::2] @ convolution.kernel.numpy()[0, 0].astype("f8")
        axes = (0, 1, 2)
        mean, variance = moments[len(found)] if moments else (x.mean(axes), x.var(axes))
        found.append((mean, variance))
        x = (x - mean) / np.sqrt(variance + normalization.epsilon)
        x = np.maximum(x * normalization.gamma.numpy() + normalization.beta.numpy(), 0)
    x = x @ layers[4].kernel.numpy()[0, 0] + layers[4].bias.numpy()
    return x.mean(axis=(1, 2)), found


@pytest.fixture(scope="module")
def cameras():
    """100 dark pictures of camera 7, 80 bright ones of 3, 10 of 5; their embedded models."""
    pictures = np.concatenate([crops(0, 100, 0, 140), crops(1, 80, 100, 256), crops(2, 10)])
    camera_id = np.array([7] * 100 + [3] * 80 + [5] * 10)
    order = np.random.default_rng(3).permutation(190)
    return pictures[order], camera_id[order]


def test_a_network_that_normalises_its_input():
    """Keras's Normalization computes with copies, which setting weights leaves behind."""
    keras.utils.set_random_seed(0)
    model = StrongModel(3, "EfficientNetB0", "random", (32, 32), last_stride=2)
    (layer,) = (
        one for one in model.encoder_i.layers if isinstance(one, keras.layers.Normalization)
    )
    layer.adapt_mean.assign(tf.fill(layer.adapt_mean.shape, 90.0))
    layer.adapt_variance.assign(tf.fill(layer.adapt_variance.shape, 900.0))
    layer.finalize_state()
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    other = with_cameras(model, [1])
    np.testing.assert_array_equal(other(pictures), model(pictures))


def too_few(outcomes):
    return {camera: o.pictures for camera, o in outcomes.items() if not o.estimated}


@pytest.fixture(scope="module")
def estimated(model, cameras):
    return estimate(model, *cameras)


def test_which_cameras_get_a_row(estimated):
    adapted, outcomes = estimated
    assert adapted.cameras == [3, 7]
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        3: "added from 80 pictures",
        5: "10 pictures are fewer than 64, so it uses the statistics of the whole target",
        7: "added from 100 pictures",
    }
    assert adapted.rows_of([3, 7, 5, 1]).tolist() == [2, 3, TARGET_ROW, TARGET_ROW]


@pytest.mark.parametrize(("camera", "row"), [(3, 2), (7, 3)])
def test_the_row_of_a_camera_by_hand(model, cameras, estimated, camera, row):
    """Its pictures are one batch: the moments of each layer behind those below it."""
    pictures = cameras[0][cameras[1] == camera]
    _, moments = by_hand(model, pictures)
    found = rows(estimated[0], row)
    for key, kind in (("mean", 0), ("variance", 1)):
        expected = np.concatenate([pair[kind] for pair in moments])
        np.testing.assert_allclose(found[key][0], expected, rtol=1e-4, atol=1e-5)
    views = np.concatenate([pictures, pictures[:, :, ::-1]])
    vectors, _ = by_hand(model, views, moments)
    np.testing.assert_allclose(found["embedding_mean"][0], vectors.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found["embedding_deviation"][0], np.maximum(vectors.std(0), 1e-3), rtol=1e-3, atol=1e-5
    )


def test_the_row_of_the_target_averages_its_batches(model, cameras, estimated):
    """190 pictures are batches of 95 each: the mean of their moments."""
    parts = [by_hand(model, part)[1] for part in np.split(cameras[0], 2)]
    found = rows(estimated[0], TARGET_ROW)
    first = [np.mean([part[0][kind] for part in parts], axis=0) for kind in (0, 1)]
    np.testing.assert_allclose(found["mean"][0, :5], first[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["variance"][0, :5], first[1], rtol=1e-4, atol=1e-5)
    second = [np.mean([part[1][kind] for part in parts], axis=0) for kind in (0, 1)]
    np.testing.assert_allclose(found["mean"][0, 5:], second[0], rtol=1e-4, atol=1e-5)


def test_standardised_embeddings_have_mean_0_and_deviation_1(cameras, estimated):
    adapted, _ = estimated
    for camera in (3, 7):
        pictures = cameras[0][cameras[1] == camera]
        views = np.concatenate([pictures, pictures[:, :, ::-1]])
        own = adapted.rows_of([camera] * len(views))
        vectors = adapted.features_by(tf.constant(views), own)
        mean, deviation = (
            adapted.table[f"embedding_{key}"].numpy()[own[0]] for key in ("mean", "deviation")
        )
        standard = (vectors.numpy() - mean) / deviation
        np.testing.assert_allclose(standard.mean(axis=0), np.zeros(6), atol=1e-4)
        np.testing.assert_allclose(standard.std(axis=0), np.ones(6), atol=1e-3)
        unit = adapted.standardized(vectors, own)
        expected = standard / np.linalg.norm(standard, axis=1, keepdims=True)
        np.testing.assert_allclose(unit, expected, atol=1e-5)


def test_order_of_pictures_does_not_matter_to_a_camera_of_one_batch(model, cameras, estimated):
    order = np.random.default_rng(9).permutation(190)
    again, _ = estimate(model, cameras[0][order], cameras[1][order])
    left, right = rows(again, 2, 3), rows(estimated[0], 2, 3)
    for key in left:
        np.testing.assert_allclose(left[key], right[key], rtol=1e-4, atol=1e-5)


def test_the_model_given_is_left_alone(model, cameras):
    before, table = weights(model), rows(model, 0, 1)
    adapted, _ = estimate(model, *cameras)
    assert_same(weights(model), before)
    assert_same(rows(model, 0, 1), table)
    assert model.cameras == []
    assert_same(weights(adapted), before)
    pictures = cameras[0][:4]
    np.testing.assert_array_equal(adapted(pictures), model(pictures))


def test_the_row_of_the_source_is_that_of_training(model, estimated):
    """Its features are those that the model has without a row."""
    pictures = crops(3, 6)
    found = estimated[0].features_by(pictures, np.full(6, SOURCE_ROW))
    np.testing.assert_allclose(found, model.features(pictures), rtol=1e-4, atol=1e-4)


def test_too_few_pictures_of_every_camera(model):
    adapted, outcomes = estimate(model, crops(0, 20), np.array([1, 2] * 10))
    assert (adapted.cameras, too_few(outcomes)) == ([], {1: 10, 2: 10})
    assert np.any(adapted.table["mean"].numpy()[TARGET_ROW] != 0)
    assert adapted.rows_of([1, 2]).tolist() == [TARGET_ROW] * 2


def test_the_least_number_of_pictures(model):
    camera_id = np.array([1] * 64 + [2] * 63)
    assert camera_statistics.LEAST_PICTURES == 64
    adapted, outcomes = estimate(model, crops(0, 127), camera_id)
    assert (adapted.cameras, too_few(outcomes)) == ([1], {2: 63})
    adapted, outcomes = estimate(model, crops(0, 127), camera_id, least=1)
    assert (adapted.cameras, too_few(outcomes)) == ([1, 2], {})


def test_pictures_of_no_known_camera_make_no_row(model):
    adapted, outcomes = estimate(model, crops(0, 140), np.array([-1] * 70 + [4] * 70))
    assert (adapted.cameras, list(outcomes)) == ([4], [4])


def test_pictures_all_alike_stay_finite(model):
    adapted, _ = estimate(model, np.full((64, *SIZE, 3), 9, np.uint8), np.full(64, 2))
    for key, values in rows(adapted, 1, 2).items():
        assert np.isfinite(values).all(), key
    assert np.all(rows(adapted, 2)["embedding_deviation"] >= 1e-3)
    assert np.isfinite(adapted(crops(0, 3), np.array([2, 2, 1]))).all()


def test_no_pictures(model):
    with pytest.raises(ValueError, match="no pictures"):
        estimate(model, crops(0, 0), np.zeros(0, np.int64))


def test_more_pictures_than_are_taken(model, monkeypatch):
    """Evenly spread ones stand for all."""
    monkeypatch.setattr(camera_statistics, "MOST_PICTURES", 5)
    pictures = crops(4, 17)
    adapted, outcomes = estimate(model, pictures, np.full(17, 1), least=2)
    assert str(outcomes[1]) == "added from 5 pictures"
    _, moments = by_hand(model, pictures[[0, 4, 8, 12, 16]])
    expected = np.concatenate([mean for mean, _ in moments])
    np.testing.assert_allclose(rows(adapted, 2)["mean"][0], expected, rtol=1e-4, atol=1e-5)


# Rows that come, stay and go.


def test_with_cameras(estimated):
    adapted, _ = estimated
    other = with_cameras(adapted, [9, 7])
    assert other.cameras == [9, 7]
    assert_same(rows(other, 0, 1, 3), rows(adapted, 0, 1, 3))
    fresh = rows(other, 2)
    for key, values in fresh.items():
        np.testing.assert_array_equal(values, np.full_like(values, not key.endswith("mean")))
    assert_same(weights(other), weights(adapted))
    none = with_cameras(adapted, [])
    assert none.table["mean"].shape[0] == 2
    assert_same(rows(none, 0, 1), rows(adapted, 0, 1))
    assert_same(rows(with_cameras(adapted, [7, 3]), 3, 2), rows(adapted, 2, 3))
    # The one it was made from keeps its own.
    assert adapted.cameras == [3, 7]


def test_refresh_adds_and_replaces(model, estimated):
    adapted, _ = estimated
    pictures = np.concatenate([crops(5, 70), crops(6, 64, 0, 50), crops(7, 3)])
    camera_id = np.array([7] * 70 + [1] * 64 + [3] * 3)
    found, outcomes = refresh(adapted, pictures, camera_id)
    assert (found.cameras, too_few(outcomes)) == ([1, 3, 7], {3: 3})
    assert {camera: str(outcome) for camera, outcome in outcomes.items()} == {
        1: "added from 64 pictures",
        3: "3 pictures are fewer than 64, so it keeps what it has",
        7: "refreshed from 70 pictures",
    }
    # Too few to replace what it had; and the row of the target is not of these pictures.
    assert_same(rows(found, *found.rows_of([3])), rows(adapted, *adapted.rows_of([3])))
    assert_same(rows(found, 0, TARGET_ROW), rows(adapted, 0, TARGET_ROW))
    for camera in (7, 1):
        _, moments = by_hand(model, pictures[camera_id == camera])
        expected = np.concatenate([mean for mean, _ in moments])
        [row] = found.rows_of([camera])
        np.testing.assert_allclose(rows(found, row)["mean"][0], expected, rtol=1e-4, atol=1e-5)
    assert_same(weights(found), weights(adapted))


def test_statistics_bring_cameras_together(estimated, cameras):
    """What it is for: the same scenes seen dark and bright are near each other afterwards."""
    adapted, _ = estimated
    scenes = crops(11, 80, 0, 140)
    bright = (scenes * 0.8 + 100).astype(np.uint8)
    adapted, _ = estimate(adapted, np.concatenate([scenes, bright]), np.repeat([1, 2], 80))
    by_row = [adapted(view, np.full(80, row)).numpy() for view, row in ((scenes, 2), (bright, 3))]
    as_one = [adapted(view, np.full(80, TARGET_ROW)).numpy() for view in (scenes, bright)]
    similarity, mixed = (np.sum(a * b, axis=1).mean() for a, b in (by_row, as_one))
    assert similarity > 0.9
    assert similarity > mixed + 0.2


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
