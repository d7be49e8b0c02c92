"""The strong recipe over seeds: a seed is one run, whose stages are the rows."""

from arn_tf.run.ablation import Ablation, AblationRun
from arn_tf.strong import evaluate
from arn_tf.strong.settings import StrongSettings

ABLATION = Ablation(
    name="strong",
    runs=(AblationRun("strong", all_rows=True),),
    compared=(
        (evaluate.SOURCE_ONLY_CAMERAS, evaluate.SOURCE_ONLY),
        (evaluate.ADAPTED_CAMERAS, evaluate.SOURCE_ONLY_CAMERAS),
        (evaluate.ADAPTED_RERANKED, evaluate.ADAPTED_CAMERAS),
    ),
)


def check(settings: StrongSettings) -> None:
    """Takes any settings of the recipe."""
