"""Checks configuration of TensorFlow Serving before a server is started with it.

Give it the flags that the server would get, with paths of this machine:

    python -m serving.check_config --rest_api_port=8501 --enable_batching \\
        --model_config_file=serving/config/models.config \\
        --batching_parameters_file=serving/config/batching_cpu.config

It finds what the server would refuse or quietly ignore. The server checks some of that only long
after its start, and others, an unknown field say, without naming the file.
"""

import argparse

from serving import command, config_protos
from serving.errors import BadInputError

# All of tensorflow_model_server's in main.cc since the health service came (2024).
_FLAG_NAMES = """
    allow_version_labels_for_unavailable_models batching_parameters_file enable_batching
    enable_grpc_healthcheck_service enable_model_warmup enable_per_model_batching_parameters
    enable_profiler enable_serialization_as_tensor_content enable_signature_method_name_check
    file_system_poll_wait_seconds flush_filesystem_caches grpc_channel_arguments grpc_max_threads
    grpc_socket_path load_retry_interval_micros max_num_load_retries mixed_precision
    model_base_path model_config_file model_config_file_poll_wait_seconds model_name
    monitoring_config_file num_load_threads num_request_iterations_for_warmup
    num_tflite_interpreters_per_pool num_tflite_pools num_unload_threads
    per_process_gpu_memory_fraction platform_config_file port prefer_tflite_model
    remove_unused_fields_from_bundle_metagraph rest_api_enable_cors_support rest_api_num_threads
    rest_api_port rest_api_timeout_in_ms saved_model_tags skip_initialize_tpu ssl_config_file
    tensorflow_inter_op_parallelism tensorflow_intra_op_parallelism tensorflow_session_config_file
    tensorflow_session_parallelism thread_pool_factory_config_file use_alts_credentials version
    xla_cpu_compilation_enabled xla_gpu_compilation_enabled
"""
FLAGS = frozenset(_FLAG_NAMES.split())
_DEFAULT_MAX_BATCH_SIZE = 1000


def read_flags(flags):
    """["--port=8500", "--enable_batching"] as {"port": "8500", "enable_batching": "true"}.

    Raises:
        BadInputError: the server has no such flag.
    """
    values = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--") or name not in FLAGS:
            raise BadInputError(f"{flag}: tensorflow_model_server has no such flag")
        values[name] = value if equals else "true"
    return values


def check_flags(flags):
    """Checks a server's command line and the files that it names.

    Args:
        flags: list of "--name=value".

    Raises:
        BadInputError: the server would refuse it or ignore a part of it.
    """
    values = read_flags(flags)
    if path := values.get("model_config_file"):
        config = config_protos.parse(path, "ModelServerConfig")
        check_models(config, path)
        labelled = any(model.version_labels for model in config.model_config_list.config)
        if labelled and values.get("allow_version_labels_for_unavailable_models") != "true":
            raise BadInputError(
                "version_labels are given out before a model is loaded, so the server wouldn't "
                "start; add --allow_version_labels_for_unavailable_models",
                path,
            )
    if path := values.get("batching_parameters_file"):
        check_batching(config_protos.parse(path, "BatchingParameters"), path)
        if values.get("enable_batching") != "true":
            raise BadInputError("the server takes it only with --enable_batching", path)
    if path := values.get("monitoring_config_file"):
        check_monitoring(config_protos.parse(path, "MonitoringConfig"), path)
        if values.get("rest_api_port", "0") == "0":
            raise BadInputError("metrics are on the REST port; add --rest_api_port=8501", path)
    if path := values.get("ssl_config_file"):
        check_ssl(config_protos.parse(path, "SSLConfig"), path)


def check_models(config, path):
    """Raises BadInputError where a `ModelServerConfig` from `path` can't be served."""
    models = config.model_config_list.config
    if not models:
        raise BadInputError("has no model_config_list { config { ... } }", path)
    names = [model.name for model in models]
    for model in models:
        if not model.name or names.count(model.name) > 1:
            raise BadInputError(f'every model needs a name of its own, not "{model.name}"', path)
        # The server knows no working directory of yours.
        if not model.base_path.startswith("/"):
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


def check_batching(config, path):
    """Raises BadInputError where `BatchingParameters` from `path` contradict themselves."""
    for field, least in (
        ("max_batch_size", 1),
        ("num_batch_threads", 1),
        ("max_enqueued_batches", 1),
        ("batch_timeout_micros", 0),
    ):
        if config.HasField(field) and getattr(config, field).value < least:
            raise BadInputError(f"{field} must be at least {least}", path)
    largest = _DEFAULT_MAX_BATCH_SIZE
    if config.HasField("max_batch_size"):
        largest = config.max_batch_size.value
    allowed = list(config.allowed_batch_sizes)
    if allowed and (allowed != sorted(set(allowed)) or allowed[0] < 1 or allowed[-1] != largest):
        raise BadInputError(
            f"allowed_batch_sizes must ascend from 1 or more to max_batch_size, {largest}; "
            f"they are {allowed}",
            path,
        )


def check_monitoring(config, path):
    """Raises BadInputError where a `MonitoringConfig` from `path` would give no metrics."""
    prometheus = config.prometheus_config
    if not prometheus.enable or not prometheus.path.startswith("/"):
        raise BadInputError('needs prometheus_config { enable: true path: "/..." }', path)


def check_ssl(config, path):
    """Raises BadInputError where an `SSLConfig` from `path` lacks what TLS needs."""
    for field in ("server_key", "server_cert") + ("custom_ca",) * config.client_verify:
        if "-----BEGIN " not in getattr(config, field):
            raise BadInputError(
                f"{field} must be the text of a PEM file, not its path. Write the file with "
                "python -m serving.tls_config",
                path,
            )


def _main():
    parser = argparse.ArgumentParser(
        prog="python -m serving.check_config",
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
