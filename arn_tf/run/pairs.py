"""The user's pairs of pictures, scored with the embeddings of a run's model."""

from collections.abc import Callable

import numpy as np

from arn_tf.data.pair_pictures import PairPictures
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.ranking import arguments, pair_scores
from arn_tf.run.settings import RunSettings
from datasets.files.printable import printable


def opened(settings: RunSettings, path: str, names: str) -> PairPictures:
    """Reads a table of pairs, and says what its pictures are taken for.

    Args:
        settings: of the run.
        path: of the table.
        names: template of its paths; a guess if it is empty.

    Raises:
        UserError: the table can't be used.
    """
    data = PairPictures(path, names, settings.skip_bad_images, settings.image_size)
    for line in data.told():
        print(printable(line))
    return data


def scored(
    data: PairPictures, embed: Callable[[Split], tuple[np.ndarray, list[str]]], wanted: float
) -> pair_scores.PairScores:
    """Returns the scores of pairs.

    Args:
        data: the pairs and their pictures.
        embed: gives the embeddings of pictures, real [N, D], and notes.
        wanted: false-accept rate that a threshold is wanted for.

    Raises:
        UserError: pictures can't be read, or pairs can't be scored.
    """
    split = data.split("train")
    a, b, same = data.pairs()
    embeddings, notes = embed(split)
    try:
        units = arguments.units_of("embeddings", embeddings)
    except ValueError as error:
        raise UserError(f"the pairs can't be scored: {error}") from error
    similarity = np.einsum("nd,nd->n", units[a], units[b])
    names = [split.camera(row) if split.camera_id[row] >= 0 else "" for row in range(len(split))]
    cameras = [(names[one], names[other]) for one, other in zip(a, b, strict=True)]
    return pair_scores.score(similarity, same, cameras, wanted, [*data.notes, *notes])
