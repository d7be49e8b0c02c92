"""Small embeddings of drawn pictures, as an evaluation keeps them for its page."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from arn_tf.data.split import Split
from arn_tf.ranking import scores
from arn_tf.ranking.evaluation import Evaluation, Kept, Row
from arn_tf.report.about import About, Choice

TITLE = "self-trained (b)"


def split(
    persons: Sequence[int],
    cameras: Sequence[int],
    names: dict[int, str] | None = None,
    files: Sequence[str] | None = None,
    first: int = 0,
) -> Split:
    """Returns pictures of one colour each, no two of the same from `first` on."""
    images = np.empty(len(persons), object)
    for row, person in enumerate(persons):
        stream = io.BytesIO()
        number = first + row
        colour = (40 + 60 * (person % 4), number % 256, (37 * person) % 256)
        Image.new("RGB", (16, 32), colour).save(stream, "PNG")
        images[row] = stream.getvalue() + number.to_bytes(4, "big")
    return Split(
        images,
        np.array(persons, np.int64),
        np.array(cameras, np.int64),
        list(files or (f"{first + row:04d}.png" for row in range(len(persons)))),
        names or {},
    )


def kept(
    persons: int = 6,
    cameras: Sequence[int] = (1, 2, 5),
    shots: int = 4,
    noise: float = 1.2,
    names: dict[int, str] | None = None,
    seed: int = 0,
) -> Kept:
    """Returns embeddings near one direction for each person, nearer for a good model.

    The gallery has a distractor and a junk picture in the first camera, too.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(persons + 1, 8))

    def made(shots: int, first: int, more: Sequence[int]) -> tuple[Split, np.ndarray]:
        seen = [(p, c) for p in range(1, persons + 1) for c in cameras for _ in range(shots)]
        seen += [(person, cameras[0]) for person in more]
        person_id, camera_id = (list(each) for each in zip(*seen, strict=True))
        vectors = directions[np.maximum(person_id, 0)]
        vectors = vectors + noise * rng.normal(size=vectors.shape)
        return split(person_id, camera_id, names, first=first), vectors

    query, query_embeddings = made(2, 0, [])
    gallery, gallery_embeddings = made(shots, 5000, [0, -1])
    return Kept(TITLE, query, gallery, query_embeddings, gallery_embeddings)


def evaluation(of: Kept, labelled: bool = True, notes: Sequence[str] = ()) -> Evaluation:
    """Returns the evaluation that keeps these embeddings, with a worse row before its own."""
    picture = Image.new("RGB", (1, 1))
    if not labelled:
        alone = Kept(of.title, of.query, of.query, of.query_embeddings, of.query_embeddings)
        numbers = {"other_camera_share": 0.9, "mutual_rate": 0.4}
        return Evaluation([], picture, list(notes), {"untrained": numbers, TITLE: numbers}, alone)
    vectors = of.query_embeddings, of.gallery_embeddings
    worse = [each + np.random.default_rng(1).normal(size=each.shape) for each in vectors]
    rows = [
        Row("untrained", "untrained", scores.score(*worse, of.query, of.gallery)),
        Row("adapted", TITLE, scores.score(*vectors, of.query, of.gallery)),
    ]
    return Evaluation(rows, picture, list(notes), kept=of)


def about(**changes: object) -> About:
    """Returns what a page says of a run."""
    values = {
        "title": "market to duke",
        "recipe": "strong",
        "model": "ab" * 32,
        "scored": ["36 queries of 6 persons."],
        "choice": Choice("round_2.keras", "the latest", {"round_1.keras": None, "round_2": 0.7}),
        "settings": {"seed": 7, "names": ""},
        "versions": {"Python": "3.12"},
    }
    return About(**values | changes)
