"""The messages of TensorFlow Serving's API, without TensorFlow.

The modules of the tensorflow-serving-api wheel import all of TensorFlow for a few message types:
two seconds and half a gigabyte. These classes are built from recorded descriptors of that wheel
(`serving.client.record_protos`), in a pool of their own, so that both can live in one process.
"""

import pathlib
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

RECORD = pathlib.Path(__file__).with_name("tensorflow_serving.binpb")

# TensorFlow's DataType, as far as ARN's signatures go.
DT_FLOAT = 1
DT_UINT8 = 4
DT_STRING = 7
DT_INT64 = 9
DT_BOOL = 10

_SERVICE = "/tensorflow.serving.PredictionService/"
_MODEL_SERVICE = "/tensorflow.serving.ModelService/"


def _pool() -> descriptor_pool.DescriptorPool:
    files = descriptor_pb2.FileDescriptorSet.FromString(RECORD.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        if file.name == "tensorflow/core/framework/tensor.proto":
            _pack_floats(file)
        pool.Add(file)
    return pool


def _pack_floats(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Makes `TensorProto.float_val` bytes, which is what packed floats are on the wire.

    They then become an array in one step. As a repeated float they become Python objects one by
    one, hundreds of times slower on some versions of protobuf.
    """
    (tensor,) = (message for message in file.message_type if message.name == "TensorProto")
    (field,) = (field for field in tensor.field if field.name == "float_val")
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    field.ClearField("options")


_POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


PredictRequest = _message("tensorflow.serving.PredictRequest")
PredictResponse = _message("tensorflow.serving.PredictResponse")
GetModelMetadataRequest = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap = _message("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest = _message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = _message("tensorflow.serving.GetModelStatusResponse")
TensorProto = _message("tensorflow.TensorProto")


def state_name(number: int) -> str:
    """Returns the name of a ModelVersionStatus.State, "AVAILABLE" say."""
    states = _POOL.FindEnumTypeByName("tensorflow.serving.ModelVersionStatus.State")
    state = states.values_by_number.get(number)
    return state.name if state else str(number)


def methods(channel: Any) -> list[Any]:
    """Returns Predict, GetModelMetadata and GetModelStatus of a channel, of asyncio's too."""
    return [
        channel.unary_unary(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        for path, request, response in (
            (_SERVICE + "Predict", PredictRequest, PredictResponse),
            (_SERVICE + "GetModelMetadata", GetModelMetadataRequest, GetModelMetadataResponse),
            (_MODEL_SERVICE + "GetModelStatus", GetModelStatusRequest, GetModelStatusResponse),
        )
    ]
