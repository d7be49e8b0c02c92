"""Measures label-free indicators against the true mAP of the target, checkpoint by checkpoint.

    python -m studies.model_choice RUN_DIR [RUN_DIR ...] --output=model_choice.json

Each RUN_DIR is a finished run of `--preset=strong`; the stages that it chose from are the
candidates. The indicators read the target's unlabelled training pictures and labelled held-out
identities of the source. THIS PROGRAM ALONE reads the target's labels, to say how good the
indicators are: true mAP is row (b) of `arn_tf.evaluate`, camera statistics and flip.

Prints, for every indicator, Spearman's rank correlation with true mAP over all checkpoints of a
direction, and the mean over runs of that within a run, which is what choosing needs; and what
choosing by it costs, in points of mAP, against the best checkpoint of each run. Beside it "always
the last", "always the first" and the rule that training uses, with its alarms.

--output keeps the figures, and a later call goes on from them; --embeddings keeps the
embeddings too. A minute and 30 MB for a checkpoint of the small Market-1501 on one core. Runs
that are copies of one another count once.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.data.split import Split
from arn_tf.errors import ArgumentError
from arn_tf.layers.normalization import TARGET
from arn_tf.ranking import scores as ranking_scores
from arn_tf.run import command_line
from arn_tf.run.folder import RunDir
from arn_tf.strong import batches, stage_choice, unlabelled_scores
from arn_tf.strong import train as strong_train
from arn_tf.strong.embedding import embed_plain
from arn_tf.strong.model import StrongModel
from arn_tf.strong.settings import StrongSettings
from benchmarks import flags
from datasets.files.atomic_files import replace_text, replaced
from studies import label_free_scores as scores
from studies import model_choice_table, source_validation
from studies.labelled_choice import stages_of

BATCH = 64


class Pictures:
    """Decoded splits of the data sets, each read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Split, np.ndarray]] = {}

    def __call__(self, settings: StrongSettings, name: str, split: str) -> tuple[Split, np.ndarray]:
        """Returns a split of the data set `name` and its pictures, uint8 [N, height, width, 3]."""
        key = name, split, settings.data_dir, settings.image_size
        if key not in self._known:
            data = ReidData(
                name, settings.data_dir, settings.manual_dir, settings.skip_bad_images
            ).split(split)
            self._known[key] = data, batches.decoded(data, settings.image_size)
        return self._known[key]


def embed(
    model: StrongModel, settings: StrongSettings, pictures: Pictures
) -> dict[str, np.ndarray]:
    """Returns the arrays that the indicators need of one checkpoint, by name.

    The target by camera statistics; the source by the running ones, which are its own.
    """
    result = {}
    for split in ("train", "query", "gallery"):
        data, images = pictures(settings, settings.target, split)
        first, second, logits = _views(model, images, model.table.rows_of(data.camera_id))
        if split == "train":
            result |= {"views": np.stack([first, second]), "logits": logits}
        else:
            result[f"target_{split}"] = first + second
    for split in ("query", "gallery"):
        images = pictures(settings, settings.source, split)[1]
        both = [embed_plain(model, view) for view in (images, images[:, :, ::-1])]
        result[f"source_{split}"] = both[0] + both[1]
    # The statistics that embeddings are standardised by show a collapse that these hide.
    result["standardization"] = np.stack(model.table.embedding_statistics(TARGET))
    return result


def _views(model: StrongModel, images: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Returns embeddings of pictures and of their mirror images, and the pictures' logits."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *model.input_size, 3], tf.uint8),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def call(images: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        features = [
            model.camera_features(view, rows) for view in (images, tf.reverse(images, axis=[2]))
        ]
        logits = model.classifier(model.neck(features[0]))
        return *[model.table.standardized(each, rows) for each in features], logits

    parts = [
        call(tf.constant(images[start : start + BATCH]), tf.constant(rows[start : start + BATCH]))
        for start in range(0, len(images), BATCH)
    ]
    return [np.concatenate(list(map(np.asarray, each))) for each in zip(*parts, strict=True)]


def measure(
    embedded: Mapping[str, np.ndarray],
    settings: StrongSettings,
    pictures: Pictures,
    weights: np.ndarray,
) -> dict[str, float]:
    """Returns the true mAP and every indicator of one checkpoint that needs no other.

    Args:
        embedded: as `embed` returns it.
        settings: of the run.
        pictures: of its data sets.
        weights: of the source's queries, as `proxy_weights` returns them.
    """
    camera = pictures(settings, settings.target, "train")[0].camera_id
    views, target = embedded["views"], embedded["views"].sum(axis=0)
    splits = {
        name: [
            pictures(settings, getattr(settings, name), split)[0] for split in ("query", "gallery")
        ]
        for name in ("source", "target")
    }
    source, true = (
        ranking_scores.score(embedded[f"{name}_query"], embedded[f"{name}_gallery"], *splits[name])
        for name in ("source", "target")
    )
    precision = source.average_precision
    ratio = source_validation.density_ratio(
        embedded["source_gallery"], target, embedded["source_query"]
    )
    clusters = scores.cluster_scores(target, camera)
    return {
        model_choice_table.TRUE: true.mean_ap,
        "a classifier entropy": scores.classifier_entropy(embedded["logits"]),
        "b other-camera share": unlabelled_scores.other_camera_share(target, camera),
        "c mutual rate": unlabelled_scores.mutual_rate(target, camera),
        "d similarity entropy": unlabelled_scores.similarity_entropy(target, camera),
        "e source validation": source.mean_ap,
        "f DEV risk": source_validation.dev_risk(1 - precision, ratio),
        "g proxy set": source_validation.weighted_mean(precision, weights),
        "i mirror rate": scores.mirror_rate(*views),
        "i mirror overlap": scores.mirror_overlap(*views, camera),
        "j used share": clusters["used"],
        "j clusters": clusters["clusters"],
        "j silhouette": clusters["silhouette"],
    }


