"""Publishes a version of a served model: written, loaded again, compared, and only then named.

A version holds the SavedModel of what embeds and nothing else, warm-up requests, and a sidecar that
names the embedding space.
"""

import datetime
import functools
import glob
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from arn_tf.data import local_folder
from arn_tf.errors import ArgumentError, UserError
from arn_tf.served import runtime_graphs, warmup
from arn_tf.served.compare_runtime import compare
from arn_tf.served.graph import ServedModel
from arn_tf.served.version_folders import new_version
from datasets.files.plain_path import plain_path

SIDECAR = os.path.join("assets.extra", "arn.json")
# Largest difference of any number of an embedding, for float32.
TOLERANCE = 1e-5
# Least mean cosine similarity, for bfloat16 the only limit: below it something is broken.
LEAST_COSINE = 0.95
_VERSIONS = {"tensorflow": tf.__version__, "keras": keras.__version__}


class Runtime(Protocol):
    """Another runtime than TensorFlow: the modules `to_openvino`, ..."""

    NAME: str

    def versions(self) -> dict[str, str]:
        """Returns {package: its version}; a UserError names the one that is missing."""

    def write(self, served: ServedModel, folder: str) -> None:
        """Writes the graphs of `runtime_graphs` into a version's folder."""

    def load(self, folder: str) -> dict[str, runtime_graphs.Embed]:
        """Returns {graph: function} of what `write` wrote."""

    def weights_bytes(self, folder: str) -> int:
        """Returns the size of a version's files of weights, in bytes."""


def export(
    served: ServedModel,
    export_dir: str | os.PathLike[str],
    pictures: Sequence[bytes],
    facts: Mapping[str, object] | None = None,
    runtime: Runtime | None = None,
) -> tuple[str, dict[str, object]]:
    """Writes a model's next version and proves that it computes what the model does.

    Args:
        served: as a recipe's `served_model` makes it.
        export_dir: folder of the model; its last part is the name that it is served under.
        pictures: encoded pictures to compare on [N].
        facts: more for the sidecar, a dict that JSON can hold.
        runtime: whose form is written; None: the SavedModel, for TensorFlow Serving.

    Returns:
        the version's folder, and its sidecar as a dict.

    Raises:
        UserError: it can't be written, or differs from the model; then there is no new version.
    """
    local_folder.refuse_url("export_dir", export_dir)
    export_dir = os.path.abspath(os.path.expanduser(export_dir))
    name = _served_name(export_dir)
    with new_version(export_dir) as (partial, version), plain_path(partial, UserError) as folder:
        write = _saved_model if runtime is None else functools.partial(_for_runtime, runtime)
        sidecar = {
            **served.facts(),
            **(facts or {}),
            **write(served, folder, name, pictures),
            "exported_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        os.makedirs(os.path.join(folder, os.path.dirname(SIDECAR)), exist_ok=True)
        with open(os.path.join(folder, SIDECAR), "w", encoding="utf-8") as file:
            json.dump(sidecar, file, indent=2)
            file.write("\n")
    return os.path.join(export_dir, str(version)), sidecar


def _served_name(export_dir: str) -> str:
    """Returns the name that an export is served under; every request has it, as UTF-8."""
    name = os.path.basename(export_dir)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(
            "export_dir",
            export_dir,
            "the folder's last part is the name that the model is served under, and must be UTF-8",
        ) from error
    return name


def _saved_model(
    served: ServedModel, folder: str, name: str, pictures: Sequence[bytes]
) -> dict[str, object]:
    """Writes the SavedModel and its warm-up requests; returns the sidecar's entries of it."""
    save(served, folder)
    agreement = _compare(served, folder, pictures)
    _refuse_disagreement(agreement, served.exact)
    inputs = {name: specs for name, (_, specs) in served.signatures().items()}
    warmup.write(folder, name, inputs)
    return {
        "format": "saved_model",
        "agreement": agreement,
        "weights_bytes": weights_bytes(folder),
        "versions": _VERSIONS,
    }


def _for_runtime(
    runtime: Runtime, served: ServedModel, folder: str, name: str, pictures: Sequence[bytes]
) -> dict[str, object]:
    """Writes another runtime's form; returns the sidecar's entries of it."""
    if served.precision == "bfloat16":
        raise ArgumentError(
            "format",
            runtime.NAME,
            "this model computes in bfloat16; give precision=float32",
            also=["precision"],
        )
    packages = runtime.versions()
    try:
        runtime.write(served, folder)
        embed = runtime.load(folder)
    except (UserError, OSError, tf.errors.OpError):
        raise
    # Converters and runtimes have errors of all kinds, a full disk's among them.
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ArgumentError(
            "format",
            runtime.NAME,
            f"the model can't be written for it or loaded again ({text}); nothing was published. "
            "Is the disk full, or another version installed than the requirements file says?",
        ) from error
    return {
        "format": runtime.NAME,
        "camera_rows": runtime_graphs.camera_rows(served),
        "agreement": compare(served, embed, pictures, runtime.NAME),
        "weights_bytes": runtime.weights_bytes(folder),
        # Of what was compared: the weights of some formats can be exchanged without an error.
        "sha256": _digests(folder),
        "versions": _VERSIONS | packages,
    }


def _digests(folder: str) -> dict[str, str]:
    """Returns {path below a folder: its SHA-256} of all files there."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[os.path.relpath(path, folder)] = digest
    return dict(sorted(found.items()))


def save(served: ServedModel, folder: str) -> None:
    """Writes the SavedModel of a served model into a folder."""
    archive = keras.export.ExportArchive()
    # Not archive.track(model): every weight would be stored twice, and those of training too.
    for name, (function, specs) in served.signatures().items():
        archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(folder, verbose=False)


def weights_bytes(folder: str) -> int:
    """Returns the size of a version's weights on disk, in bytes."""
    files = glob.glob(os.path.join(glob.escape(folder), "variables", "variables.data-*"))
    return sum(os.path.getsize(file) for file in files)


def _compare(served: ServedModel, folder: str, pictures: Sequence[bytes]) -> dict[str, int | float]:
    """Compares embeddings of the saved version with those of the Keras model, per signature."""
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


def _refuse_disagreement(agreement: Mapping[str, int | float], exact: bool) -> None:
    difference, cosine = agreement["max_difference"], agreement["mean_cosine"]
    # Written so that NaN is refused.
    good = cosine >= LEAST_COSINE and (difference <= TOLERANCE or not exact)
    if not good:
        raise UserError(
            f"the exported model and the Keras model disagree on {agreement['pictures']} pictures "
            f"(largest difference {difference:.2g}, mean cosine {cosine:.4f}); nothing was "
            "published. Is the installed TensorFlow the one of requirements.txt?"
        )
