"""Exports a run for serving: `python -m arn_tf.export --model_dir= --export_dir= [--format=]`.

Writes EXPORT_DIR/1, next time /2: what embeds and nothing else, and a sidecar that names the
embedding space; by default a SavedModel for TensorFlow Serving, with warm-up requests. Before the
version gets its name it is loaded again and compared with the Keras model on real pictures.
"""

import importlib
import os
from typing import TYPE_CHECKING

from absl import flags

from arn_tf import recipes
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import command_line
from arn_tf.run.settings import RunSettings, title

if TYPE_CHECKING:
    from arn_tf.run.folder import RunDir

# Their modules in arn_tf.served are imported where they are asked for.
_FORMATS = ("saved_model", "openvino", "onnx", "litert")
_PRECISIONS = ("float32", "bfloat16", "int8")
_PICTURES = 32


def _pictures(run: "RunDir", settings: RunSettings, count: int) -> tuple[list[bytes], list[int]]:
    """Returns unlabelled training pictures of the target, `count` or all, and their cameras."""
    from arn_tf.run.data import reopened

    split = reopened(settings, "target", run).split("train")
    rows = _spread(len(split), count)
    return split.images[rows].tolist(), split.camera_id[rows].tolist()


def _spread(items: int, count: int) -> list[int]:
    """Returns the places of `count` of some items, or of all, evenly spread."""
    import numpy as np

    return sorted(set(np.linspace(0, items - 1, count).astype(int).tolist()))


def _facts(run: "RunDir", settings: RunSettings) -> dict[str, object]:
    """Returns the sidecar's entries of the run: its data sets, and the scores of its model."""
    from arn_tf.run import results

    row, metrics = results.scores_of_model(run, recipes.recipe_of(settings).served_titles()) or (
        None,
        None,
    )
    # Nobody must take the bound for a model that learnt without labels.
    by_labels = {"oracle_labels": True} if getattr(settings, "oracle_labels", False) else {}
    return (
        settings.earlier(run.settings())
        | by_labels
        | {
            "source": settings.source,
            "target": settings.target,
            "metrics": metrics,
            "metrics_row": row,
        }
    )


def main() -> None:
    """Exports the run that the flags name, and prints the facts of the version."""
    arguments = flags.FLAGS
    if not arguments.export_dir:
        raise UserError(
            "export_dir: name the folder of the served model, such as models/arn", ["export_dir"]
        )
    tensorflow = command_line.start_tensorflow()
    from arn_tf.run.folder import RunDir
    from arn_tf.served import publish

    int8 = arguments.precision == "int8"
    if int8 and arguments.format != "openvino":
        raise ArgumentError("precision", "int8", "needs format=openvino", ["format"])
    runtime = None
    if arguments.format != "saved_model":
        runtime = importlib.import_module(f"arn_tf.served.to_{arguments.format}")
        # A package that is missing is said at once.
        runtime.versions()
    if int8:
        from arn_tf.served import openvino_int8

        openvino_int8.versions()
    run = RunDir(os.path.expanduser(arguments.model_dir))
    settings = recipes.with_moved_folders(recipes.settings_of(run))
    # As where it was trained and scored.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    # The scores are to be those of this model.
    with run.unchanged("model.keras"):
        facts = _facts(run, settings)
        model = run.load_model("model.keras")
    served = recipes.recipe_of(settings).served_model(
        model, "float32" if int8 else arguments.precision
    )
    count = openvino_int8.PICTURES if int8 else _PICTURES
    pictures, camera_id = _pictures(run, settings, count)
    if int8:
        runtime = openvino_int8.Int8(pictures, camera_id)
        served = runtime.served(served)
        # Nobody has measured those of the quantised model.
        facts["metrics_precision"] = "float32"
    compared = [pictures[place] for place in _spread(len(pictures), _PICTURES)]
    folder, sidecar = publish.export(served, arguments.export_dir, compared, facts, runtime)
    agreement = sidecar["agreement"]
    print(f"exported {folder}" + (f" for {arguments.format}" if runtime else ""))
    print(f"  embedding space {sidecar['embedding_space']}, {sidecar['embedding_dim']} numbers")
    print(f"  weights {sidecar['weights_bytes'] / 1e6:.1f} MB, precision {sidecar['precision']}")
    print(
        f"  agrees with the Keras model on {agreement['pictures']} pictures of "
        f"{title(settings.target)}: largest difference {agreement['max_difference']:.1e}, "
        f"mean cosine {agreement['mean_cosine']:.6f}"
    )
    if "cameras" in sidecar:
        cameras = ", ".join(sidecar["camera_names"]) or "none"
        print(f"  cameras with statistics of their own: {cameras}; others take the whole target's")
    if sidecar.get("oracle_labels"):
        print(
            f"  WARNING: ORACLE: it was trained on the labels of {title(settings.target)}, and its "
            "sidecar says so: a bound to measure adaptation against, and no adapted model"
        )
    if sidecar["metrics"] is None:
        print("  no metrics in its sidecar: run arn_tf.evaluate first to have them there")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", "", "folder of a run of arn_tf.train")
    flags.DEFINE_string("export_dir", "", "folder of the served model; gets a version folder")
    flags.DEFINE_enum(
        "format",
        "saved_model",
        _FORMATS,
        "SavedModel for TensorFlow Serving, or for another runtime, which wants the packages of "
        "requirements-FORMAT.txt",
    )
    flags.DEFINE_enum(
        "precision",
        None,
        _PRECISIONS,
        "arithmetic of E_I, that of the run by default; bfloat16 is faster on some processors and "
        "agrees less; int8, of --format=openvino alone, is quantised by the ranges of unlabelled "
        "pictures of the target",
    )
    recipes.define_moved_folders()
    command_line.run(main)
