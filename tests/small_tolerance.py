"""How far apart two float32 results may be that differ in nothing but the order of their sums.

Which order a convolution or a matrix product adds in depends on the processor's instructions, the
number of threads and the size of the batch: equal programs on equal batches give equal bits on
one machine, and everything else needs a tolerance, which `rounding` derives.
"""

import math

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
