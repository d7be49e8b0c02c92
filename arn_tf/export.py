"""Exports a run for TensorFlow Serving: `python -m arn_tf.export --model_dir= --export_dir=`.

Writes EXPORT_DIR/1, next time /2: the SavedModel of what embeds and nothing else, warm-up requests,
and a sidecar that says which embedding space it is. Before the version gets its name it is loaded
again and compared with the Keras model on real pictures.
"""

import datetime
import glob
import json
import os

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from arn_tf import recipes
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.run import command_line
from arn_tf.run.folder import RunDir
from arn_tf.served import graph, version_folders, warmup
from arn_tf.strong import evaluate as strong_evaluate
from arn_tf.strong.keep_stage import ORACLE
from arn_tf.strong.model import StrongModel
from arn_tf.strong.served_model import StrongServedModel

SIDECAR = os.path.join("assets.extra", "arn.json")
# Largest difference of any number of an embedding, for float32.
TOLERANCE = 1e-5
# Least mean cosine similarity, for bfloat16 the only limit: below it something is broken.
LEAST_COSINE = 0.95
_PICTURES = 32
# How the rows of results.json that tell of what is served end; the last one that is there counts.
# A row that was chosen by labels has words before it.
_SERVED_ROWS = {
    "paper": ("ARN",),
    "strong": (strong_evaluate.SOURCE_ONLY_CAMERAS, strong_evaluate.ADAPTED_CAMERAS),
}


