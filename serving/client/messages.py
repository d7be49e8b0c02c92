"""Requests to a server of ARN, built, and its replies, checked. Nothing here sends.

A reply is believed only when it is what the export promises: an embedding that is cut short, of
another model version or of no length would otherwise spoil a gallery without a word.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.client import message_classes, tensors
from serving.client.results import ModelDescription, VersionStatus
from serving.errors import ModelSwitchedError, ReplyError

_ENCODED = ("serving_default", "image_bytes")
_IMAGES = ("images", "images")
# The same with cameras, which exports of --preset=strong have beside them.
_BY_CAMERA = {_ENCODED: ("by_camera", "image_bytes"), _IMAGES: ("images_by_camera", "images")}
_CAMERA = "camera_id"
_EMBEDDING = "embedding"
_SPACE = "embedding_space"
_KNOWN = "camera_known"
_SPACE_FORM = re.compile(rb"[0-9a-f]{16}")
_UNIT_TOLERANCE = 1e-3


def metadata_request(model: str) -> Any:
    """Returns a request for a model's signatures and its newest version."""
    request = message_classes.GetModelMetadataRequest()
    request.model_spec.name = model
    request.metadata_field.append("signature_def")
    return request


def read_metadata(reply: Any, server: str, model: str) -> ModelDescription:
    """Returns what a client needs of a model's signatures, checked.

    Args:
        reply: GetModelMetadataResponse.
        server: "host:port", for errors.
        model: the name that was asked for.

    Raises:
        ReplyError: they are not those of an `arn_tf` export; the text says what there is.
    """
    signatures = message_classes.SignatureDefMap()
    try:
        signatures.ParseFromString(reply.metadata["signature_def"].value)
    except Exception as error:  # the class depends on protobuf's implementation
        raise ReplyError(f"{server}: the metadata of model {model} can't be parsed") from error
    signatures = signatures.signature_def
    try:
        image, dim = _read_pair(signatures, _ENCODED, _IMAGES)
        cameras = any(name in signatures for name, _ in _BY_CAMERA.values())
        if cameras:
            _check_cameras(signatures, (image, dim))
    except (KeyError, ValueError):  # the signatures differ, or `_shape` says no
        raise ReplyError(
            f"{server}: model {model} is not an export of arn_tf. It has {_listed(signatures)}; "
            "an export has serving_default(image_bytes) and images(images), both -> embedding, "
            "embedding_space, and of --preset=strong also by_camera and images_by_camera. Check "
            "`model`, and what the server loads"
        ) from None
    if not reply.model_spec.HasField("version"):
        raise ReplyError(f"{server}: the metadata of model {model} name no version")
    version = reply.model_spec.version.value
    return ModelDescription(model, version, dim, (image[1], image[2]), cameras)


def encoded_request(
    description: ModelDescription, pictures: list[bytes], camera_id: list[int] | None = None
) -> Any:
    """Returns a Predict request for JPEG or PNG pictures.

    Args:
        description: of the model; its version is asked for.
        pictures: encoded, N of them.
        camera_id: N numbers, or None.
    """
    request, tensor = _request(description, _ENCODED, camera_id)
    tensors.put_strings(tensor, pictures)
    return request


def images_request(
    description: ModelDescription, images: np.ndarray, camera_id: list[int] | None = None
) -> Any:
    """As `encoded_request`, for uint8 [N, height, width, 3]."""
    request, tensor = _request(description, _IMAGES, camera_id)
    tensors.put_uint8(tensor, images)
    return request


def read_reply(
    reply: Any,
    rows: int,
    description: ModelDescription,
    server: str,
    camera_id: Sequence[int] | None = None,
) -> tuple[np.ndarray, str, list[int]]:
    """Returns the embeddings of a Predict reply, checked.

    Args:
        reply: PredictResponse.
        rows: how many pictures were sent, at least 1.
        description: of the model that was asked.
        server: "host:port", for errors.
        camera_id: the numbers that were sent with them, or None.

    Returns:
        vectors: float32 [rows, D].
        space: fingerprint of their embedding space.
        unknown: the cameras that the model has no statistics for, each once, ascending.

    Raises:
        ReplyError: an output is missing, or of another type, shape or content than promised.
        ModelSwitchedError: another version answered.
    """
    try:
        if not reply.model_spec.HasField("version"):
            raise ReplyError("the reply doesn't say which version made it")
        if reply.model_spec.version.value != description.version:
            raise ModelSwitchedError(
                f"version {reply.model_spec.version.value} of model {description.name} answered, "
                f"version {description.version} was asked; nothing of this job was mixed, run it "
                "again"
            )
        for name in (_EMBEDDING, _SPACE, *([] if camera_id is None else [_KNOWN])):
            if name not in reply.outputs:
                found = ", ".join(sorted(reply.outputs)) or "none"
                raise ReplyError(f"output {name} is missing (outputs: {found:.200})")
        shape = (rows, description.embedding_dim)
        vectors = tensors.floats(reply.outputs[_EMBEDDING], shape, _EMBEDDING)
        _check_unit(vectors)
        spaces = set(tensors.strings(reply.outputs[_SPACE], (rows,), _SPACE))
        if len(spaces) != 1 or not _SPACE_FORM.fullmatch(space := spaces.pop()):
            raise ReplyError("output embedding_space is not one fingerprint of 16 hex digits")
        unknown = set()
        if camera_id is not None:
            known = tensors.booleans(reply.outputs[_KNOWN], (rows,), _KNOWN)
            unknown = {camera for camera, row in zip(camera_id, known, strict=True) if not row}
        return vectors, space.decode(), sorted(unknown)
    except (ReplyError, ModelSwitchedError) as error:
        raise type(error)(f"{server}: {error}") from None


