"""The recorded messages: equal to the wheel's, on the wire too, and loaded without TensorFlow."""

import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.client import message_classes, record_protos

LOADED = """
import sys
from serving.client import EmbeddingClient
EmbeddingClient("localhost:1").close()
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"tensorflow", "tensorflow_serving", "keras", "arn_tf", "tqdm", "grpc"}))
"""
BOTH = """
from serving.client import message_classes
ours = message_classes.PredictRequest()
ours.inputs["a"].dtype = message_classes.DT_STRING
ours.inputs["a"].tensor_shape.dim.add(size=1)
ours.inputs["a"].string_val.append(b"picture")
ours.model_spec.version.value = 3
from tensorflow_serving.apis import predict_pb2
import tensorflow as tf
theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
print(tf.make_ndarray(theirs.inputs["a"]).tolist(), theirs.model_spec.version.value)
assert message_classes.PredictRequest.FromString(theirs.SerializeToString()) == ours
"""


def run(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_record_is_what_the_installed_wheel_has():
    recorded = descriptor_pb2.FileDescriptorSet.FromString(message_classes.RECORD.read_bytes())
    wheel = record_protos.from_wheel()
    assert [file.name for file in recorded.file] == [file.name for file in wheel.file]
    for ours, theirs in zip(recorded.file, wheel.file, strict=True):
        assert ours == theirs, ours.name
    assert len(recorded.file) > 20


def test_writing_the_record_again_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(record_protos, "_RECORD", tmp_path / "again.binpb")
    record_protos.main()
    assert (tmp_path / "again.binpb").read_bytes() == message_classes.RECORD.read_bytes()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (message_classes.PredictRequest, predict_pb2.PredictRequest),
        (message_classes.PredictResponse, predict_pb2.PredictResponse),
        (message_classes.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
        (message_classes.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
        (message_classes.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap),
        (message_classes.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
        (message_classes.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
    ],
)
def test_messages_have_the_wheels_names_and_fields(ours, theirs):
    assert ours.DESCRIPTOR.full_name == theirs.DESCRIPTOR.full_name
    fields = [[(f.number, f.name) for f in each.DESCRIPTOR.fields] for each in (ours, theirs)]
    assert fields[0] == fields[1]
    assert ours is not theirs


def test_only_float_val_is_retyped_and_only_in_memory():
    recorded = descriptor_pb2.FileDescriptorSet.FromString(message_classes.RECORD.read_bytes())
    (exact,) = (f for f in recorded.file if f.name == "tensorflow/core/framework/tensor.proto")
    loaded = descriptor_pb2.FileDescriptorProto()
    message_classes.TensorProto.DESCRIPTOR.file.CopyToProto(loaded)
    changed = [
        was.name
        for was, now in zip(exact.message_type[0].field, loaded.message_type[0].field, strict=True)
        if was != now
    ]
    assert changed == ["float_val"]


def test_a_client_loads_no_tensorflow():
    assert run(LOADED) == "['grpc']"


def test_both_kinds_of_messages_live_in_one_process():
    assert run(BOTH) == "[b'picture'] 3"


def test_states_have_names():
    assert message_classes.state_name(30) == "AVAILABLE"
    assert message_classes.state_name(31) == "31"
