"""The paper's table 2: its four rows, beside source-only training and the untrained backbone."""

from collections.abc import Mapping

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


def _run(folder: str, title: str, changes: Mapping[str, object], all_rows: bool) -> AblationRun:
    return AblationRun(folder, changes, {evaluate.ADAPTED: (folder, title)}, all_rows)


_NO_PRIVATE, _FULL = "no_private", "full"
ABLATION = Ablation(
    name="table2",
    runs=(
        _run("rec", "w/o L_ctrs, L_class, E_S, E_T", _UNSUPERVISED | _WITHOUT_PRIVATE, False),
        _run("rec_diff", "w/o L_ctrs, L_class", _UNSUPERVISED, False),
        _run(
            _NO_PRIVATE, "w/o E_S, E_T", _WITHOUT_PRIVATE | {"source_only_baseline": False}, False
        ),
        # Every run has the untrained backbone; the full one speaks for all.
        _run(_FULL, "full ARN", {"source_only_baseline": True}, True),
    ),
    compared=(
        (_FULL, evaluate.SOURCE_ONLY_TARGET_STATISTICS),
        (_FULL, _NO_PRIVATE),
    ),
)


def ablation(settings: Settings, beside: Mapping[str, str]) -> Ablation:
    """Returns the paper's table.

    Args:
        settings: of the full model.
        beside: of another network beside it: the paper's table has none.

    Raises:
        UserError: there is one, or the rows choose a setting themselves.
    """
    if beside:
        raise UserError("beside has no meaning with preset=paper", ["beside", "preset"])
    if not (settings.private_encoders and all(settings.loss_weights.values())):
        raise UserError(
            "the ablation's rows choose private_encoders and the zero weights themselves",
            ["private_encoders"],
        )
    return ABLATION
