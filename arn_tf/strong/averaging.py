"""The mean of a run's last rounds, a stage of its own.

At a constant rate the weights wander about what they look for, and their mean lies nearer to it
(Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
"""

import numpy as np

from arn_tf.run.folder import RunDir
from arn_tf.strong.model import StrongModel


def mean_of(run: RunDir, files: list[str], model: StrongModel) -> StrongModel:
    """Gives a model the mean of several files' weights of E_I; the rest is the last one's.

    Its table is that of other weights, and must be estimated anew. Its running statistics, which
    the source's row is made of, are means of the rounds': no picture of the source passes again.

    Args:
        run: folder of the run.
        files: names of the models' files.
        model: one with the same cameras, which is changed: what it has traced serves the mean.

    Returns:
        that model.

    Raises:
        UserError: one is missing or broken.
    """
    sums = None
    for name in files:
        run.load_weights(model, name)
        weights = [each.astype(np.float64) for each in model.encoder_i.get_weights()]
        sums = weights if sums is None else [a + b for a, b in zip(sums, weights, strict=True)]
    model.encoder_i.set_weights([total / len(files) for total in sums])
    return model
