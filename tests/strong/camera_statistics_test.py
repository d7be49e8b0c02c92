"""Statistics of cameras against NumPy: what is in a row, and what it is good for."""

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.layers.normalization import SOURCE, TARGET
from arn_tf.strong import camera_statistics, row_pictures
from arn_tf.strong.camera_statistics import Outcome, estimate, own_share, shrunk
from arn_tf.strong.embedding import embed_by_camera, embed_target
from arn_tf.strong.model import StrongModel, pooled
from tests.support import small_dots
from tests.support.small_data import assert_equal
from tests.support.small_dots import SIZE, by_hand, crops, weights
from tests.support.small_tables import rows
from tests.support.small_tolerance import rounding

# Of means and variances up to 4: two convolutions and their statistics, over the 32 positions of
# 100 pictures.
CLOSE = rounding(4, 3200, 4)


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_dots.model()


@pytest.fixture(scope="module")
def cameras() -> tuple[np.ndarray, np.ndarray]:
    return small_dots.cameras()


@pytest.fixture(scope="module")
def estimated(
    model: StrongModel, cameras: tuple[np.ndarray, np.ndarray]
) -> tuple[StrongModel, dict[int, Outcome]]:
    return estimate(model, *cameras)


def test_shrunk_moments_by_hand():
    """Two pictures, 1 and 3, beside sixteen others of mean 10 and variance 4."""
    own, prior = (np.array([2.0]), np.array([1.0])), (np.array([10.0]), np.array([4.0]))
    mean, variance = shrunk(own, prior, own_share(2))
    np.testing.assert_allclose(mean, (2 * 2 + 16 * 10) / 18)
    # The mean square of all eighteen, less the square of their mean.
    np.testing.assert_allclose(variance, (2 * 5 + 16 * 104) / 18 - (164 / 18) ** 2)


def test_shrunk_moments_are_those_of_all_the_numbers_together():
    rng = np.random.default_rng(0)
    few, others = rng.normal(3, 2, (5, 7)), rng.normal(-1, 1, (camera_statistics.PRIOR_PICTURES, 7))
    mean, variance = shrunk(
        (few.mean(0), few.var(0)), (others.mean(0), others.var(0)), own_share(len(few))
    )
    both = np.concatenate([few, others])
    np.testing.assert_allclose(mean, both.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, both.var(0), rtol=1e-12)


def test_shrunk_moments_of_none_and_of_many():
    own, prior = (np.array([2.0]), np.array([9.0])), (np.array([-6.0]), np.array([4.0]))
    np.testing.assert_array_equal(shrunk(own, prior, own_share(0)), prior)
    np.testing.assert_allclose(shrunk(own, prior, own_share(10**9)), own, rtol=1e-6)
    steps = np.diff([shrunk(own, prior, own_share(count))[0][0] for count in range(200)])
    # No cliff: each picture moves it, the first the most, by a seventeenth.
    assert np.all(steps > 0) and np.argmax(steps) == 0
    assert steps[0] == pytest.approx(8 / 17)


@pytest.mark.parametrize(("camera", "row"), [(3, 2), (5, 3), (7, 4)])
def test_the_row_of_a_camera_by_hand(model, cameras, estimated, camera, row):
    """Its pictures are one batch: the moments of each layer behind those below it; shrunk."""
    pictures = cameras[0][cameras[1] == camera]
    _, moments = by_hand(model, pictures)
    found, target = rows(estimated[0], row), rows(estimated[0], TARGET)

    own = [np.concatenate([pair[kind] for pair in moments]) for kind in (0, 1)]
    expected = shrunk(own, (target["mean"][0], target["variance"][0]), own_share(len(pictures)))
    for key, value in zip(("mean", "variance"), expected, strict=True):
        np.testing.assert_allclose(found[key][0], value, rtol=1e-4, atol=CLOSE)
    # By the shrunk moments of the layers.
    cut = [slice(0, 5), slice(5, 9)]
    used = [(found["mean"][0, part], found["variance"][0, part]) for part in cut]
    vectors, _ = by_hand(model, np.concatenate([pictures, pictures[:, :, ::-1]]), used)
    mean, variance = shrunk(
        (vectors.mean(0), vectors.var(0)),
        (target["embedding_mean"][0], target["embedding_deviation"][0] ** 2),
        own_share(len(pictures)),
    )
    np.testing.assert_allclose(found["embedding_mean"][0], mean, rtol=1e-4, atol=CLOSE)
    np.testing.assert_allclose(
        found["embedding_deviation"][0], np.maximum(variance**0.5, 1e-3), rtol=1e-3, atol=CLOSE
    )


