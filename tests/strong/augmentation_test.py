"""Random changes to pictures: what they may do, and that the seed alone decides."""

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.strong.augmentation import augment, erase

HEIGHT, WIDTH = 10, 6


def pictures(
    count: int = 8,
    low: int = 0,
    high: int = 256,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    seed: int = 0,
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (count, *size, 3)).astype(np.uint8)


def copies(picture: object, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(picture, np.uint8), (count, *np.shape(picture)))


def changed(images: np.ndarray, seed: tuple[int, int] = (0, 0), **options: float) -> np.ndarray:
    return augment(tf.constant(images), tf.constant(seed, tf.int32), **options).numpy()


def test_equal_seeds_give_equal_pictures():
    images = pictures()
    first = changed(images, (3, 5))
    assert first.dtype == np.float32
    assert first.shape == images.shape
    np.testing.assert_array_equal(changed(images, (3, 5)), first)
    for other in ((3, 6), (4, 5), (5, 3)):
        assert np.abs(changed(images, other) - first).mean() > 1


def test_in_a_graph_as_outside():
    compiled = tf.function(
        augment,
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    images = pictures()
    found = compiled(tf.constant(images), tf.constant([1, 2]))
    np.testing.assert_allclose(found, changed(images, (1, 2)), atol=1e-3)


def test_each_picture_has_its_own_draw():
    found = changed(copies(pictures(1)[0], 16), padding=2)
    for i in range(16):
        for j in range(i):
            assert np.abs(found[i] - found[j]).mean() > 1e-2, (i, j)


def test_without_padding_and_jitter_pictures_are_mirrored_at_most():
    images = pictures(64)
    found = changed(images, padding=0, jitter=0)
    kept, mirrored = (
        np.abs(found - other).max(axis=(1, 2, 3)) < 1e-3 for other in (images, images[:, :, ::-1])
    )
    np.testing.assert_array_equal(kept, ~mirrored)
    assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize("padding", [1, 3])
def test_shifts(padding):
    """A marked pixel tells how far a picture moved; all else must have moved with it."""
    picture = pictures(1, 1, 200, (10, 12))[0]
    row, column = 5, 5
    picture[row, column] = 255
    moves = []
    for found in changed(copies(picture, 400), padding=padding, jitter=0):
        [(new_row, new_column)] = np.argwhere((np.abs(found - 255) < 1e-2).all(axis=-1))
        fits = []
        for mirrored in (False, True):
            down, right = new_row - row, new_column - (11 - column if mirrored else column)
            wide = np.pad(
                (picture[:, ::-1] if mirrored else picture).astype("f4"),
                [(2 * padding, 2 * padding)] * 2 + [(0, 0)],
                constant_values=127.5,
            )
            top, left = 2 * padding - down, 2 * padding - right
            if min(top, left) >= 0:
                cut = wide[top : top + 10, left : left + 12]
                if cut.shape == found.shape and np.abs(cut - found).max() < 1e-2:
                    fits.append((down, right, mirrored))
        [move] = fits
        moves.append(move)
    steps = set(range(-padding, padding + 1))
    assert {move[:2] for move in moves} == {(down, right) for down in steps for right in steps}
    assert 140 < sum(mirrored for *_, mirrored in moves) < 260


def test_values_stay_in_range():
    images = np.stack([np.full((HEIGHT, WIDTH, 3), value) for value in (0, 255) * 32])
    images[:, ::2, :, 0] = 255
    found = changed(images.astype(np.uint8), jitter=0.9)
    assert found.min() == 0
    assert found.max() == 255
    assert np.isfinite(found).all()


def test_brightness_varies_within_the_jitter():
    """Contrast and saturation leave a uniform grey as it is."""
    found = changed(np.full((500, 4, 4, 3), 100, np.uint8), padding=0, jitter=0.2)
    assert np.ptp(found, axis=(1, 2, 3)).max() < 1e-3
    factors = found[:, 0, 0, 0] / 100
    assert 0.8 <= factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.2


def test_contrast_varies_within_the_jitter():
    """Two greys: their distance over their mean, which brightness scales alike."""
    picture = np.full((4, 4, 3), 80)
    picture[:2] = 120
    found = changed(copies(picture, 500), padding=0, jitter=0.2)
    factors = (found[:, 0, 0, 0] - found[:, 3, 0, 0]) / found.mean(axis=(1, 2, 3)) / 0.4
    assert 0.799 <= factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.201


def test_saturation_varies_within_the_jitter():
    """A uniform colour: its distance from grey over its luma, which brightness scales alike.

    Contrast moves colours towards a grey too, so two factors of 0.8 to 1.2 multiply.
    """
    found = changed(copies(np.full((4, 4, 3), (120, 100, 80)), 500), padding=0, jitter=0.2)
    assert np.ptp(found, axis=(1, 2)).max() < 1e-3
    colours = found[:, 0, 0]
    luma = 0.299 * 120 + 0.587 * 100 + 0.114 * 80
    factors = (colours[:, 0] - colours[:, 2]) / (colours @ [0.299, 0.587, 0.114]) / (40 / luma)
    assert 0.639 <= factors.min() < 0.7
    assert 1.35 < factors.max() <= 1.441


def test_jitter_keeps_the_mean_on_average():
    picture = pictures(1, 60, 190)[0]
    found = changed(copies(picture, 4000), padding=0, jitter=0.2)
    # Mirrors of equal share: columns in pairs.
    expected = (picture.astype("f4") + picture[:, ::-1]) / 2
    # Standard error of a brightness: 0.2 / sqrt(3 * 4000) of the value.
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)).mean(), picture.mean(), rtol=0.01)
    np.testing.assert_allclose(found.mean(axis=0), expected, atol=5)