def proxy_weights(run: RunDir, settings: StrongSettings, pictures: Pictures) -> np.ndarray:
    """Returns weights of the source's queries, float64 [queries], by the untrained network.

    See `source_validation.proxy_weights`.
    """
    untrained = run.load_model("initial.keras")
    splits = [pictures(settings, settings.source, split) for split in ("query", "gallery")]
    source = np.concatenate([embed_plain(untrained, images) for _, images in splits])
    person = np.concatenate([split.person_id for split, _ in splits])
    # Neither junk nor distractors are persons; queries, which come first, are.
    source, person = source[person > 0], person[person > 0]
    target = embed_plain(untrained, pictures(settings, settings.target, "train")[1])
    return source_validation.proxy_weights(source, person, target)[: len(splits[0][0])]


def measure_run(
    path: str, pictures: Pictures, kept: Mapping[str, dict], folder: str | None
) -> dict[str, Any] | None:
    """Returns the figures of one run as JSON; None where there is nothing to choose.

    Args:
        path: folder of the run.
        pictures: of its data sets.
        kept: {digests of the checkpoints: figures} of an earlier call.
        folder: keeps the embeddings; None to keep none.
    """
    run = RunDir(path)
    if not os.path.exists(run.file(strong_train.RESULT)):
        print(f"{path}: not finished, left out")
        return None
    settings = recipes.settings_of(run)
    if len(settings.sources) != 1:
        print(f"{path}: {len(settings.sources)} sources, where the indicators read one, left out")
        return None
    names = stages_of(run)
    if len(names) < 2:
        print(f"{path}: nothing to choose among, left out")
        return None
    digests = [_digest(run.file(name)) for name in names]
    key = "+".join(digests)
    if key in kept:
        return kept[key]
    tf.config.experimental.enable_tensor_float_32_execution(False)
    weights = proxy_weights(run, settings, pictures)
    stages, targets, alarms = [], [], []
    for name, digest in zip(names, digests, strict=True):
        file = folder and os.path.join(folder, f"{digest}.npz")
        if file and os.path.exists(file):
            embedded = dict(np.load(file))
        else:
            embedded = embed(run.load_model(name), settings, pictures)
            if file:
                with replaced(file) as partial:
                    np.savez(partial, **embedded)
        stages.append({"stage": name, **measure(embedded, settings, pictures, weights)})
        targets.append(embedded["views"].sum(axis=0))
        alarm = stage_choice.collapsed_statistics(*embedded["standardization"])
        alarms.append(alarm or stage_choice.collapsed(targets[-1]))
        print(f"{path} {name}: {stages[-1]}", flush=True)
    camera = pictures(settings, settings.target, "train")[0].camera_id
    choice = stage_choice.choose(targets, camera, alarms)
    for stage, score in zip(stages, choice.scores, strict=True):
        stage["h consensus"] = score
    print(f"{path}: {choice.reason}")
    return {
        "run": path,
        "direction": f"{settings.direction}",
        "key": key,
        "stages": stages,
        "choice": choice.index,
        "reason": choice.reason,
    }


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _kept(path: str) -> dict[str, dict]:
    """Returns the figures of earlier calls, {key of a run: figures}."""
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise ArgumentError("output", path, problem) from error
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise ArgumentError("output", path, "not figures of this study; name another file")
    return kept


def main() -> None:
    """Measures the runs of the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parser.add_argument(
        "--output",
        type=flags.new_file,
        default="model_choice.json",
        help="figures, kept and added to",
    )
    parser.add_argument(
        "--embeddings", type=flags.new_folder, help="folder that keeps embeddings between calls"
    )
    arguments = parser.parse_args()
    kept = _kept(arguments.output)
    pictures, found = Pictures(), {}
    for path in arguments.runs:
        run = measure_run(path, pictures, kept, arguments.embeddings)
        if run is None:
            continue
        if run["key"] in found:
            print(f"{path}: the same checkpoints as {found[run['key']]['run']}, left out")
            continue
        found[run["key"]] = kept[run["key"]] = run
        replace_text(arguments.output, json.dumps(kept, indent=1) + "\n")
    if found:
        print(model_choice_table.report(list(found.values())))


if __name__ == "__main__":
    command_line.call(main)