def test_the_row_of_the_target_averages_its_batches(model, cameras, estimated):
    """190 pictures are batches of 95 each: the mean of their moments."""
    parts = [by_hand(model, part)[1] for part in np.split(cameras[0], 2)]
    found = rows(estimated[0], TARGET)
    first = [np.mean([part[0][kind] for part in parts], axis=0) for kind in (0, 1)]
    np.testing.assert_allclose(found["mean"][0, :5], first[0], rtol=1e-4, atol=CLOSE)
    np.testing.assert_allclose(found["variance"][0, :5], first[1], rtol=1e-4, atol=CLOSE)
    second = [np.mean([part[1][kind] for part in parts], axis=0) for kind in (0, 1)]
    np.testing.assert_allclose(found["mean"][0, 5:], second[0], rtol=1e-4, atol=CLOSE)


def test_a_network_that_keeps_its_layers(model, cameras):
    """Rows differ in the embedding's mean alone, but for scale; a refreshed one too."""
    adapted, outcomes = estimate(model, *cameras, layers=False)
    given = np.concatenate(model.running_statistics())
    for row in range(5):
        found = rows(adapted, row)
        np.testing.assert_array_equal(
            np.concatenate([found["mean"][0], found["variance"][0]]), given
        )
    assert str(outcomes[7]) == "added from 100 pictures"

    def expected(pictures, prior):
        views = tf.constant(np.concatenate([pictures, pictures[:, :, ::-1]]))
        vectors = pooled(model.feature_maps(views)).numpy().astype("f8")
        before = (prior["embedding_mean"][0], prior["embedding_deviation"][0] ** 2)
        return shrunk((vectors.mean(0), vectors.var(0)), before, own_share(len(pictures)))

    mean, variance = expected(cameras[0][cameras[1] == 5], rows(adapted, TARGET))
    found = rows(adapted, 3)
    np.testing.assert_allclose(found["embedding_mean"][0], mean, rtol=1e-4, atol=CLOSE)
    deviation = np.full(6, variance.mean() ** 0.5)
    np.testing.assert_allclose(found["embedding_deviation"][0], deviation, rtol=1e-3)
    pictures = crops(9, 4)
    both = [
        pooled(model.feature_maps(view)).numpy() - found["embedding_mean"][0]
        for view in (pictures, pictures[:, :, ::-1])
    ]
    units = sum(view / np.linalg.norm(view, axis=1, keepdims=True) for view in both)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    np.testing.assert_allclose(adapted(pictures, np.full(4, 3)), units, atol=1e-4)
    few = crops(8, 3)
    again, _ = camera_statistics.refresh(adapted, few, np.full(3, 5))
    mean, _ = expected(few, found)
    np.testing.assert_allclose(rows(again, 3)["embedding_mean"][0], mean, rtol=1e-4, atol=CLOSE)
    np.testing.assert_array_equal(rows(again, 3)["mean"], rows(adapted, 3)["mean"])


def test_standardised_embeddings_have_mean_0_and_deviation_1(model, cameras, monkeypatch):
    monkeypatch.setattr(camera_statistics, "PRIOR_PICTURES", 0)
    adapted, _ = estimate(model, *cameras)
    for camera in (3, 7):
        pictures = cameras[0][cameras[1] == camera]
        views = np.concatenate([pictures, pictures[:, :, ::-1]])
        own = adapted.table.rows_of([camera] * len(views))
        vectors = adapted.camera_features(tf.constant(views), own)
        mean, deviation = adapted.table.embedding_statistics(own[0])
        standard = (vectors.numpy() - mean) / deviation
        np.testing.assert_allclose(standard.mean(axis=0), np.zeros(6), atol=1e-4)
        np.testing.assert_allclose(standard.std(axis=0), np.ones(6), atol=1e-3)
        unit = adapted.table.standardized(vectors, own)
        expected = standard / np.linalg.norm(standard, axis=1, keepdims=True)
        np.testing.assert_allclose(unit, expected, atol=1e-5)


def test_order_of_pictures_does_not_matter_to_a_camera_of_one_batch(model, cameras, monkeypatch):
    # The target has two batches, of whatever pictures the order gives them.
    monkeypatch.setattr(camera_statistics, "PRIOR_PICTURES", 0)
    order = np.random.default_rng(9).permutation(190)
    found = [
        estimate(model, *(each[rows] for each in cameras))[0] for rows in (order, np.arange(190))
    ]
    left, right = (rows(adapted, 2, 4) for adapted in found)
    for key in left:
        np.testing.assert_allclose(left[key], right[key], rtol=1e-4, atol=CLOSE)


def test_the_model_given_is_left_alone(model, cameras):
    before, table = weights(model), rows(model, 0, 1)
    adapted, _ = estimate(model, *cameras)
    assert_equal(weights(model), before)
    assert_equal(rows(model, 0, 1), table)
    assert model.cameras == []
    assert_equal(weights(adapted), before)
    pictures = cameras[0][:4]
    np.testing.assert_array_equal(adapted(pictures), model(pictures))


