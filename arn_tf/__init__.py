"""ARN: person re-identification that adapts from a labelled to an unlabelled camera network.

`import arn_tf` is enough for `keras.models.load_model` to read the model of any run. The commands
are `python -m arn_tf.train`, `evaluate`, `calibrate`, `export`, `embed`, `ablate`, `rank`,
`inspect`, `weights`, `demo` and `demo_cameras`.
"""

import os
import sys

# A command, whose module is still being looked for; what it imports may not be installed there.
if sys.platform != "linux" and sys.argv[:1] == ["-m"]:
    print(
        f"error: arn_tf trains, scores and exports on Linux alone, and this is {sys.platform}; the "
        "client and the gallery (serving.client, serving.gallery) run on macOS and Windows, too",
        file=sys.stderr,
    )
    sys.exit(2)

# Hides TensorFlow's notes as it starts; errors arrive as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Our own programs start TensorFlow themselves, the commands after they have answered --help: while
# `python -m arn_tf.train` looks for its module, "-m" is the first argument; so it is in the
# processes that `arn_tf.ablate` spawns. Workers of `arn_tf.embed` on a cluster are told so.
_PROGRAMS = ("arn_tf.", "studies.", "--multiprocessing-fork")
_OURS = sys.argv[:1] == ["-m"] and any(word.startswith(_PROGRAMS) for word in sys.orig_argv)
if not (_OURS or "ARN_TF_WORKER" in os.environ):
    from arn_tf.layers import keras_settings

    keras_settings.require()

    from arn_tf.errors import UserError
    from arn_tf.layers.adam import Adam
    from arn_tf.layers.normalization import SOURCE, TARGET
    from arn_tf.paper.constants import PAPER_LEARNING_RATES, PAPER_WEIGHTS, TERMS
    from arn_tf.paper.model import ARN
    from arn_tf.paper.optimizers import ConstantThenCosine, grouped_optimizer
    from arn_tf.strong.model import StrongModel

    __all__ = [
        "ARN",
        "PAPER_LEARNING_RATES",
        "PAPER_WEIGHTS",
        "SOURCE",
        "TARGET",
        "TERMS",
        "Adam",
        "ConstantThenCosine",
        "StrongModel",
        "UserError",
        "grouped_optimizer",
    ]
