"""The four terms against numbers worked by hand and slow loops, eagerly and compiled."""

import math

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.paper import losses

BOTH_FORMS = pytest.mark.parametrize("kind", losses.NORMALIZATIONS)


@pytest.fixture(params=["eager", "compiled"])
def run(request):
    """Calls a loss and returns its value as a float."""

    def call(function, *arguments, **options):
        if request.param == "compiled":
            wrapped = tf.function(lambda *inner: function(*inner, **options))
        else:

            def wrapped(*inner):
                return function(*inner, **options)

        value = wrapped(*map(tf.constant, arguments))
        assert value.shape == ()
        return float(value)

    return call


def random_codes(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def unit(row):
    return row / math.sqrt(sum(float(x) ** 2 for x in row))


def slow_contrastive(codes, labels, margin, kind):
    total = 0.0
    for i, left in enumerate(codes.astype(np.float64)):
        for j, right in enumerate(codes.astype(np.float64)):
            same = labels[i] == labels[j]
            if kind == "literal":
                for a, b in zip(left, right, strict=True):
                    total += (a - b) ** 2 if same else max(0.0, margin - (a - b)) ** 2
            elif i != j:
                squares = ((a - b) ** 2 for a, b in zip(unit(left), unit(right), strict=True))
                distance = math.sqrt(sum(squares))
                total += distance**2 if same else max(0.0, margin - distance) ** 2
    return total


def slow_difference(shared, private, kind):
    """Forms the D x D product entry by entry."""
    shared, private = shared.astype(np.float64), private.astype(np.float64)
    if kind == "normalized":
        shared = np.stack([unit(row) for row in shared - shared.mean(axis=0)])
        private = np.stack([unit(row) for row in private - private.mean(axis=0)])
    total = 0.0
    for p in range(private.shape[1]):
        for c in range(shared.shape[1]):
            entry = sum(private[b, p] * shared[b, c] for b in range(len(shared)))
            total += entry**2
    return total if kind == "literal" else total / (private.shape[1] * shared.shape[1])


def test_classification_by_hand(run):
    logits = np.log([[3.0, 1.0], [3.0, 1.0]]).astype(np.float32)
    # Probabilities 3/4 and 1/4.
    assert run(losses.classification, logits, [0, 0]) == pytest.approx(math.log(4 / 3), rel=1e-6)
    assert run(losses.classification, logits, [0, 1]) == pytest.approx(
        (math.log(4 / 3) + math.log(4)) / 2, rel=1e-6
    )
    zeros = np.zeros((5, 751), np.float32)
    assert run(losses.classification, zeros, np.arange(5)) == pytest.approx(math.log(751))


def test_classification_survives_huge_logits(run):
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    assert run(losses.classification, logits, [0, 0]) == pytest.approx(1e4)


def test_contrastive_of_distances_by_hand():
    distances = tf.constant([0.0, 0.25, 1.0, 3.0])
    close = losses.contrastive_of_distances(distances, tf.ones(4), margin=1.0)
    np.testing.assert_allclose(close, [0.0, 0.0625, 1.0, 9.0])
    apart = losses.contrastive_of_distances(distances, tf.zeros(4, tf.int32), margin=1.0)
    np.testing.assert_allclose(apart, [1.0, 0.5625, 0.0, 0.0])


def test_normalized_contrastive_by_hand(run):
    # Scaled to unit length: (1, 0), (0, 1), (1, 0). The first two are one person: d^2 = 2. The
    # third coincides with the first, d = 0, and is sqrt 2 from the second. Each pair counts twice.
    codes, labels = np.array([[1, 0], [0, 2], [3, 0]], np.float32), [0, 0, 1]
    assert run(losses.contrastive, codes, labels) == pytest.approx(2 * (2 + 1 + 0), rel=1e-5)
    assert run(losses.contrastive, codes, labels, margin=2.0) == pytest.approx(
        2 * (2 + 4 + (2 - math.sqrt(2)) ** 2), rel=1e-5
    )


def test_literal_contrastive_by_hand(run):
    codes = np.array([[1, 0], [3, -1]], np.float32)
    # One person: entries differ by 2 and 1, in either order.
    assert run(losses.contrastive, codes, [5, 5], normalization="literal") == 2 * (4 + 1)
    # Two: margin - difference is 1 + 2 and 1 - 1 one way, 1 - 2 -> 0 and 1 + 1 the other.
    assert run(losses.contrastive, codes, [5, 6], normalization="literal") == 9 + 0 + 0 + 4


@BOTH_FORMS
@pytest.mark.parametrize("margin", [0.5, 1.0, 1.7])
def test_contrastive_equals_loops(run, kind, margin):
    codes, labels = random_codes(0, 9, 5), np.array([0, 1, 2, 0, 1, 2, 2, 2, 3])
    value = run(losses.contrastive, codes, labels, margin=margin, normalization=kind)
    assert value == pytest.approx(slow_contrastive(codes, labels, margin, kind), rel=1e-5)


def test_normalized_contrastive_ignores_the_length_of_codes(run):
    codes, labels = random_codes(1, 6, 4), [0, 0, 1, 1, 2, 2]
    stretched = codes * np.array([[1], [2], [50], [0.01], [1e3], [7]], np.float32)
    assert run(losses.contrastive, stretched, labels) == pytest.approx(
        run(losses.contrastive, codes, labels), rel=1e-4
    )


def test_a_code_is_no_pair_with_itself(run):
    """A code of zeros, which has no direction, would count as far from itself."""
    codes = np.array([[0, 0], [1, 0]], np.float32)
    assert run(losses.contrastive, codes, [0, 1]) == 0


def test_reconstruction_by_hand(run):
    maps = np.array([[[[1.0, 2.0]]], [[[3.0, 4.0]]]], np.float32)  # [2, 1, 1, 2]
    rebuilt = np.array([[[[1.0, 0.0]]], [[[0.0, 5.0]]]], np.float32)
    # Errors 0, 2, 3, -1.
    assert run(losses.reconstruction, maps, rebuilt) == pytest.approx(14 / 4)
    assert run(losses.reconstruction, maps, rebuilt, normalization="literal") == pytest.approx(14)


@BOTH_FORMS
def test_reconstruction_equals_loops(run, kind):
    maps, rebuilt = random_codes(2, 3, 2, 4, 5), random_codes(3, 3, 2, 4, 5)
    total = sum((float(a) - float(b)) ** 2 for a, b in zip(maps.flat, rebuilt.flat, strict=True))
    expected = total if kind == "literal" else total / (3 * 2 * 4 * 5)
    assert run(losses.reconstruction, maps, rebuilt, normalization=kind) == pytest.approx(
        expected, rel=1e-5
    )


def test_normalized_difference_by_hand(run):
    # Centred and scaled: C = (1, 0), (-1, 0) and P = -1, 1. P^T C = (-2, 0), over 1 x 2 entries.
    shared, private = np.array([[2, 0], [0, 0]], np.float32), np.array([[0], [4]], np.float32)
    assert run(losses.difference, shared, private) == pytest.approx(4 / 2, rel=1e-6)


def test_literal_difference_by_hand(run):
    # C^T P = (1 - 3, 2 - 4).
    shared, private = np.array([[1, 2], [3, 4]], np.float32), np.array([[1], [-1]], np.float32)
    assert run(losses.difference, shared, private, normalization="literal") == pytest.approx(8)


@BOTH_FORMS
@pytest.mark.parametrize(("shared_dim", "private_dim"), [(6, 6), (7, 3), (2, 11)])
def test_difference_equals_the_norm_of_the_product(run, kind, shared_dim, private_dim):
    shared, private = random_codes(4, 5, shared_dim), random_codes(5, 5, private_dim)
    assert run(losses.difference, shared, private, normalization=kind) == pytest.approx(
        slow_difference(shared, private, kind), rel=1e-5
    )


def test_difference_ignores_shift_and_scale_and_sees_correlation(run):
    shared, private = random_codes(6, 16, 8), random_codes(7, 16, 8)
    value = run(losses.difference, shared, private)
    assert run(losses.difference, 3 * shared + 5, 0.1 * private - 2) == pytest.approx(value, 1e-4)
    assert run(losses.difference, shared, shared) > 2 * value


def test_difference_is_zero_for_codes_of_separate_samples(run):
    """P^T C vanishes where no sample has both."""
    shared = np.array([[1, 2], [-1, -2], [0, 0], [0, 0]], np.float32)
    private = np.array([[0, 0], [0, 0], [4, 1], [-4, -1]], np.float32)
    assert run(losses.difference, shared, private) == 0
    assert run(losses.difference, shared, private, normalization="literal") == 0


def test_documented_magnitude_of_the_difference():
    """32 unrelated ReLU codes of width 2048: 7.9e-6, and 33 as a sum; gamma makes it 0.012."""
    values = []
    for seed in range(3):
        shared, private = np.maximum(random_codes(seed, 2, 32, 2048), 0)
        values.append(float(losses.difference(shared, private)))
    assert np.mean(values) == pytest.approx(7.9e-6, rel=0.03)
    assert np.mean(values) * 2048**2 == pytest.approx(33.1, rel=0.03)
    assert np.mean(values) * 1500 == pytest.approx(0.012, rel=0.05)


@BOTH_FORMS
@pytest.mark.parametrize(
    "codes",
    [
        pytest.param(np.ones((4, 3)), id="all equal"),
        pytest.param(np.zeros((4, 3)), id="all zero"),
        pytest.param(np.array([[1, 2, 3], [1, 2, 3], [0, 0, 0], [2, 4, 6]]), id="some parallel"),
        # Their unit rows are exact, and so is the distance of 0.
        pytest.param(np.array([[1, 0, 0], [2, 0, 0], [0, 4, 0], [0, 1, 0]]), id="on axes"),
    ],
)
def test_gradients_are_finite_where_codes_coincide(kind, codes):
    codes = tf.constant(codes, tf.float32)
    other = tf.constant(random_codes(8, 4, 2))
    for labels in np.array([[0, 0, 1, 1], [0, 1, 2, 3], [0, 0, 0, 0]]):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            value = losses.contrastive(codes, labels, 1.0, kind)
        assert np.isfinite(value)
        assert np.all(np.isfinite(tape.gradient(value, codes)))
    with tf.GradientTape() as tape:
        tape.watch([codes, other])
        value = losses.difference(codes, other, kind) + losses.difference(other, codes, kind)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(g)) for g in tape.gradient(value, [codes, other]))


