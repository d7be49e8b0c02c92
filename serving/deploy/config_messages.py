"""Reads TensorFlow Serving's configuration files, without TensorFlow and without the server.

The wheel tensorflow-serving-api lacks most of these messages, so they are declared here, in a
descriptor pool of our own: the wheel's messages of the same names stay untouched beside them.
Of `ModelServerConfig` there is what ARN uses. `logging_config` is left out on purpose: it would
have the server write down the pictures of people that it is sent.
"""

import functools
import os
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from serving.errors import BadInputError

_PACKAGE = "tensorflow.serving"
_VERSION_POLICY = "FileSystemStoragePathSourceConfig.ServableVersionPolicy"
_SCALARS = {"string", "bool", "int64", "uint32"}

# Name: (field, number, type); a type ending in [] repeats, one with a | belongs to that oneof.
_MESSAGES = {
    "BatchingParameters": [
        ("max_batch_size", 1, "google.protobuf.Int64Value"),
        ("batch_timeout_micros", 2, "google.protobuf.Int64Value"),
        ("max_enqueued_batches", 3, "google.protobuf.Int64Value"),
        ("num_batch_threads", 4, "google.protobuf.Int64Value"),
        ("thread_pool_name", 5, "google.protobuf.StringValue"),
        ("allowed_batch_sizes", 6, "int64[]"),
        ("pad_variable_length_inputs", 7, "bool"),
        ("enable_large_batch_splitting", 8, "google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, "google.protobuf.Int64Value"),
    ],
    "SSLConfig": [
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ],
    "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig")],
    "PrometheusConfig": [("enable", 1, "bool"), ("path", 2, "string")],
    "ModelServerConfig": [("model_config_list", 1, "ModelConfigList|config")],
    "ModelConfigList": [("config", 1, "ModelConfig[]")],
    "ModelConfig": [
        ("name", 1, "string"),
        ("base_path", 2, "string"),
        ("model_platform", 4, "string"),
        ("model_version_policy", 7, _VERSION_POLICY),
        ("version_labels", 8, "ModelConfig.VersionLabelsEntry[]"),
    ],
    "ModelConfig.VersionLabelsEntry": [("key", 1, "string"), ("value", 2, "int64")],
    "FileSystemStoragePathSourceConfig": [],
    _VERSION_POLICY: [
        ("latest", 100, f"{_VERSION_POLICY}.Latest|policy_choice"),
        ("all", 101, f"{_VERSION_POLICY}.All|policy_choice"),
        ("specific", 102, f"{_VERSION_POLICY}.Specific|policy_choice"),
    ],
    f"{_VERSION_POLICY}.Latest": [("num_versions", 1, "uint32")],
    f"{_VERSION_POLICY}.All": [],
    f"{_VERSION_POLICY}.Specific": [("versions", 1, "int64[]")],
}


def parse(path: str | os.PathLike[str], kind: str) -> Any:
    """Returns the message in a file of protocol buffer text.

    Args:
        path: the file.
        kind: "BatchingParameters", "SSLConfig", "MonitoringConfig" or "ModelServerConfig".

    Returns:
        A message of that kind; fields that the file doesn't name have their defaults.

    Raises:
        BadInputError: it can't be read, or doesn't hold such a message; names file and line.
    """
    message = message_class(kind)()
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), message)
    except OSError as error:
        raise BadInputError(error.strerror or str(error), path) from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"not text, so not a {kind}", path) from error
    except text_format.ParseError as error:
        place = f"{path}:{error.GetLine()}" if error.GetLine() else path
        if kind == "SSLConfig":
            # The parser quotes what it tripped over, and that may be the private key.
            raise BadInputError(
                "not an SSLConfig. Write it with python -m serving.deploy.tls_config", place
            ) from None
        reason = str(error).partition(" : ")[2] if error.GetLine() else str(error)
        raise BadInputError(f"not a {kind}: {reason}", place) from error
    return message


@functools.cache
def message_class(kind: str) -> Any:
    """Returns the class of a message by its name, without the package."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{kind}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="serving/deploy/config_messages.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    declared: dict[str, Any] = {}
    for name, fields in _MESSAGES.items():
        parent, _, short = name.rpartition(".")
        siblings = declared[parent].nested_type if parent else file.message_type
        declared[name] = siblings.add(name=short)
        for field in fields:
            _add_field(declared[name], *field)
    declared["ModelConfig.VersionLabelsEntry"].options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    kind, _, choice = kind.partition("|")
    scalar = kind.removesuffix("[]")
    field.label = field.LABEL_REPEATED if kind.endswith("[]") else field.LABEL_OPTIONAL
    if scalar in _SCALARS:
        field.type = getattr(field, f"TYPE_{scalar.upper()}")
    else:
        field.type = field.TYPE_MESSAGE
        full = scalar if scalar.startswith("google.") else f"{_PACKAGE}.{scalar}"
        field.type_name = f".{full}"
    if choice:
        if not message.oneof_decl:
            message.oneof_decl.add(name=choice)
        field.oneof_index = 0