def status_request(model: str) -> Any:
    """Returns a request for all versions of a model."""
    request = message_classes.GetModelStatusRequest()
    request.model_spec.name = model
    return request


def read_status(reply: Any) -> list[VersionStatus]:
    """Returns the versions of a GetModelStatusResponse, newest first."""
    versions = [
        VersionStatus(
            each.version,
            message_classes.state_name(each.state),
            each.status.error_message[:300].strip(),
        )
        for each in reply.model_version_status
    ]
    return sorted(versions, key=lambda each: -each.version)


def _request(
    description: ModelDescription, names: tuple[str, str], camera_id: list[int] | None
) -> tuple[Any, Any]:
    """A request for a signature, or for its twin with cameras; and the tensor of its pictures."""
    signature, field = names if camera_id is None else _BY_CAMERA[names]
    request = message_classes.PredictRequest()
    request.model_spec.name = description.name
    request.model_spec.version.value = description.version
    request.model_spec.signature_name = signature
    if camera_id is not None:
        tensors.put_int64(request.inputs[_CAMERA], camera_id)
    return request, request.inputs[field]


def _read_pair(
    signatures: Mapping[str, Any], encoded: tuple[str, str], images: tuple[str, str]
) -> tuple[list[int], int]:
    """The sizes of pictures and of embeddings, of two signatures that must agree."""
    _field(signatures, encoded, message_classes.DT_STRING, (None,))
    image = _field(signatures, images, message_classes.DT_UINT8, (None, 0, 0, 3))
    dims = set()
    for signature, _ in (encoded, images):
        outputs = signatures[signature].outputs
        dims.add(_shape(outputs, _EMBEDDING, message_classes.DT_FLOAT, (None, 0))[1])
        _shape(outputs, _SPACE, message_classes.DT_STRING, (None,))
    (dim,) = dims
    return image, dim


def _check_cameras(signatures: Mapping[str, Any], sizes: tuple[list[int], int]) -> None:
    """Raises ValueError or KeyError if the signatures with cameras aren't as the others."""
    if _read_pair(signatures, _BY_CAMERA[_ENCODED], _BY_CAMERA[_IMAGES]) != sizes:
        raise ValueError(_BY_CAMERA)
    for signature, _ in _BY_CAMERA.values():
        _field(signatures, (signature, _CAMERA), message_classes.DT_INT64, (None,))
        _shape(signatures[signature].outputs, _KNOWN, message_classes.DT_BOOL, (None,))


def _check_unit(vectors: np.ndarray) -> None:
    # In float64: a float32 sum of huge values would warn of overflow.
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    # Written so that NaN fails.
    wrong = ~(np.abs(np.sqrt(squares) - 1) <= _UNIT_TOLERANCE)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ReplyError(
            f"output embedding is not of length 1: row {row} has length {squares[row] ** 0.5:.6g}"
        )


def _field(
    signatures: Mapping[str, Any], names: tuple[str, str], dtype: int, shape: tuple[int | None, ...]
) -> list[int]:
    signature, field = names
    if signature not in signatures:
        raise KeyError(signature)
    return _shape(signatures[signature].inputs, field, dtype, shape)


def _shape(
    fields: Mapping[str, Any], name: str, dtype: int, wanted: tuple[int | None, ...]
) -> list[int]:
    """The sizes of a tensor; in `wanted`, None is any number of rows and 0 any fixed size."""
    if name not in fields or fields[name].dtype != dtype:
        raise KeyError(name)
    sizes = [dim.size for dim in fields[name].tensor_shape.dim]
    if len(sizes) != len(wanted) or fields[name].tensor_shape.unknown_rank:
        raise ValueError(name)
    for size, want in zip(sizes, wanted, strict=True):
        fits = size == -1 if want is None else size > 0 if want == 0 else size == want
        if not fits:
            raise ValueError(name)
    return sizes


def _listed(signatures: Mapping[str, Any]) -> str:
    # __saved_model_init_op is no signature of the exporter's.
    found = [
        f"{name}({', '.join(sorted(fields.inputs))}) -> {', '.join(sorted(fields.outputs))}"
        for name, fields in sorted(signatures.items())
        if not name.startswith("__")
    ]
    return f"{'; '.join(found):.400}" if found else "no signatures"
