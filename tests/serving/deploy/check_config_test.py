"""`config_messages` reads TensorFlow Serving's files; `check_config` finds what is wrong there."""

import subprocess
import sys

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.deploy import check_config, config_messages
from serving.errors import BadInputError
from tests.support.places import ROOT

CONFIG = ROOT / "serving" / "deploy" / "config"
FLAGS = {
    "models.config": ["--model_config_file="],
    "batching_cpu.config": ["--enable_batching", "--batching_parameters_file="],
    "batching_gpu.config": ["--enable_batching=true", "--batching_parameters_file="],
    "monitoring.config": ["--rest_api_port=8501", "--monitoring_config_file="],
}
POLICY = "latest { num_versions: 2 }"
SIZE = "max_batch_size { value: 32 }"
SPLIT = "enable_large_batch_splitting { value: true }"


def flags(path):
    *first, last = FLAGS[path.name]
    return [*first, f"{last}{path}"]


def changed(tmp_path, name, old, new):
    text = (CONFIG / name).read_text()
    assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
    path = tmp_path / name
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize("name", FLAGS)
def test_the_files_of_this_repository_are_right(name):
    check_config.check_flags(flags(CONFIG / name))


@pytest.mark.parametrize(
    "name, old, new, reason",
    [
        ("models.config", '"/models/arn"', '"models/arn"', "must be absolute"),
        ("models.config", 'model_platform: "tensorflow"', "", "model_platform"),
        ("models.config", '"tensorflow"\n', '"torch"\n', "model_platform"),
        ("models.config", 'name: "arn"', "", "name of its own"),
        (
            "models.config",
            "model_config_list {",
            'model_config_list { config { name: "arn" '
            'base_path: "/a" model_platform: "tensorflow" }',
            "name of its own",
        ),
        ("models.config", 'name: "arn"', "naem: 1", r'config:5: .* no field named "naem"'),
        ("models.config", POLICY, "latest { } all { }", r"config:\d+: .*all"),
        ("models.config", POLICY, "specific { }", "versions: NUMBER"),
        (
            "models.config",
            POLICY,
            'specific { versions: 3 } } version_labels { key: "a" value: 4',
            "label a of arn is for version 4",
        ),
        (
            "models.config",
            POLICY,
            'all { } } version_labels { key: "a" value: 4',
            "--allow_version_labels_for_unavailable_models",
        ),
        (
            "models.config",
            "model_version_policy",
            "logging_config { } model_version_policy",
            "logging_config",
        ),
        ("batching_cpu.config", "{ value: 32 }", "32", "not a BatchingParameters: .*Expected"),
        ("batching_cpu.config", SIZE, f"{SIZE} allowed_batch_sizes: 32", "abort the server"),
        ("batching_gpu.config", SIZE, f"{SIZE} allowed_batch_sizes: [1, 32]", "remove them"),
        ("batching_cpu.config", SIZE, "max_batch_size { value: 0 }", "max_batch_size must be at"),
        ("batching_cpu.config", SIZE, SPLIT, "needs max_batch_size"),
        (
            "batching_cpu.config",
            SIZE,
            f"{SPLIT} max_execution_batch_size {{ value: 1001 }}",
            "at most max_batch_size, 1000",
        ),
        (
            "batching_cpu.config",
            SIZE,
            f"{SIZE} {SPLIT} max_execution_batch_size {{ value: 33 }}",
            "at most max_batch_size, 32",
        ),
        (
            "batching_cpu.config",
            SIZE,
            f"{SIZE} {SPLIT} max_execution_batch_size {{ }}",
            "max_execution_batch_size must be at least 1",
        ),
        (
            "batching_cpu.config",
            SIZE,
            f"{SIZE} max_execution_batch_size {{ value: 8 }}",
            "ignored without enable_large_batch_splitting",
        ),
        (
            "batching_cpu.config",
            "num_batch_threads { value: 2 }",
            "num_batch_threads { }",
            "num_batch_threads must be at least 1",
        ),
        ("batching_cpu.config", "micros { value: 0 }", "micros { value: -1 }", "at least 0"),
        ("batching_gpu.config", "batch_timeout_micros", "batch_timeout", r"config:\d+: .*timeout"),
        ("monitoring.config", "enable: true", "enable: yes", r"monitoring\.config:4: "),
        ("monitoring.config", "enable: true", "", "enable: true"),
        ("monitoring.config", 'path: "/', 'path: "', 'path: "/'),
    ],
)
def test_every_change_that_breaks_one_is_found(tmp_path, name, old, new, reason):
    path = changed(tmp_path, name, old, new)
    with pytest.raises(BadInputError, match=reason) as caught:
        check_config.check_flags(flags(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name, old, new, more",
    [
        ("models.config", POLICY, "specific { versions: [2, 3] }", []),
        (
            "models.config",
            POLICY,
            'specific { versions: 3 } } version_labels { key: "a" value: 3',
            ["--allow_version_labels_for_unavailable_models=true"],
        ),
        ("models.config", '"/models/arn"', '"gs://bucket/arn"', []),
        ("batching_cpu.config", SIZE, "", []),
        ("batching_cpu.config", SIZE, f"{SIZE} {SPLIT}", []),
        (
            "batching_cpu.config",
            SIZE,
            f"{SIZE} {SPLIT} max_execution_batch_size {{ value: 32 }}",
            [],
        ),
    ],
)
def test_good_changes_pass(tmp_path, name, old, new, more):
    check_config.check_flags(flags(changed(tmp_path, name, old, new)) + more)


@pytest.mark.parametrize(
    "name, without, reason",
    [
        ("batching_cpu.config", "--enable_batching", "only with --enable_batching"),
        ("monitoring.config", "--rest_api_port=8501", "--rest_api_port"),
    ],
)
def test_a_file_whose_flag_is_missing_is_found(name, without, reason):
    given = flags(CONFIG / name)
    given.remove(without)
    with pytest.raises(BadInputError, match=reason):
        check_config.check_flags(given)


@pytest.mark.parametrize("flag", ["--enable_baching", "-port=1", "models.config", "--"])
def test_flags_that_the_server_lacks_are_found(flag):
    with pytest.raises(BadInputError, match="has no such flag"):
        check_config.check_flags([flag])


@pytest.mark.parametrize(
    "given, reason",
    [
        (["--port=abc"], "--port=abc: must be a port"),
        (["--port=65536"], "0 to 65535"),
        (["--rest_api_port=-1"], "0 to 65535"),
        (["--port"], "--port=VALUE"),
        (["--model_name"], "--model_name=VALUE"),
        (["--enable_batching=yes"], "must be true or false"),
        (["--enable_batching=True"], "must be true or false"),
        (["--enable_profiler="], "must be true or false"),
        (["--max_num_load_retries=2.5"], "a whole number"),
        (["--max_num_load_retries=1_0"], "a whole number"),
        (["--per_process_gpu_memory_fraction=80%"], "from 0 to 1"),
        (["--per_process_gpu_memory_fraction=1.5"], "from 0 to 1"),
        (["--model_config_file="], "given a value, or left out"),
        (["--monitoring_config_file="], "given a value, or left out"),
        (["--model_base_path=relative/arn"], "must be absolute"),
        (["--model_base_path=file:/arn"], "must be absolute"),
        (["--port=8600", "--rest_api_port=8600"], "would skip REST"),
        (["--rest_api_port=8500"], "would skip REST"),
        (["--port=8500", "--port=8501"], "--port is given twice"),
        (["--enable_batching", "--enable_batching=true"], "given twice"),
    ],
)
def test_values_that_the_server_refuses_or_ignores_are_found(given, reason):
    with pytest.raises(BadInputError, match=reason) as caught:
        check_config.check_flags(given)
    assert given[-1].partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        ["--port=0", "--rest_api_port=0"],
        ["--rest_api_port=8501"],
        ["--port=8600", "--rest_api_port=8500"],
        ["--model_base_path=/models/arn", "--model_name=arn"],
        ["--model_base_path=gs://bucket/arn"],
        ["--enable_profiler=false", "--enable_batching"],
        ["--load_retry_interval_micros=-1", "--per_process_gpu_memory_fraction=0.5"],
        ["--grpc_channel_arguments=grpc.max_connection_age_ms=300000"],
        ["--ssl_config_file="],
    ],
)
def test_good_values_pass(given):
    check_config.check_flags(given)


