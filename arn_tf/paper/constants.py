"""The names and numbers of the paper: Li et al., CVPR Workshops 2018, sections 3 and 4."""

TERMS = ("class", "contrastive", "reconstruction", "difference")
# L = L_class + alpha L_ctrs + beta L_rec + gamma L_diff.
PAPER_WEIGHTS = {"class": 1.0, "contrastive": 0.01, "reconstruction": 2.0, "difference": 1500.0}
SYMBOLS = {
    "class": "L_class",
    "contrastive": "L_ctrs",
    "reconstruction": "L_rec",
    "difference": "L_diff",
}
PAPER_LEARNING_RATES = {
    "encoder_i": 1e-7,
    "encoder_c": 1e-3,
    "encoder_s": 1e-3,
    "encoder_t": 1e-3,
    "decoder_c": 1e-3,
    "classifier_s": 2e-3,
}
# The paper is silent on momentum; measured.
MOMENTUM = 0.9
# How the losses are averaged: see `arn_tf.paper.losses`.
NORMALIZATIONS = ("normalized", "literal")
