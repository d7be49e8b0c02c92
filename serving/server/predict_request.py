"""Checks a `PredictRequest` and builds its reply, in the words of TensorFlow Serving.

Codes and messages are those of its predict_impl.cc, predict_util.cc and server_core.cc, so that
what a client learns here it can use there.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server.model import Model
from serving.server.saved_model import parse_tensor
from serving.server.version_watcher import Versions

# A SavedModel's entry for its initialisation; nobody can call it.
INTERNAL_SIGNATURE = "__saved_model_init_op"


class RequestError(Exception):
    """A request that gets a status instead of an answer.

    Args:
        code: of the status.
        message: for the caller.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """A checked request.

    Attributes:
        model: to run.
        signature: name of its signature.
        inputs: {input: tensor}, dimension 0 the batch.
        outputs: names of the outputs that are asked for.
        batch_size: N.
    """

    model: Model
    signature: str
    inputs: dict[str, tf.Tensor]
    outputs: list[str]
    batch_size: int


def find_model(spec: Any, name: str, versions: Versions) -> Model:
    """Returns the version of a model that a `ModelSpec` asks for.

    Args:
        spec: `ModelSpec`.
        name: of the model that is served.
        versions: of that model.

    Raises:
        RequestError: there is none.
    """
    if not spec.name:
        raise _invalid("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label" and spec.name == name:
        raise _invalid(f"Unrecognized servable version label: {spec.version_label}")
    version = spec.version.value if choice == "version" else None
    model = versions.get(version) if spec.name == name else None
    if model is None:
        wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
        raise RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
    return model


def check(request: Any, name: str, versions: Versions, max_batch_size: int) -> Prediction:
    """Returns a `PredictRequest`, all of it checked but its pictures.

    Args:
        request: `PredictRequest`.
        name: of the model that is served.
        versions: of that model.
        max_batch_size: most pictures in a request.

    Raises:
        RequestError: it can't be answered.
    """
    if not request.HasField("model_spec"):
        raise _invalid("Missing ModelSpec")
    model = find_model(request.model_spec, name, versions)
    signature = request.model_spec.signature_name or "serving_default"
    definition = model.signature_defs.get(signature)
    if definition is None or signature == INTERNAL_SIGNATURE:
        raise RequestError(
            grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.'
        )
    _check_names(request.inputs, definition.inputs)
    batch_sizes = {
        _check_tensor(place, alias, request.inputs[alias], definition.inputs[alias], max_batch_size)
        for place, alias in enumerate(sorted(definition.inputs))
    }
    if len(batch_sizes) > 1:
        raise _invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    outputs = _check_outputs(list(request.output_filter), definition.outputs)
    inputs = {}
    for alias, tensor in request.inputs.items():
        try:
            inputs[alias] = parse_tensor(tensor)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise _unparsable(alias) from error
    return Prediction(model, signature, inputs, outputs, batch_sizes.pop())


def reply(
    prediction: Prediction, values: Mapping[str, np.ndarray], name: str, as_tensor_content: bool
) -> Any:
    """Returns the `PredictResponse`.

    Args:
        prediction: the request.
        values: {output: array}.
        name: of the model.
        as_tensor_content: whether numbers go into `tensor_content` instead of `float_val`, as
            with tensorflow_model_server's --enable_serialization_as_tensor_content.
    """
    response = predict_pb2.PredictResponse()
    response.model_spec.name = name
    response.model_spec.version.value = prediction.model.version
    response.model_spec.signature_name = prediction.signature
    for alias in prediction.outputs:
        value, tensor = values[alias], response.outputs[alias]
        tensor.dtype = tf.dtypes.as_dtype(value.dtype).as_datatype_enum
        for size in value.shape:
            tensor.tensor_shape.dim.add().size = size
        if value.dtype == object:
            tensor.string_val.extend(value.ravel())
        elif value.dtype == bool and not as_tensor_content:
            tensor.bool_val.extend(value.ravel().tolist())
        elif as_tensor_content or value.dtype != "float32":
            tensor.tensor_content = value.tobytes()
        else:
            tensor.float_val.extend(value.ravel().tolist())
    return response


def _check_names(inputs: Iterable[str], signature: Iterable[str]) -> None:
    given, expected = sorted(inputs), sorted(signature)
    extra = [alias for alias in given if alias not in expected]
    missing = [alias for alias in expected if alias not in given]
    if len(given) != len(expected):
        raise _invalid(
            f"input size does not match signature: {len(given)}!={len(expected)} "
            f"len({_set(given)}) != len({_set(expected)}). "
            f"Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
        )
    if missing:
        raise _invalid(
            f"Signature input alias: {missing[0]} not found in request and no default value "
            f"provided. Inputs expected to be in the set {_set(expected)}."
        )


def _check_tensor(place: int, alias: str, tensor: Any, expected: Any, max_batch_size: int) -> int:
    """Returns the batch size of one input whose dtype and shape are right.

    Done on the message, before there is a tensor: a few bytes may ask for one of any size.
    """
    if tensor.dtype != expected.dtype:
        raise _invalid(
            f"Expects arg[{place}] to be {_dtype_name(expected.dtype)} but "
            f"{_dtype_name(tensor.dtype)} is provided"
        )
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    wanted = [dim.size for dim in expected.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise _unparsable(alias)
    fits = len(shape) == len(wanted) and all(
        want in (-1, size) for size, want in zip(shape, wanted, strict=True)
    )
    if not fits:
        known = ",".join("?" if size == -1 else str(size) for size in wanted)
        raise _invalid(
            f"Shape of tensor {alias} [{','.join(map(str, shape))}] is not compatible with "
            f"expected shape [{known}]."
        )
    # The graph refuses it too, but not where it runs together with others.
    if shape[:1] == [0]:
        raise _invalid("the batch is empty: send one picture or more")
    if shape[0] > max_batch_size:
        raise _invalid(
            f"Task size {shape[0]} is larger than maximum input batch size {max_batch_size}"
        )
    # TensorFlow fills up with the last value and, where there is none, silently with zeros.
    values = tensor.tensor_content or tensor.string_val or tensor.int_val or tensor.int64_val
    if math.prod(shape) and not values:
        raise _unparsable(alias)
    return shape[0]


def _check_outputs(asked: list[str], defined: Iterable[str]) -> list[str]:
    for place, alias in enumerate(asked):
        if alias not in defined:
            raise _invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(sorted(defined))}."
            )
        if alias in asked[:place]:
            raise _invalid(f"duplicate output tensor alias: {alias}")
    return asked or sorted(defined)


def _dtype_name(number: int) -> str:
    try:
        return tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"type {number}"


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(names) + "}"


def _unparsable(alias: str) -> RequestError:
    return _invalid(f"tensor parsing error: {alias}")


def _invalid(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