def test_batching_fields_have_the_server_s_numbers():
    # A message in a field: tag (number * 8 + 2), length; in it `value`, field 1: tag 8, the number.
    data = bytes([8 * 8 + 2, 2, 8, 1, 9 * 8 + 2, 2, 8, 16])
    config = config_messages.message_class("BatchingParameters").FromString(data)
    assert config.enable_large_batch_splitting.value is True
    assert config.max_execution_batch_size.value == 16


@pytest.mark.parametrize(
    "text, reason",
    [
        ('server_key: "server.key" server_cert: "-----BEGIN C"', "server_key must be the text"),
        ('server_key: "-----BEGIN K"', "server_cert must be the text"),
        ('server_key: "-----BEGIN K" server_cert: "-----BEGIN C" client_verify: true', "custom_ca"),
        ("\nserver_key: MIISECRETSECRET", r"ssl\.config:2: not an SSLConfig"),
        ('server_key: "-----BEGIN K\nMIISECRET"', r"ssl\.config:1: not an SSLConfig"),
    ],
)
def test_a_wrong_ssl_config_is_found_and_its_key_is_not_shown(tmp_path, text, reason):
    path = tmp_path / "ssl.config"
    path.write_text(text)
    with pytest.raises(BadInputError, match=reason) as caught:
        check_config.check_flags([f"--ssl_config_file={path}"])
    assert "SECRET" not in str(caught.value)


