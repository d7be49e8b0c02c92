"""Records the protos of the installed tensorflow-serving-api wheel in tensorflow_serving.binpb.

    python -m serving.client.record_protos

Give it again when the wheel's pin changes, and commit what it writes. It imports TensorFlow, as the
wheel does; `serving.client.message_classes` reads the file so that clients needn't.
"""

import pathlib
from typing import Any

from google.protobuf import descriptor_pb2

from serving import command

_RECORD = pathlib.Path(__file__).with_name("tensorflow_serving.binpb")


def from_wheel() -> descriptor_pb2.FileDescriptorSet:
    """Returns the messages that the client uses and all they depend on, dependencies first."""
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

    recorded: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def record(file: Any) -> None:
        if file.name not in recorded:
            for dependency in file.dependencies:
                record(dependency)
            recorded[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)

    for module in (predict_pb2, get_model_metadata_pb2, get_model_status_pb2):
        record(module.DESCRIPTOR)
    return descriptor_pb2.FileDescriptorSet(file=recorded.values())


def main() -> None:
    """Writes the record."""
    _RECORD.write_bytes(from_wheel().SerializeToString(deterministic=True))
    print(f"wrote {_RECORD}")


if __name__ == "__main__":
    command.run(main)
