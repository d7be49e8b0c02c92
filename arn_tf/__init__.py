"""ARN: person re-identification that adapts from a labelled to an unlabelled camera network."""

import os

# TensorFlow's own notes as it starts, of no use to anybody here; errors arrive as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from arn_tf.paper.model import ARN, PAPER_WEIGHTS, SOURCE, TARGET, TERMS
from arn_tf.paper.optimizers import PAPER_LEARNING_RATES, ConstantThenCosine, grouped_optimizer

__all__ = [
    "ARN",
    "PAPER_LEARNING_RATES",
    "PAPER_WEIGHTS",
    "SOURCE",
    "TARGET",
    "TERMS",
    "ConstantThenCosine",
    "grouped_optimizer",
]
