"""Records the protos of the installed tensorflow-serving-api wheel in tensorflow_serving.binpb.

    python -m serving.client.record_protos

Give it again when the wheel's pin changes, and commit what it writes. It imports TensorFlow, as the
wheel does; `serving.client.message_classes` reads the file so that clients needn't.
"""

import pathlib

from google.protobuf import descriptor_pb2

_RECORD = pathlib.Path(__file__).with_name("tensorflow_serving.binpb")


def from_wheel():
    """Descriptors of the messages that the client uses, and of all they depend on.

    Returns:
        FileDescriptorSet, dependencies first.
    """
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

    recorded = {}

    def record(file):
        if file.name not in recorded:
            for dependency in file.dependencies:
                record(dependency)
            recorded[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)

    for module in (predict_pb2, get_model_metadata_pb2, get_model_status_pb2):
        record(module.DESCRIPTOR)
    return descriptor_pb2.FileDescriptorSet(file=recorded.values())


def main():
    _RECORD.write_bytes(from_wheel().SerializeToString(deterministic=True))
    print(f"wrote {_RECORD}")


if __name__ == "__main__":
    main()
