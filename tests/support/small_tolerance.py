"""How far apart two float32 results may be that differ in nothing but the order of their sums.

Which order a convolution or a matrix product adds in depends on the processor's instructions, the
number of threads and the size of the batch: equal programs on equal batches give equal bits on
one machine, and everything else needs a tolerance, which `rounding` derives.
"""

import math

import numpy as np

# Largest relative error of one float32 operation.
UNIT_ROUNDOFF = 2.0**-24


def rounding(layers, terms, scale=1.0):
    """Returns the absolute tolerance for the output of a network: layers sqrt(terms) u scale.

    The n roundings of a sum of n products are of either sign, so two orders differ by about
    sqrt(n) u of the sum's size (n u is the worst case; Higham and Mary, SIAM J. Sci. Comput.
    41(5), 2019). As independent errors those of L layers would add up to sqrt(L) of that. The whole
    of L leaves room for what a layer makes of the errors it receives: batch normalisation and
    ReLU enlarge them by up to sqrt(pi / (pi - 1)) = 1.2 times, relative to the values.

    Args:
        layers: those with weights or statistics, one after another.
        terms: products in the longest sum of a layer.
        scale: largest absolute value of the output; an error of a small entry is one of the sum
            that it comes from, not of its own size.
    """
    return layers * math.sqrt(terms) * UNIT_ROUNDOFF * scale


def assert_moved_alike(found, expected, start, name=""):
    """Asserts that a weight was trained from `start` to the same place in two orders of sums.

    A gradient is no continuous function of its sums: a ReLU whose input is within rounding of 0
    passes it on in one order and stops it in the other, and of 100,000 such units a few are that
    near. One of N units that draw in all directions has 1 / sqrt(N) of the gradient's length:
    1% of a layer of 10,000. What is compared is therefore the length of the difference, with room
    for 25 such units; half a batch or a wrong factor makes it tens of percent.

    Args:
        found: the weight after training in one way, an array.
        expected: the weight after training in the other.
        start: the weight before.
        name: of the weight, for the message.
    """
    moved, apart = (
        np.linalg.norm(np.subtract(a, b, dtype=np.float64))
        for a, b in ((expected, start), (found, expected))
    )
    least = 1e-6 * np.linalg.norm(expected)
    assert apart <= 0.05 * moved + least, f"{name}: {apart:.2g} apart, moved by {moved:.2g}"
