"""The gRPC services of TensorFlow Serving that the development server has."""

import functools
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import predict_request
from serving.server.batcher import Batcher
from serving.server.predict_request import RequestError
from serving.server.version_watcher import Versions

_LONGEST_WAIT = 365 * 24 * 3600.0


def _with_status(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turns a `RequestError` into the status that the caller gets."""

    @functools.wraps(method)
    def guarded(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except RequestError as error:
            context.abort(error.code, str(error))

    return guarded


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata.

    Args:
        name: of the model.
        versions: of the model.
        batcher: runs the requests.
        as_tensor_content: see `predict_request.reply`.
    """

    def __init__(
        self, name: str, versions: Versions, batcher: Batcher, as_tensor_content: bool = False
    ) -> None:
        self._name = name
        self._versions = versions
        self._batcher = batcher
        self._as_tensor_content = as_tensor_content

    @_with_status
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the PredictResponse of a PredictRequest."""
        checked = predict_request.check(
            request, self._name, self._versions, self._batcher.max_batch_size
        )
        remaining = context.time_remaining()
        # Without a deadline gRPC gives a time that no clock can hold.
        seconds = remaining if remaining < _LONGEST_WAIT else None
        answer = self._batcher.submit(checked, seconds)

        def cancel() -> None:
            answer.cancel()

        # What its caller no longer waits for need not run.
        if not context.add_callback(cancel):
            cancel()
        try:
            values = answer.result(seconds)
        except (futures.TimeoutError, futures.CancelledError) as error:
            raise RequestError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the caller's deadline passed"
            ) from error
        return predict_request.reply(checked, values, self._name, self._as_tensor_content)

    @_with_status
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the signatures of a model."""
        if not request.metadata_field:
            raise RequestError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "GetModelMetadataRequest must specify at least one metadata_field",
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise RequestError(
                    grpc.StatusCode.INVALID_ARGUMENT, f"Metadata field {field} is not supported"
                )
        if not request.HasField("model_spec"):
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
        model = predict_request.find_model(request.model_spec, self._name, self._versions)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = self._name
        response.model_spec.version.value = model.version
        definitions = get_model_metadata_pb2.SignatureDefMap()
        for signature, definition in model.signature_defs.items():
            definitions.signature_def[signature].CopyFrom(definition)
        response.metadata["signature_def"].Pack(definitions)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus.

    Args:
        name: of the model.
        versions: of the model.
    """

    def __init__(self, name: str, versions: Versions) -> None:
        self._name = name
        self._versions = versions

    @_with_status
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Returns the state of each version of a model."""
        spec = request.model_spec
        wanted = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        if not request.HasField("model_spec"):
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
        if spec.name != self._name:
            raise RequestError(
                grpc.StatusCode.NOT_FOUND,
                f"Could not find any versions of model {spec.name}"
                if wanted is None
                else f"Could not find version {wanted} of model {spec.name}",
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for version, state, error in self._versions.states():
            if wanted not in (None, version):
                continue
            status = response.model_version_status.add()
            status.version = version
            status.state = states.Value(state)
            if error:
                status.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
                status.status.error_message = error
        if not response.model_version_status:
            raise RequestError(
                grpc.StatusCode.NOT_FOUND,
                f"Could not find version {wanted} of model {spec.name}",
            )
        return response
