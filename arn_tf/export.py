"""Exports a run for TensorFlow Serving: `python -m arn_tf.export --model_dir= --export_dir=`.

Writes EXPORT_DIR/1, next time /2: the SavedModel of E_I and E_C alone, warm-up requests, and a
sidecar that says which embedding space it is. Before the version gets its name it is loaded again
and compared with the Keras model on real pictures.
"""

import datetime
import glob
import json
import os

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from arn_tf import cli, presets, signatures, versions, warmup
from arn_tf.errors import UserError
from arn_tf.input_pipeline import ReidData, decode
from arn_tf.run_dir import RunDir

SIDECAR = os.path.join("assets.extra", "arn.json")
# Largest difference of any number of an embedding, for float32.
TOLERANCE = 1e-5
# Least mean cosine similarity, for bfloat16 the only limit: below it something is broken.
LEAST_COSINE = 0.95
_PICTURES = 32


def export(model, export_dir, pictures, precision="float32", facts=None):
    """Writes a model's next version and proves that it computes what the model does.

    Args:
        model: an `ARN`, made with or without a distribution strategy.
        export_dir: folder of the model; its last part is the name that it is served under.
        pictures: encoded pictures to compare on, bytes objects [N].
        precision: one of `signatures.PRECISIONS`.
        facts: more for the sidecar, a dict that JSON can hold.

    Returns:
        the version's folder, and its sidecar as a dict.

    Raises:
        UserError: it can't be written, or differs from the model; then there is no new version.
    """
    export_dir = os.path.abspath(os.path.expanduser(export_dir))
    served = signatures.ServedModel(model, precision)
    with versions.new_version(export_dir) as (folder, version):
        save(served, folder)
        agreement = _compare(model, folder, pictures)
        _refuse_disagreement(agreement, precision)
        warmup.write(folder, os.path.basename(export_dir), served.input_size)
        sidecar = {
            "embedding_space": served.embedding_space,
            "embedding_dim": model.embedding_dim,
            "input_size": list(served.input_size),
            "backbone": model.get_config()["backbone"],
            "precision": precision,
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


def save(served, folder):
    """Writes the SavedModel of a `signatures.ServedModel` into a folder."""
    archive = keras.export.ExportArchive()
    # Not archive.track(model): every weight would be stored twice, and those of training too.
    for name, (function, spec) in served.signatures().items():
        archive.add_endpoint(name, function, input_signature=[spec])
    archive.write_out(folder, verbose=False)


def weights_bytes(folder):
    """Size on disk of a version's weights."""
    files = glob.glob(os.path.join(glob.escape(folder), "variables", "variables.data-*"))
    return sum(os.path.getsize(file) for file in files)


def _compare(model, folder, pictures):
    """Embeddings of the saved version beside those of the model, over both signatures."""
    images = np.stack([decode(picture, model.input_size).numpy() for picture in pictures])
    expected = model.embed(images)
    if not np.linalg.norm(expected, axis=1).min() > 0:
        raise UserError("the model's embeddings are zero or not finite; nothing was published")
    loaded = tf.saved_model.load(folder).signatures
    try:
        encoded = loaded["serving_default"](image_bytes=tf.constant(pictures))
    except tf.errors.InvalidArgumentError as error:
        raise UserError(
            "the exported model refuses a picture that training took; nothing was published: "
            f"{error.message.splitlines()[0]}"
        ) from error
    found = [each["embedding"].numpy() for each in (encoded, loaded["images"](images=images))]
    return {
        "pictures": len(pictures),
        "max_difference": float(max(np.abs(each - expected).max() for each in found)),
        "mean_cosine": float(min((each * expected).sum(axis=1).mean() for each in found)),
    }


def _refuse_disagreement(agreement, precision):
    difference, cosine = agreement["max_difference"], agreement["mean_cosine"]
    # Written so that NaN is refused.
    good = cosine >= LEAST_COSINE and (difference <= TOLERANCE or precision != "float32")
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


def _metrics(run):
    """What `arn_tf.evaluate` found for this run, or None if it hasn't been run."""
    path = run.file("results.json")
    try:
        with open(path) as file:
            return json.load(file)["rows"]["ARN"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not what arn_tf.evaluate writes ({error}); run it again, or remove the file"
        ) from error


def main():
    arguments = flags.FLAGS
    if not arguments.export_dir:
        raise UserError("--export_dir: name the folder of the served model, such as models/arn")
    run = RunDir(os.path.expanduser(arguments.model_dir))
    settings = presets.with_moved_folders(run.settings())
    if settings.preset != "paper":
        raise UserError(
            f"--model_dir={run.path}: a run of --preset={settings.preset}, whose camera statistics "
            "the exported signatures can't take yet; export one of --preset=paper"
        )
    facts = {"source": settings.source, "target": settings.target, "metrics": _metrics(run)}
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
    if sidecar["metrics"] is None:
        print("  no metrics in its sidecar: run arn_tf.evaluate first to have them there")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    flags.DEFINE_string("export_dir", "", "folder of the served model; gets a version folder")
    flags.DEFINE_enum(
        "precision", "float32", signatures.PRECISIONS,
        "arithmetic of E_I; bfloat16 is faster on some processors and agrees less",
    )  # fmt: skip
    presets.define_moved_folders()
    cli.run(main)
