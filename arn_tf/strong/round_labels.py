"""What a round of self-training takes for persons, and its record in the run's folder.

The better of two ways to cluster the target (`arn_tf.strong.target_clusters`); with
`oracle_labels`, the target's persons.
"""

import json

import numpy as np

from arn_tf.data.split import Split
from arn_tf.run import tensorboard
from arn_tf.run.folder import RunDir
from arn_tf.strong import clustering, oracle, target_clusters
from arn_tf.strong.settings import StrongSettings
from datasets.files.atomic_files import replace_text

# Of a round: what is written and shown of its labels.
Record = dict[str, object]


def find(
    settings: StrongSettings, run: RunDir, number: int, embeddings: np.ndarray, split: Split
) -> tuple[np.ndarray, Record, str | None]:
    """Returns a round's labels, their record, and why they can't be trained on, or None.

    Prints the record, and writes it into the run's folder and TensorBoard.

    Args:
        settings: of the run.
        run: its folder.
        number: of the round, from 1.
        embeddings: of the target's training pictures, float [N, D].
        split: the target's training split.

    Returns:
        labels: int64 [N], from 0; -1 for a picture that isn't used.
        record: what was written.
        reason: in words.
    """
    if settings.oracle_labels:
        labels, record, curves, note = _persons(number, split)
    else:
        labels, record, curves, note = _clusters(settings, number, embeddings, split)
    write(run, number, record)
    text = f"{note}```json\n{json.dumps(record, indent=2)}\n```"
    tensorboard.write_stage(run, "rounds", number, curves, text)
    return labels, record, record["stopped"]


def write(run: RunDir, number: int, record: Record) -> None:
    """Writes a round's record."""
    replace_text(run.file(f"round_{number}.json"), json.dumps(record, indent=2) + "\n")


def _clusters(
    settings: StrongSettings, number: int, embeddings: np.ndarray, split: Split
) -> tuple[np.ndarray, Record, dict[str, float], str]:
    found = _found(settings, embeddings, split)
    counts = found.counts
    print(
        f"round {number}: {counts.clusters} clusters of {counts.used} of {counts.images} "
        f"pictures within {counts.eps}; {counts.noise} in none, {counts.too_large} clusters "
        f"too large, {counts.one_camera} seen by one camera only",
        flush=True,
    )
    record: Record = {"stopped": found.stop_reason, **vars(counts)}
    shown = ["clusters", "used", "noise", "too_large", "one_camera", "eps"]
    if split.tracklet is not None:
        shown += ["tracklets", "forbidden_pairs", "divided"]
        print(
            f"  {counts.tracklets} tracklets used; {counts.divided} clusters divided, of "
            f"{counts.forbidden_pairs} pairs in one camera at the same time",
            flush=True,
        )
    if found.cameras_compared:
        record |= {
            "joined": found.joined,
            "conflicts": None if np.isnan(found.conflicts) else found.conflicts,
            "cameras_compared": found.cameras_compared,
            "cameras_sharing": found.cameras_sharing,
        }
        print(f"  {_way(found)}", flush=True)
    curves = {f"clusters/{key}": record[key] for key in shown}
    if (split.person_id[found.labels >= 0] > 0).any():
        purity = clustering.purity(found.labels, split.person_id)
        record["diagnosis_by_labels"] = {"purity": purity}
        print(f"  diagnosis by labels, which nothing else reads: purity {purity:.2f}")
    return found.labels, record, curves, ""


def _way(found: target_clusters.TargetClusters) -> str:
    way = "each camera alone, then joined" if found.joined else "all cameras together"
    conflicts = ""
    if not np.isnan(found.conflicts):
        conflicts = f": of the pairs of one camera its own clusters separate {found.conflicts:.0%}"
    return (
        f"clustered {way}{conflicts}; {found.cameras_sharing} of {found.cameras_compared} pairs "
        "of cameras seem to share persons"
    )


def _found(
    settings: StrongSettings, embeddings: np.ndarray, split: Split
) -> target_clusters.TargetClusters:
    eps = settings.cluster_eps or clustering.EPS
    return target_clusters.find(embeddings, split.camera_id, split.tracklet, split.time, eps)


def _persons(number: int, split: Split) -> tuple[np.ndarray, Record, dict[str, float], str]:
    labels, counts = oracle.labels(split.person_id, split.camera_id)
    print(
        f"round {number}: {oracle.MARK}: {counts.persons} persons of {counts.used} of "
        f"{counts.images} pictures; {counts.one_camera} seen by one camera only, "
        f"{counts.unknown} pictures of no known person",
        flush=True,
    )
    record: Record = {"stopped": None, "labels": oracle.MARK, **vars(counts)}
    curves = {f"persons/{key}": value for key, value in vars(counts).items()}
    return labels, record, curves, f"{oracle.MARK}\n"
