"""The paper's table 2: its four rows, beside source-only training and the untrained backbone."""

from arn_tf.errors import UserError
from arn_tf.paper import evaluate
from arn_tf.paper.settings import Settings
from arn_tf.run.ablation import Ablation, AblationRun

# The two unsupervised rows can't begin with source-only epochs: all their epochs are joint.
_UNSUPERVISED = {
    "class_weight": 0.0,
    "contrastive_weight": 0.0,
    "source_only_epochs": 0,
    "source_only_baseline": False,
}
_WITHOUT_PRIVATE = {"private_encoders": False, "difference_weight": 0.0}
_NO_PRIVATE = ("no_private", "w/o E_S, E_T")
_FULL = ("full", "full ARN")
ABLATION = Ablation(
    name="table2",
    runs=(
        AblationRun(
            "rec", _UNSUPERVISED | _WITHOUT_PRIVATE, ("rec", "w/o L_ctrs, L_class, E_S, E_T")
        ),
        AblationRun("rec_diff", _UNSUPERVISED, ("rec_diff", "w/o L_ctrs, L_class")),
        AblationRun("no_private", _WITHOUT_PRIVATE | {"source_only_baseline": False}, _NO_PRIVATE),
        # Every run has the untrained backbone; the full one speaks for all.
        AblationRun("full", {"source_only_baseline": True}, _FULL, all_rows=True),
    ),
    compared=(
        (_FULL[0], evaluate.SOURCE_ONLY_TARGET_STATISTICS),
        (_FULL[0], _NO_PRIVATE[0]),
    ),
)


def check(settings: Settings) -> None:
    """Raises UserError for settings that the rows choose themselves."""
    if not (settings.private_encoders and all(settings.loss_weights.values())):
        raise UserError(
            "the ablation's rows choose private_encoders and the zero weights themselves",
            ["private_encoders"],
        )