def test_difference_of_equal_rows_is_zero():
    """Nothing is left of them after centring."""
    assert float(losses.difference(np.ones((4, 3), "f4"), random_codes(9, 4, 5))) == 0


@BOTH_FORMS
def test_gradients_equal_finite_differences(kind):
    codes = tf.constant(random_codes(10, 5, 4), tf.float64)
    private = tf.constant(random_codes(11, 5, 3), tf.float64)
    labels = np.array([0, 0, 1, 1, 2])
    for function, arguments in (
        (lambda c: losses.contrastive(c, labels, 1.2, kind), [codes]),
        (lambda c, p: losses.difference(c, p, kind), [codes, private]),
        (lambda c: losses.reconstruction(c, codes.numpy()[::-1], kind), [codes]),
    ):
        exact, numeric = tf.test.compute_gradient(function, arguments, delta=1e-6)
        for left, right in zip(exact, numeric, strict=True):
            assert np.abs(left).max() > 0
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_the_contrastive_gradient_pulls_together_and_pushes_apart():
    codes = tf.constant([[1.0, 0.1], [1.0, -0.1]])
    for labels, sign in ((np.array([0, 0]), 1), (np.array([0, 1]), -1)):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            value = losses.contrastive(codes, labels)
        gradient = tape.gradient(value, codes)
        assert sign * gradient[0, 1] > 0
        assert sign * gradient[1, 1] < 0


@pytest.mark.parametrize(
    "call",
    [
        lambda kind: losses.contrastive(tf.ones((2, 2)), np.arange(2), 1.0, kind),
        lambda kind: losses.reconstruction(tf.ones((1, 1, 1, 1)), tf.ones((1, 1, 1, 1)), kind),
        lambda kind: losses.difference(tf.ones((2, 2)), tf.ones((2, 2)), kind),
    ],
)
def test_unknown_normalization(call):
    with pytest.raises(ValueError, match=r"'normalized', 'literal'.*'mean'"):
        call("mean")