def test_the_row_of_the_source_is_that_of_training(model, estimated):
    """Its features are those that the model has without a row."""
    pictures = crops(3, 6)
    found = estimated[0].camera_features(pictures, np.full(6, SOURCE))
    expected = pooled(model.feature_maps(pictures))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.traced.features(pictures), expected, rtol=1e-4, atol=1e-4)


def test_pictures_all_alike_stay_finite(model):
    adapted, _ = estimate(model, np.full((64, *SIZE, 3), 9, np.uint8), np.full(64, 2))
    for key, values in rows(adapted, 1, 2).items():
        assert np.isfinite(values).all(), key
    assert np.all(rows(adapted, 2)["embedding_deviation"] >= 1e-3)
    assert np.isfinite(adapted(crops(0, 3), np.array([2, 2, 1]))).all()


def test_a_picture_alone_stays_finite_and_near_the_target(model):
    """It has no variance of its own, and tells least of its camera."""
    pictures, camera_id = small_dots.cameras()
    camera_id = np.where(np.arange(len(camera_id)) == 0, 9, camera_id)
    adapted, outcomes = estimate(model, pictures, camera_id)
    assert outcomes[9].used == 1
    [row] = adapted.table.rows_of([9])
    alone, target = rows(adapted, row), rows(adapted, TARGET)
    for key, values in alone.items():
        assert np.isfinite(values).all(), key
    assert np.all(alone["embedding_deviation"] >= target["embedding_deviation"] * 0.9)
    assert np.isfinite(adapted(pictures[:2], np.array([row, row]))).all()


def test_no_pictures(model):
    with pytest.raises(ValueError, match="no pictures"):
        estimate(model, crops(0, 0), np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("of_target", "used"), [(256, list(range(17))), (5, [0, 4, 8, 12, 16]), (2, [0, 16])]
)
def test_more_pictures_than_are_taken(model, monkeypatch, of_target, used):
    """Evenly spread ones stand for all, of a camera and of the target."""
    monkeypatch.setattr(row_pictures, "MOST_PICTURES", 5)
    monkeypatch.setattr(row_pictures, "MOST_OF_TARGET", of_target)
    pictures = crops(4, 17)
    adapted, outcomes = estimate(model, pictures, np.full(17, 1))
    assert outcomes[1].used == 5

    def mean(of: list[int]) -> np.ndarray:
        _, moments = by_hand(model, pictures[of])
        return np.concatenate([mean for mean, _ in moments])

    close = {"rtol": 1e-4, "atol": CLOSE}
    np.testing.assert_allclose(rows(adapted, TARGET)["mean"][0], mean(used), **close)
    own = mean([0, 4, 8, 12, 16])
    expected = mean(used) + own_share(5) * (own - mean(used))
    np.testing.assert_allclose(rows(adapted, 2)["mean"][0], expected, **close)


def test_statistics_bring_cameras_together(estimated):
    """What it is for: the same scenes seen dark and bright are near each other afterwards."""
    adapted, _ = estimated
    scenes = crops(11, 256, 0, 140)
    bright = (scenes * 0.8 + 100).astype(np.uint8)
    adapted, _ = estimate(adapted, np.concatenate([scenes, bright]), np.repeat([1, 2], 256))
    by_row = [adapted(view, np.full(256, row)).numpy() for view, row in ((scenes, 2), (bright, 3))]
    as_one = [adapted(view, np.full(256, TARGET)).numpy() for view in (scenes, bright)]
    similarity, mixed = (np.sum(a * b, axis=1).mean() for a, b in (by_row, as_one))
    assert similarity > 0.9
    assert similarity > mixed + 0.2


def test_the_target_is_embedded_as_its_statistics_were_estimated(model, cameras, monkeypatch):
    """By camera, whatever else of a stage is at hand; the same bits if nothing is."""
    monkeypatch.setattr(row_pictures, "MOST_PICTURES", 70)
    pictures, camera_id = cameras[0], np.where(np.arange(190) % 19 == 0, -1, cameras[1])
    adapted = camera_statistics.for_cameras(model, camera_id)
    known = camera_statistics.estimate_in_place(adapted, pictures, camera_id)
    assert sorted(known) == sorted(adapted.table.rows_of(adapted.cameras))
    # Of a camera that has more, and one that hasn't.
    assert {len(each) == 70 for each in known.values()} == {True, False}
    found = embed_target(adapted, pictures, camera_id, known)
    np.testing.assert_allclose(found, embed_by_camera(adapted, pictures, camera_id), atol=1e-5)
    np.testing.assert_array_equal(embed_target(adapted, pictures, camera_id), found)
    given = {row: np.zeros_like(each) for row, each in known.items()}
    left = embed_target(adapted, pictures, camera_id, given)
    assert (left.any(axis=1)).sum() == len(pictures) - sum(map(len, given.values()))
