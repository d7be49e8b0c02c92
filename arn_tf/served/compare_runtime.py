"""Compares another runtime's graphs, as they lie on the disk, with the Keras model."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from arn_tf.errors import UserError
from arn_tf.served.graph import ServedModel
from arn_tf.served.runtime_graphs import BY_CAMERA, PLAIN, Embed

# Least cosine of any picture's two embeddings, in float32.
LEAST_COSINE = 0.9999
# Least mean cosine of what is quantised: below it something is broken, or costs too much.
LEAST_MEAN_COSINE = 0.95


def compare(
    served: ServedModel, embed: Mapping[str, Embed], pictures: Sequence[bytes], runtime: str
) -> dict[str, int | float]:
    """Returns how well the graphs agree with the model, the worst of them.

    Every graph gets the first picture alone and then the others together: a batch may be of any
    size.

    Args:
        served: the model.
        embed: {graph: function}, as the runtime loaded them.
        pictures: encoded pictures [N], 2 or more.
        runtime: its name, for the error.

    Raises:
        UserError: a graph isn't there, or some picture's cosine is below `LEAST_COSINE`; where the
            arithmetic isn't the model's own, their mean below `LEAST_MEAN_COSINE`.
    """
    examples = served.examples(pictures)
    wanted = [name for name in (PLAIN, BY_CAMERA) if name in examples]
    if sorted(embed) != sorted(wanted):
        raise UserError(f"{runtime}: graphs {sorted(embed)} were written and not {wanted}")
    differences, cosines = [], []
    for name in wanted:
        inputs, expected = examples[name]
        rows = None
        if "camera_id" in inputs:
            rows = served.table.known_and_rows(tf.constant(inputs["camera_id"]))[1].numpy()
        parts = [
            embed[name](inputs["images"][part], None if rows is None else rows[part])
            for part in (slice(0, 1), slice(1, None))
        ]
        vectors = np.concatenate(parts)
        differences.append(np.abs(vectors - expected["embedding"]).max())
        cosines.append((vectors * expected["embedding"]).sum(axis=1))
    agreement = {
        "pictures": len(pictures),
        "max_difference": float(max(differences)),
        "mean_cosine": float(min(each.mean() for each in cosines)),
        "least_cosine": float(min(each.min() for each in cosines)),
    }
    # Written so that NaN is refused.
    kind, least = "least", LEAST_COSINE
    way_out = "Are the installed packages those of the requirements files?"
    if not served.exact:
        kind, least = "mean", LEAST_MEAN_COSINE
        way_out = (
            f"This network doesn't bear precision={served.precision} on these pictures: leave "
            "precision out"
        )
    if not agreement[f"{kind}_cosine"] >= least:
        raise UserError(
            f"{runtime} computes other embeddings than the Keras model on {len(pictures)} pictures "
            f"({kind} cosine {agreement[f'{kind}_cosine']:.6f}, must be {least}; largest "
            f"difference {agreement['max_difference']:.2g}); nothing was published. {way_out}",
            [] if served.exact else ["precision"],
        )
    return agreement