def test_the_template_has_all_fields_and_is_no_config_yet():
    config = config_messages.parse(CONFIG / "ssl.config.template", "SSLConfig")
    assert len(config.ListFields()) == len(config.DESCRIPTOR.fields)
    with pytest.raises(BadInputError, match=r"serving\.deploy\.tls_config"):
        check_config.check_ssl(config, "template")


def test_what_cannot_be_read_is_named(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path, reason in ((tmp_path, "directory"), (tmp_path / "no", "No such"), (binary, "text")):
        with pytest.raises(BadInputError, match=reason) as caught:
            config_messages.parse(path, "SSLConfig")
        assert str(path) in str(caught.value)


def compare(mine, real):
    """Asserts that every field declared here is as in the wheel; yields what the wheel has more."""
    theirs = {field.name: field for field in real.fields}
    for field in mine.fields:
        other = theirs.pop(field.name)
        same = ("number", "type", "is_repeated")
        assert [getattr(field, a) for a in same] == [getattr(other, a) for a in same], field.name
        assert (field.containing_oneof is None) == (other.containing_oneof is None), field.name
        if field.message_type:
            assert field.message_type.full_name == other.message_type.full_name
            yield from compare(field.message_type, other.message_type)
    yield from theirs


def test_models_are_declared_as_in_the_wheel():
    mine = config_messages.message_class("ModelServerConfig").DESCRIPTOR
    real = model_server_config_pb2.ModelServerConfig.DESCRIPTOR
    assert mine.file.pool is not real.file.pool
    left_out = {"custom_model_config", "model_type", "logging_config"}
    assert set(compare(mine, real)) == left_out
    entry = mine.file.message_types_by_name["ModelConfig"].nested_types_by_name
    assert entry["VersionLabelsEntry"].GetOptions().map_entry


def test_it_starts_fast_and_without_tensorflow():
    code = (
        "import sys; from serving.deploy import check_config, config_messages, tls_config;"
        f"config_messages.parse('{CONFIG}/models.config', 'ModelServerConfig');"
        "sys.exit(any(m.startswith(('tensorflow', 'numpy', 'grpc')) for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=10)


@pytest.mark.parametrize(
    "given, status, text",
    [
        (["--model_config_file=serving/deploy/config/models.config"], 0, "ok\n"),
        (["--model_config_file=none.config"], 2, "error: none.config: No such file or directory\n"),
        ([], 2, "give the flags"),
    ],
)
def test_the_command(given, status, text):
    done = subprocess.run(
        [sys.executable, "-m", "serving.deploy.check_config", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
