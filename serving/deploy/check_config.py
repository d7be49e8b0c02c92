"""Checks configuration of TensorFlow Serving before a server is started with it.

Give it the flags that the server would get, with paths of this machine:

    python -m serving.deploy.check_config --rest_api_port=8501 --enable_batching \\
        --model_config_file=serving/deploy/config/models.config \\
        --batching_parameters_file=serving/deploy/config/batching_cpu.config

It finds flags, fields and values that the server is known to refuse, to ignore silently or to
abort at. Some of that the server finds only long after its start, and other things, an unknown
field say, without naming the file. "ok" is no promise: files that only the server's machine has,
models, and the values of most flags beyond their kind are not checked.
"""

import argparse
import os
import re
from collections.abc import Iterable
from typing import Any

from serving import command
from serving.deploy import config_messages
from serving.errors import BadInputError

# All of tensorflow_model_server's in main.cc since the health service came (2024), by kind.
_FLAG_NAMES = {
    "boolean": """
        allow_version_labels_for_unavailable_models enable_batching enable_grpc_healthcheck_service
        enable_model_warmup enable_per_model_batching_parameters enable_profiler
        enable_serialization_as_tensor_content enable_signature_method_name_check
        flush_filesystem_caches prefer_tflite_model remove_unused_fields_from_bundle_metagraph
        rest_api_enable_cors_support skip_initialize_tpu use_alts_credentials version
        xla_cpu_compilation_enabled xla_gpu_compilation_enabled
    """,
    "integer": """
        file_system_poll_wait_seconds grpc_max_threads load_retry_interval_micros
        max_num_load_retries model_config_file_poll_wait_seconds num_load_threads
        num_request_iterations_for_warmup num_tflite_interpreters_per_pool num_tflite_pools
        num_unload_threads rest_api_num_threads rest_api_timeout_in_ms
        tensorflow_inter_op_parallelism tensorflow_intra_op_parallelism
        tensorflow_session_parallelism
    """,
    "port": "port rest_api_port",
    "fraction": "per_process_gpu_memory_fraction",
    # Without it there is no TLS: compose.yaml leaves it empty then.
    "text or nothing": "ssl_config_file",
    "text": """
        batching_parameters_file grpc_channel_arguments grpc_socket_path mixed_precision
        model_base_path model_config_file model_name monitoring_config_file platform_config_file
        saved_model_tags tensorflow_session_config_file thread_pool_factory_config_file
    """,
}
_KINDS = {name: kind for kind, names in _FLAG_NAMES.items() for name in names.split()}
# What the server takes each kind to be: (pattern, in words).
_VALUES = {
    "boolean": (r"true|false", "true or false"),
    "integer": (r"[+-]?[0-9]{1,18}", "a whole number"),
    "port": (r"[0-9]{1,5}", "a port, 0 to 65535"),
    "fraction": (r"0|1|[01]\.0*|0?\.[0-9]+", "a number from 0 to 1"),
    "text or nothing": (r".*", "any text"),
    "text": (r".+", "given a value, or left out"),
}
_DEFAULT_MAX_BATCH_SIZE = 1000
_DEFAULT_PORT = 8500


def read_flags(flags: Iterable[str]) -> dict[str, str]:
    """Returns ["--port=8500", "--enable_batching"] as {"port": "8500", "enable_batching": "true"}.

    Raises:
        BadInputError: the server has no such flag or takes no such value, or one is given twice.
    """
    values: dict[str, str] = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--") or name not in _KINDS:
            raise BadInputError(f"{flag}: tensorflow_model_server has no such flag")
        if name in values:
            raise BadInputError(f"{flag}: --{name} is given twice; the last one would win")
        kind = _KINDS[name]
        if not equals:
            if kind != "boolean":
                raise BadInputError(f"{flag}: needs its value after an equals sign: {flag}=VALUE")
            value = "true"
        pattern, words = _VALUES[kind]
        if not re.fullmatch(pattern, value) or (kind == "port" and int(value) > 65535):
            raise BadInputError(f"{flag}: must be {words}")
        values[name] = value
    return values


def check_flags(flags: Iterable[str]) -> None:
    """Checks a server's command line and the files that it names.

    Args:
        flags: each "--name=value".

    Raises:
        BadInputError: the server would refuse it, ignore a part of it, or could be made to abort.
    """
    values = read_flags(flags)
    rest_port = int(values.get("rest_api_port", 0))
    if rest_port and rest_port == int(values.get("port", _DEFAULT_PORT)):
        raise BadInputError(
            f"--rest_api_port={rest_port}: is gRPC's --port too, so the server would skip REST; "
            "give another"
        )
    base_path = values.get("model_base_path")
    if base_path and not _is_absolute(base_path):
        raise BadInputError(f"--model_base_path={base_path}: must be absolute")
    if path := values.get("model_config_file"):
        config = config_messages.parse(path, "ModelServerConfig")
        check_models(config, path)
        labelled = any(model.version_labels for model in config.model_config_list.config)
        if labelled and values.get("allow_version_labels_for_unavailable_models") != "true":
            raise BadInputError(
                "version_labels are given out before a model is loaded, so the server wouldn't "
                "start; add --allow_version_labels_for_unavailable_models",
                path,
            )
    if path := values.get("batching_parameters_file"):
        check_batching(config_messages.parse(path, "BatchingParameters"), path)
        if values.get("enable_batching") != "true":
            raise BadInputError("the server takes it only with --enable_batching", path)
    if path := values.get("monitoring_config_file"):
        check_monitoring(config_messages.parse(path, "MonitoringConfig"), path)
        if not rest_port:
            raise BadInputError("metrics are on the REST port; add --rest_api_port=8501", path)
    if path := values.get("ssl_config_file"):
        check_ssl(config_messages.parse(path, "SSLConfig"), path)


