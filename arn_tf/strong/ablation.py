"""The strong recipe over seeds: a run's stages, the bound that labels give, and another start.

Of each seed the first run's stages are rows: the network as it is given or tuned on the source,
calibrated, self-trained, re-ranked. A second run learns the target by its labels at equal cost, an
oracle. A third one, where it is asked for, begins with another network.
"""

import dataclasses
import os
from collections.abc import Mapping

from arn_tf.backbones import networks
from arn_tf.errors import UserError, named
from arn_tf.run.ablation import Ablation, AblationRun, Bound
from arn_tf.strong import evaluate, oracle
from arn_tf.strong.settings import StrongSettings

SUPERVISED = "supervised"
# Settings of the run beside, and the flags that give them.
_FLAGS = {
    "backbone": "beside",
    "backbone_weights": "beside_weights",
    "input_size": "beside_input_size",
}
_COMPARED = (
    (evaluate.SOURCE_ONLY_CAMERAS, evaluate.SOURCE_ONLY),
    (evaluate.ADAPTED_CAMERAS, evaluate.SOURCE_ONLY_CAMERAS),
    (evaluate.ADAPTED_RERANKED, evaluate.ADAPTED_CAMERAS),
    (SUPERVISED, evaluate.ADAPTED_CAMERAS),
)


def ablation(settings: StrongSettings, beside: Mapping[str, str]) -> Ablation:
    """Returns the table of the recipe.

    Args:
        settings: of the first run.
        beside: changes of a run that begins with another network: backbone, backbone_weights and
            perhaps input_size; or nothing.

    Raises:
        UserError: they can't be, or the target can't be listed.
    """
    if settings.oracle_labels:
        raise UserError(
            "oracle_labels: the table has a row of a run with them; leave it out",
            ["oracle_labels"],
        )
    titles = evaluate.titles_of(settings)
    runs, notes, compared = [AblationRun("strong", all_rows=True)], [], list(_COMPARED)
    reason = "no round of self-training is asked for"
    if settings.self_training_rounds:
        reason = oracle.lacking(settings)
    if reason:
        notes.append(f"there is no row of the supervised bound: {reason}")
    else:
        title = oracle.title(titles[evaluate.ADAPTED_CAMERAS])
        rows = {evaluate.ADAPTED_CAMERAS: (SUPERVISED, title)}
        runs.append(AblationRun(SUPERVISED, {"oracle_labels": True}, rows))
    if beside:
        name = beside["backbone"]
        _check_beside(dataclasses.replace(settings, **beside, model_dir=""))
        rows = {
            key: (f"{name}/{key}", f"{name}: {titles[key]}")
            for key in (evaluate.SOURCE_ONLY_CAMERAS, evaluate.ADAPTED_CAMERAS)
        }
        runs.append(AblationRun(f"beside_{name}", beside, rows))
        compared.append((evaluate.ADAPTED_CAMERAS, rows[evaluate.ADAPTED_CAMERAS][0]))
    return Ablation(
        name="strong",
        runs=tuple(runs),
        compared=tuple(compared),
        bound=Bound(evaluate.SOURCE_ONLY_CAMERAS, evaluate.ADAPTED_CAMERAS, SUPERVISED),
        notes=tuple(notes),
    )


def _check_beside(settings: StrongSettings) -> None:
    """Checks what else only shows after the first runs; errors name the flags of the run beside."""
    if os.sep in settings.backbone:
        raise UserError(f"beside={settings.backbone}: no name of a network", ["beside"])
    try:
        settings.check()
        networks.check(settings.backbone, settings.backbone_weights)
    except UserError as error:
        text = named(_FLAGS).sub(lambda found: _FLAGS[found[1]], str(error))
        raise UserError(text, [_FLAGS.get(name, name) for name in error.arguments]) from error