def test_equals_one_change_after_the_other():
    """Brightness, contrast, saturation, mirror, shift: a slow oracle in float64, same draws."""
    images, padding, jitter = pictures(6), 2, 0.4
    seeds = tf.random.split(tf.constant([4, 9]), 3)
    factors = tf.random.stateless_uniform([3, 6], seeds[0], 1 - jitter, 1 + jitter).numpy()
    mirrored = tf.random.stateless_uniform([6], seeds[1]).numpy() < 0.5
    corners = tf.random.stateless_uniform([6, 2], seeds[2], 0, 2 * padding + 1, tf.int32).numpy()
    assert 0 < mirrored.sum() < 6

    def luma(picture):
        return (picture @ [0.299, 0.587, 0.114])[..., None]

    found = changed(images, (4, 9), padding=padding, jitter=jitter)
    for i, picture in enumerate(images.astype(np.float64)):
        picture = picture * factors[0, i]
        mean = luma(picture).mean()
        picture = mean + factors[1, i] * (picture - mean)
        picture = luma(picture) + factors[2, i] * (picture - luma(picture))
        picture = np.clip(picture, 0, 255)[:, :: -1 if mirrored[i] else 1]
        edges = [(padding, padding), (padding, padding), (0, 0)]
        picture = np.pad(picture, edges, constant_values=127.5)
        top, left = corners[i]
        expected = picture[top : top + HEIGHT, left : left + WIDTH]
        np.testing.assert_allclose(found[i], expected, atol=1e-3)


def test_erasing_beside_numpy():
    """Each picture's rectangle by a slow oracle, same draws."""
    images = np.random.default_rng(1).uniform(0, 100, (200, 24, 12, 3)).astype(np.float32)
    drawn, area, ratio, top, left = tf.random.stateless_uniform([5, 200], [7, 8]).numpy()
    found = erase(tf.constant(images), tf.constant([7, 8])).numpy()
    for i in range(200):
        pixels = 24 * 12 * (0.02 + 0.38 * area[i])
        times = 0.3 ** (1 - 2 * ratio[i])
        high, wide = (
            min(round((pixels * times) ** 0.5), 24),
            min(round((pixels / times) ** 0.5), 12),
        )
        first, start = int(top[i] * (25 - high)), int(left[i] * (13 - wide))
        expected = images[i].copy()
        if drawn[i] < 0.5:
            expected[first : first + high, start : start + wide] = 127.5
        np.testing.assert_array_equal(found[i], expected, str(i))


def test_how_much_is_erased():
    images = tf.zeros([4000, 64, 64, 3])
    shares = (erase(images, tf.constant([1, 2])).numpy() == 127.5).all(axis=-1).mean(axis=(1, 2))
    assert 0.47 < (shares > 0).mean() < 0.53
    erased = shares[shares > 0]
    # A rectangle's sides are whole pixels.
    assert 0.015 < erased.min() < 0.03
    assert 0.35 < erased.max() < 0.41
    assert 0.19 < erased.mean() < 0.22


@pytest.mark.parametrize(("probability", "share"), [(0, 0), (1, 1)])
def test_none_or_every_picture_loses_something(probability, share):
    found = erase(tf.zeros([50, 16, 8, 3]), tf.constant([0, 0]), probability).numpy()
    assert found.any(axis=(1, 2, 3)).mean() == share
