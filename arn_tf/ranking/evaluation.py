"""What the evaluation of a run gives: rows by key and title, ranked lists, notes."""

import dataclasses
import math

import numpy as np
from PIL import Image

from arn_tf.ranking.pair_scores import PairScores
from arn_tf.ranking.results import RankingResult
from arn_tf.ranking.scores import Split


@dataclasses.dataclass(frozen=True)
class Row:
    """Scores of one model in one way.

    Attributes:
        key: by which the program knows the row.
        title: by which a table names it.
        result: scores on the target.
    """

    key: str
    title: str
    result: RankingResult


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """What the model that the run keeps makes of the pictures that were scored.

    Attributes:
        title: of its row, which is not re-ranked, or of its numbers without labels.
        query: the Q pictures that were searched for; without labels, all.
        gallery: the G pictures that were ranked; without labels, the same.
        query_embeddings: real [Q, D], of any length above zero.
        gallery_embeddings: real [G, D].
    """

    title: str
    query: Split
    gallery: Split
    query_embeddings: np.ndarray
    gallery_embeddings: np.ndarray


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A table of rows in its order.

    Attributes:
        rows: in the order of the table; none where no person of the target is known.
        ranked_lists: picture of the ranked lists of the adapted model.
        notes: what a reader of the table must know, a list of sentences.
        without_labels: {title of a model: {name of a number: its value}}, where there are no rows.
        kept: what the numbers of the run's model were made from; None where it was let go.
        pairs: scores of the user's pairs of pictures; None where there are none.
        by_tracklet: row of the run's model, whose queries and gallery are tracklets; None where
            there are none.
    """

    rows: list[Row]
    ranked_lists: Image.Image
    notes: list[str]
    without_labels: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    kept: Kept | None = None
    pairs: PairScores | None = None
    by_tracklet: Row | None = None

    def __getitem__(self, key: str) -> RankingResult:
        """Returns the result of the row with this key.

        Raises:
            KeyError: there is no such row.
        """
        for row in self.rows:
            if row.key == key:
                return row.result
        raise KeyError(key)


def shown(number: float) -> str:
    """Returns a number without labels for a reader; a dash for NaN, where there is none."""
    return "-" if math.isnan(number) else f"{number:.3f}"
