"""How much of the exact nearest an approximate search finds."""

import dataclasses

# Of the `TOP` nearest: more is visited until so much is found.
ENOUGH, TOP = 0.95, 10
# Scores of equal embeddings differ by float32 rounding between two searches.
SAME_SCORE = 1e-5


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good an approximate search is.

    Attributes:
        recall: share of the exact `top` nearest that it finds.
        top: length of the lists compared.
        queries: how many pictures were asked for.
    """

    recall: float
    top: int
    queries: int