def _is_absolute(base_path: str) -> bool:
    """Whether it is a URI or a path from the root: the server knows no working directory."""
    return base_path.startswith("/") or re.match(r"[a-z0-9]+://.", base_path) is not None


def check_models(config: Any, path: str | os.PathLike[str]) -> None:
    """Checks a `ModelServerConfig` from `path`.

    Raises:
        BadInputError: its models can't be served.
    """
    models = config.model_config_list.config
    if not models:
        raise BadInputError("has no model_config_list { config { ... } }", path)
    names = [model.name for model in models]
    for model in models:
        if not model.name or names.count(model.name) > 1:
            raise BadInputError(f'every model needs a name of its own, not "{model.name}"', path)
        if not _is_absolute(model.base_path):
            raise BadInputError(
                f'base_path of {model.name} must be absolute, not "{model.base_path}"', path
            )
        if model.model_platform != "tensorflow":
            raise BadInputError(f'{model.name} needs model_platform: "tensorflow"', path)
        policy = model.model_version_policy
        if policy.WhichOneof("policy_choice") != "specific":
            continue
        pinned = set(policy.specific.versions)
        if not pinned or min(pinned) < 0:
            raise BadInputError(f"specific {{ }} of {model.name} needs versions: NUMBER", path)
        for label, version in model.version_labels.items():
            if version not in pinned:
                raise BadInputError(
                    f"label {label} of {model.name} is for version {version}, which isn't among "
                    "its specific versions",
                    path,
                )


def check_batching(config: Any, path: str | os.PathLike[str]) -> None:
    """Checks `BatchingParameters` from `path`.

    Raises:
        BadInputError: they contradict themselves, or would let a caller abort the server.
    """
    for field, least in (
        ("max_batch_size", 1),
        ("num_batch_threads", 1),
        ("max_enqueued_batches", 1),
        ("max_execution_batch_size", 1),
        ("batch_timeout_micros", 0),
    ):
        if config.HasField(field) and getattr(config, field).value < least:
            raise BadInputError(f"{field} must be at least {least}", path)
    largest = _DEFAULT_MAX_BATCH_SIZE
    if config.HasField("max_batch_size"):
        largest = config.max_batch_size.value
    # Sizes padded to are refused whatever they are: a request without pictures is padded with its
    # first row, and the server's own check of that ends the process.
    if config.allowed_batch_sizes:
        raise BadInputError(
            "any caller could abort the server by an empty request with allowed_batch_sizes; "
            "remove them",
            path,
        )
    splits = config.enable_large_batch_splitting.value
    if not config.HasField("max_execution_batch_size"):
        if splits and not config.HasField("max_batch_size"):
            raise BadInputError("enable_large_batch_splitting needs max_batch_size", path)
    elif not splits:
        raise BadInputError(
            "max_execution_batch_size is ignored without "
            "enable_large_batch_splitting { value: true }",
            path,
        )
    elif config.max_execution_batch_size.value > largest:
        raise BadInputError(
            f"max_execution_batch_size must be at most max_batch_size, {largest}", path
        )


def check_monitoring(config: Any, path: str | os.PathLike[str]) -> None:
    """Checks a `MonitoringConfig` from `path`.

    Raises:
        BadInputError: it would give no metrics.
    """
    prometheus = config.prometheus_config
    if not prometheus.enable or not prometheus.path.startswith("/"):
        raise BadInputError('needs prometheus_config { enable: true path: "/..." }', path)


def check_ssl(config: Any, path: str | os.PathLike[str]) -> None:
    """Checks an `SSLConfig` from `path`.

    Raises:
        BadInputError: it lacks what TLS needs.
    """
    for field in ("server_key", "server_cert") + ("custom_ca",) * config.client_verify:
        if "-----BEGIN " not in getattr(config, field):
            raise BadInputError(
                f"{field} must be the text of a PEM file, not its path. Write the file with "
                "python -m serving.deploy.tls_config",
                path,
            )


@command.naming_flags()
def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving.deploy.check_config",
        usage="%(prog)s FLAGS OF tensorflow_model_server",
        description="Checks TensorFlow Serving's flags and the configuration files they name.",
        allow_abbrev=False,
    )
    _, flags = parser.parse_known_args()
    if not flags:
        parser.error("give the flags that the server would get")
    check_flags(flags)
    print("ok")


if __name__ == "__main__":
    command.run(_main)
