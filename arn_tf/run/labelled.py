"""Which pictures a run is scored on: the target's, or the user's own.

Apart from `scored`, which reads them with TensorFlow: processes of `arn_tf.ablate` take it before
they start that.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Pictures of the user's own to score on.

    Attributes:
        query: folder or table of pictures whose persons are known.
        gallery: the same; the query's pictures themselves if it is empty.
        names: template of the paths in both; a guess if it is empty.
        same_camera: whether a picture of the query's own camera counts as a match.
    """

    query: str = ""
    gallery: str = ""
    names: str = ""
    same_camera: bool = False


# What the target itself has.
TARGETS_OWN = Labelled()
