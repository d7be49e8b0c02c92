"""Units of clustering: tracklets, pictures that have none, their means and times."""

import numpy as np
import pytest

from arn_tf.strong import tracklets

NAN = np.nan


def test_units_by_hand():
    camera = np.array([1, 2, 1, 2, 2, 1, 3])
    tracklet = np.array([5, -1, 5, 0, 0, 7, -1])
    time = np.array([4, 9, 2, NAN, NAN, NAN, 1])
    found = tracklets.units(camera, tracklet, time)
    # In the order of their first pictures, whatever the tracklets' numbers.
    np.testing.assert_array_equal(found.of_picture, [0, 1, 0, 2, 2, 3, 4])
    np.testing.assert_array_equal(found.pictures, [2, 1, 2, 1, 1])
    np.testing.assert_array_equal(found.camera_id, [1, 2, 2, 1, 3])
    np.testing.assert_array_equal(found.is_tracklet, [True, False, True, True, False])
    # A picture without tracklet may be of anyone's, so its time is none.
    np.testing.assert_array_equal(found.span, [[2, 4], *[[NAN] * 2] * 4])
    assert found.of_picture.dtype == np.int64 and len(found) == 5


def test_without_tracklets_each_picture_is_a_unit():
    camera = np.array([1, 1, -1])
    for tracklet in (None, np.full(3, -1), np.array([8, 2, 5])):
        found = tracklets.units(camera, tracklet)
        np.testing.assert_array_equal(found.of_picture, [0, 1, 2])
        embeddings = np.array([[3, 4], [0, 1], [7, 0]])
        assert found.features(embeddings) is embeddings


def test_an_unknown_camera_has_no_span():
    found = tracklets.units(np.array([-1, -1, 4]), np.array([0, 0, 1]), np.array([1, 2, 3]))
    np.testing.assert_array_equal(found.span, [[NAN, NAN], [3, 3]])


def test_a_tracklet_has_the_mean_direction_of_its_pictures():
    # Of unit length first: a long vector counts no more.
    embeddings = np.array([[5.0, 0.0], [0.0, 2.0], [0.0, 1.0], [3.0, 4.0]])
    units = tracklets.units(np.ones(4, int), np.array([0, -1, 0, -1]))
    found = units.features(embeddings)
    directions = found / np.linalg.norm(found, axis=1, keepdims=True)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(directions, [[half, half], [0, 1], [0.6, 0.8]], atol=1e-12)


def test_opposite_pictures_have_the_direction_of_the_first():
    units = tracklets.units(np.ones(3, int), np.array([0, 0, -1]))
    found = units.features(np.array([[0.0, 2.0], [0.0, -1.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(found, [[0, 1], [1, 0]])


@pytest.mark.parametrize("seed", range(4))
def test_forbidden_pairs_against_all_pairs(seed):
    random = np.random.default_rng(seed)
    # Few times, so that ends touch, and tracklets are of a moment, often.
    tracklet = random.integers(-1, 40, 120)
    camera = np.where(tracklet < 0, random.integers(0, 3, 120), tracklet % 4 - 1)
    time = np.where(random.random(120) < 0.2, NAN, random.integers(0, 12, 120))
    units = tracklets.units(camera, tracklet, time)
    expected = sum(
        bool(units.span[i, 0] < units.span[j, 1] and units.span[j, 0] < units.span[i, 1])
        for i in range(len(units))
        for j in range(i)
        if units.camera_id[i] == units.camera_id[j]
    )
    assert tracklets.forbidden_pairs(units) == expected > 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracklet": np.array([0, 0, 1])}, "tracklet 0 has pictures of the cameras 1 and 2"),
        ({"tracklet": np.array([0, 1])}, "tracklet must be 3 integers"),
        ({"tracklet": np.array([0.0, 1.0, 2.0])}, "tracklet must be 3 integers.*float64"),
        ({"time": np.zeros(2)}, r"time must be 3 numbers, not of shape \(2,\)"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    given = {"camera_id": np.array([1, 2, 1]), "tracklet": np.array([0, 1, 2])}
    with pytest.raises(ValueError, match=message):
        tracklets.units(**(given | changes))
