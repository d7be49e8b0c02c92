"""What the evaluation of a run gives: rows by key and title, ranked lists, notes."""

import dataclasses

from PIL import Image

from arn_tf.ranking.protocol import RankingResult


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


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A table of rows in its order.

    Attributes:
        rows: in the order of the table; none where no person of the target is known.
        ranked_lists: picture of the ranked lists of the adapted model.
        notes: what a reader of the table must know, a list of sentences.
        without_labels: {title of a model: {name of a number: its value}}, where there are no rows.
    """

    rows: list[Row]
    ranked_lists: Image.Image
    notes: list[str]
    without_labels: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

    def __getitem__(self, key: str) -> RankingResult:
        """Returns the result of the row with this key.

        Raises:
            KeyError: there is no such row.
        """
        for row in self.rows:
            if row.key == key:
                return row.result
        raise KeyError(key)