def export(model, export_dir, pictures, precision=None, facts=None):
    """Writes a model's next version and proves that it computes what the model does.

    Args:
        model: an `ARN` or a `StrongModel`, made with or without a distribution strategy.
        export_dir: folder of the model; its last part is the name that it is served under.
        pictures: encoded pictures to compare on, bytes objects [N].
        precision: one of `signatures.PRECISIONS`, or None for the model's own.
        facts: more for the sidecar, a dict that JSON can hold.

    Returns:
        the version's folder, and its sidecar as a dict.

    Raises:
        UserError: it can't be written, or differs from the model; then there is no new version.
    """
    export_dir = os.path.abspath(os.path.expanduser(export_dir))
    served = served_model(model, precision)
    with version_folders.new_version(export_dir) as (folder, version):
        save(served, folder)
        agreement = _compare(served, folder, pictures)
        _refuse_disagreement(agreement, served.exact)
        inputs = {name: specs for name, (_, specs) in served.signatures().items()}
        warmup.write(folder, os.path.basename(export_dir), inputs)
        sidecar = {
            "embedding_space": served.embedding_space,
            "embedding_dim": model.embedding_dim,
            "input_size": list(served.input_size),
            "backbone": model.get_config()["backbone"],
            "precision": served.precision,
            **served.facts(),
            **(facts or {}),
            "agreement": agreement,
            "weights_bytes": weights_bytes(folder),
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
            "exported_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        with open(os.path.join(folder, SIDECAR), "w") as file:
            json.dump(sidecar, file, indent=2)
            file.write("\n")
    return os.path.join(export_dir, str(version)), sidecar


def served_model(model, precision=None):
    """What is served of an `ARN` or a `StrongModel`."""
    if isinstance(model, StrongModel):
        return StrongServedModel(model, precision)
    return graph.ServedModel(model, precision or "float32")


def save(served, folder):
    """Writes the SavedModel of a `served_model` into a folder."""
    archive = keras.export.ExportArchive()
    # Not archive.track(model): every weight would be stored twice, and those of training too.
    for name, (function, specs) in served.signatures().items():
        archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(folder, verbose=False)


def weights_bytes(folder):
    """Size on disk of a version's weights."""
    files = glob.glob(os.path.join(glob.escape(folder), "variables", "variables.data-*"))
    return sum(os.path.getsize(file) for file in files)


def _compare(served, folder, pictures):
    """Embeddings of the saved version beside those of the Keras model, over all signatures."""
    examples = served.examples(pictures)
    for _, expected in examples.values():
        if not np.linalg.norm(expected["embedding"], axis=1).min() > 0:
            raise UserError("the model's embeddings are zero or not finite; nothing was published")
    loaded = tf.saved_model.load(folder).signatures
    differences, cosines = [], []
    for name, (inputs, expected) in examples.items():
        try:
            found = loaded[name](**{key: tf.constant(value) for key, value in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise UserError(
                "the exported model refuses a picture that training took; nothing was published: "
                f"{error.message.splitlines()[0]}"
            ) from error
        vectors = found["embedding"].numpy()
        differences.append(np.abs(vectors - expected["embedding"]).max())
        cosines.append((vectors * expected["embedding"]).sum(axis=1).mean())
        if np.any(found.get("camera_known") != expected.get("camera_known")):
            raise UserError("the exported model takes cameras for others; nothing was published")
    return {
        "pictures": len(pictures),
        "max_difference": float(max(differences)),
        "mean_cosine": float(min(cosines)),
    }


def _refuse_disagreement(agreement, exact):
    difference, cosine = agreement["max_difference"], agreement["mean_cosine"]
    # Written so that NaN is refused.
    good = cosine >= LEAST_COSINE and (difference <= TOLERANCE or not exact)
    if not good:
        raise UserError(
            f"the exported model and the Keras model disagree on {agreement['pictures']} pictures "
            f"(largest difference {difference:.2g}, mean cosine {cosine:.4f}); nothing was "
            "published. Is the installed TensorFlow the one of requirements.txt?"
        )


def _pictures(settings):
    """Unlabelled training pictures of the target, evenly spread."""
    data = ReidData(
        settings.target, settings.data_dir, settings.manual_dir, settings.skip_bad_images
    )
    images = data.split("train").images
    return images[np.unique(np.linspace(0, len(images) - 1, _PICTURES).astype(int))].tolist()


def _metrics(run, preset):
    """What `arn_tf.evaluate` found for what is served, and its row; None if it hasn't been run."""
    path = run.file("results.json")
    try:
        with open(path) as file:
            found = json.load(file)
        if found["model"] != run.digest("model.keras"):
            # As after arn_tf.calibrate.
            print(f"{path} is of another model than this; run arn_tf.evaluate again")
            return {"metrics": None, "metrics_row": None}
        rows = found["rows"]
        row = [name for name in rows if name.endswith(_SERVED_ROWS[preset])][-1]
        return {"metrics": rows[row], "metrics_row": row}
    except FileNotFoundError:
        return {"metrics": None, "metrics_row": None}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path}: not what arn_tf.evaluate writes ({error}); run it again, or remove the file"
        ) from error


def main():
    arguments = flags.FLAGS
    if not arguments.export_dir:
        raise UserError("--export_dir: name the folder of the served model, such as models/arn")
    run = RunDir(os.path.expanduser(arguments.model_dir))
    settings = recipes.with_moved_folders(run.settings())
    metrics = _metrics(run, settings.preset)
    facts = {"source": settings.source, "target": settings.target, **metrics}
    if settings.preset == "strong":
        facts["keep_best"] = settings.keep_best
    # As where it was trained and scored.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    model = run.load_model("model.keras")
    folder, sidecar = export(
        model, arguments.export_dir, _pictures(settings), arguments.precision, facts
    )
    agreement = sidecar["agreement"]
    print(f"exported {folder}")
    print(f"  embedding space {sidecar['embedding_space']}, {sidecar['embedding_dim']} numbers")
    print(f"  weights {sidecar['weights_bytes'] / 1e6:.1f} MB, precision {sidecar['precision']}")
    print(
        f"  agrees with the Keras model on {agreement['pictures']} pictures of {settings.target}: "
        f"largest difference {agreement['max_difference']:.1e}, "
        f"mean cosine {agreement['mean_cosine']:.6f}"
    )
    if "cameras" in sidecar:
        cameras = ", ".join(map(str, sidecar["cameras"])) or "none"
        print(f"  cameras with statistics of their own: {cameras}; others take the whole target's")
    if sidecar.get("keep_best") == "labelled":
        print(f"  {ORACLE}")
    if sidecar["metrics"] is None:
        print("  no metrics in its sidecar: run arn_tf.evaluate first to have them there")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    flags.DEFINE_string("export_dir", "", "folder of the served model; gets a version folder")
    flags.DEFINE_enum(
        "precision", None, graph.PRECISIONS,
        "arithmetic of E_I, that of the run by default; bfloat16 is faster on some processors and "
        "agrees less",
    )  # fmt: skip
    recipes.define_moved_folders()
    command_line.run(main)
