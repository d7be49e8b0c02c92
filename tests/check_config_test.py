"""`config_protos` reads TensorFlow Serving's files; `check_config` finds what is wrong there."""

import pathlib
import subprocess
import sys

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving import check_config, config_protos
from serving.errors import BadInputError

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIG = ROOT / "serving" / "config"
FLAGS = {
    "models.config": ["--model_config_file="],
    "batching_cpu.config": ["--enable_batching", "--batching_parameters_file="],
    "batching_gpu.config": ["--enable_batching=true", "--batching_parameters_file="],
    "monitoring.config": ["--rest_api_port=8501", "--monitoring_config_file="],
}
POLICY = "latest { num_versions: 2 }"


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
        ("models.config", "model_config_list {", 'model_config_list { config { name: "arn" '
         'base_path: "/a" model_platform: "tensorflow" }', "name of its own"),
        ("models.config", 'name: "arn"', "naem: 1", r'config:5: .* no field named "naem"'),
        ("models.config", POLICY, "latest { } all { }", r"config:\d+: .*all"),
        ("models.config", POLICY, "specific { }", "versions: NUMBER"),
        ("models.config", POLICY, 'specific { versions: 3 } } version_labels { key: "a" value: 4',
         "label a of arn is for version 4"),
        ("models.config", POLICY, 'all { } } version_labels { key: "a" value: 4',
         "--allow_version_labels_for_unavailable_models"),
        ("models.config", "model_version_policy", "logging_config { } model_version_policy",
         "logging_config"),
        ("batching_cpu.config", "{ value: 32 }", "32", "not a BatchingParameters: .*Expected"),
        ("batching_cpu.config", "sizes: 32", "sizes: 24", "to max_batch_size, 32"),
        ("batching_cpu.config", "sizes: 8", "sizes: 2", "must ascend"),
        ("batching_cpu.config", "sizes: 8", "sizes: 16", "must ascend"),
        ("batching_cpu.config", "sizes: 1\n", "sizes: 0\n", "must ascend from 1"),
        ("batching_cpu.config", "max_batch_size { value: 32 }", "", "1000"),
        ("batching_cpu.config", "num_batch_threads { value: 2 }", "num_batch_threads { }",
         "num_batch_threads must be at least 1"),
        ("batching_cpu.config", "micros { value: 0 }", "micros { value: -1 }", "at least 0"),
        ("batching_gpu.config", "batch_timeout_micros", "batch_timeout", r"config:\d+: .*timeout"),
        ("monitoring.config", "enable: true", "enable: yes", r"monitoring\.config:4: "),
        ("monitoring.config", "enable: true", "", "enable: true"),
        ("monitoring.config", 'path: "/', 'path: "', 'path: "/'),
    ],
)  # fmt: skip
def test_every_change_that_breaks_one_is_found(tmp_path, name, old, new, reason):
    path = changed(tmp_path, name, old, new)
    with pytest.raises(BadInputError, match=reason) as caught:
        check_config.check_flags(flags(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name, old, new, more",
    [
        ("models.config", POLICY, "specific { versions: [2, 3] }", []),
        ("models.config", POLICY, 'specific { versions: 3 } } version_labels { key: "a" value: 3',
         ["--allow_version_labels_for_unavailable_models=true"]),
        ("batching_cpu.config", "allowed_batch_sizes: 8\n", "", []),
    ],
)  # fmt: skip
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
    config = config_protos.parse(CONFIG / "ssl.config.template", "SSLConfig")
    assert len(config.ListFields()) == len(config.DESCRIPTOR.fields)
    with pytest.raises(BadInputError, match=r"serving\.tls_config"):
        check_config.check_ssl(config, "template")


def test_what_cannot_be_read_is_named(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path, reason in ((tmp_path, "directory"), (tmp_path / "no", "No such"), (binary, "text")):
        with pytest.raises(BadInputError, match=reason) as caught:
            config_protos.parse(path, "SSLConfig")
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
    mine = config_protos.message_class("ModelServerConfig").DESCRIPTOR
    real = model_server_config_pb2.ModelServerConfig.DESCRIPTOR
    assert mine.file.pool is not real.file.pool
    left_out = {"custom_model_config", "model_type", "logging_config"}
    assert set(compare(mine, real)) == left_out
    entry = mine.file.message_types_by_name["ModelConfig"].nested_types_by_name
    assert entry["VersionLabelsEntry"].GetOptions().map_entry


def test_it_starts_fast_and_without_tensorflow():
    code = (
        "import sys, serving.check_config, serving.tls_config, serving.config_protos as c;"
        f"c.parse('{CONFIG}/models.config', 'ModelServerConfig');"
        "sys.exit(any(m.startswith(('tensorflow', 'numpy', 'grpc')) for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=10)


@pytest.mark.parametrize(
    "given, status, text",
    [
        (["--model_config_file=serving/config/models.config"], 0, "ok\n"),
        (["--model_config_file=none.config"], 2, "error: none.config: No such file or directory\n"),
        ([], 2, "give the flags"),
    ],
)
def test_the_command(given, status, text):
    done = subprocess.run(
        [sys.executable, "-m", "serving.check_config", *given],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
