"""The gRPC services of TensorFlow Serving that the development server has."""

import functools
from concurrent import futures

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import predict_request
from serving.server.predict_request import RequestError

_LONGEST_WAIT = 365 * 24 * 3600.0


def _with_status(method):
    """Turns a `RequestError` into the status that the caller gets."""

    @functools.wraps(method)
    def guarded(self, request, context):
        try:
            return method(self, request, context)
        except RequestError as error:
            context.abort(error.code, str(error))

    return guarded


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata.

    Args:
        name: of the model.
        versions: its `Versions`.
        batcher: `Batcher`.
        as_tensor_content: see `prediction.reply`.
    """

    def __init__(self, name, versions, batcher, as_tensor_content=False):
        self._name = name
        self._versions = versions
        self._batcher = batcher
        self._as_tensor_content = as_tensor_content

    @_with_status
    def Predict(self, request, context):
        checked = predict_request.check(
            request, self._name, self._versions, self._batcher.max_batch_size
        )
        seconds = context.time_remaining()
        # Without a deadline gRPC gives a time that no clock can hold.
        seconds = seconds if seconds < _LONGEST_WAIT else None
        answer = self._batcher.submit(checked, seconds)
        # What its caller no longer waits for need not run.
        if not context.add_callback(answer.cancel):
            answer.cancel()
        try:
            values = answer.result(seconds)
        except (futures.TimeoutError, futures.CancelledError) as error:
            raise RequestError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the caller's deadline passed"
            ) from error
        return predict_request.reply(checked, values, self._name, self._as_tensor_content)

    @_with_status
    def GetModelMetadata(self, request, context):
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
        versions: its `Versions`.
    """

    def __init__(self, name, versions):
        self._name = name
        self._versions = versions

    @_with_status
    def GetModelStatus(self, request, context):
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
