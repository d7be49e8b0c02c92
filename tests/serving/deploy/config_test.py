"""What starts the real server: compose, Kubernetes and Prometheus agree with serving/config."""

import functools
import http.server
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import kubernetes_validate
import pytest
import yaml

from serving import client
from serving.deploy import check_config, config_messages
from serving.errors import BadInputError
from tests.support.places import ROOT

DEPLOY = ROOT / "serving" / "deploy"
STARTS = ("arn", "arn-gpu", "kubernetes")
METRICS_PATH = "/monitoring/prometheus/metrics"
# Names and labels of the server's sources.
METRICS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:request_latency_bucket": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:batching_session:queuing_latency_bucket": {"thread_pool_name"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
    "up": {"job"},
    "kube_deployment_status_replicas_available": {"deployment"},
    "kube_deployment_spec_replicas": {"deployment"},
}


@functools.cache
def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def container():
    return read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"][0]


def command_line(start):
    """The server's flags, as one of STARTS gives them, without TLS."""
    if start == "kubernetes":
        words = container()["command"] + container()["args"]
    else:
        service = read("compose.yaml")["services"][start]
        words = service["entrypoint"] + service["command"]
    assert words[0] == "tensorflow_model_server"
    return [re.sub(r"\$\{\w+:\+[^}]*\}", "", word) for word in words[1:]]


def faults(flags, config=DEPLOY / "config"):
    """What is wrong with a command line whose /config is the folder `config`."""
    flags = [flag.replace("=/config/", f"={config}/") for flag in flags]
    try:
        check_config.check_flags(flags)
    except BadInputError as error:
        return str(error)
    values = check_config.read_flags(flags)
    wanted = {
        "enable_profiler": "false",
        "enable_grpc_healthcheck_service": "true",
        "enable_batching": "true",
        "port": "8500",
        "rest_api_port": "8501",
    }
    wrong = [name for name, value in wanted.items() if values.get(name) != value]
    tries = int(values.get("max_num_load_retries", 5))
    if tries * int(values.get("load_retry_interval_micros", 60_000_000)) > 20_000_000:
        wrong.append("retries take more than 20 s")
    for name in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        if name not in values:
            wrong.append(name)
    return ", ".join(wrong)


@pytest.mark.parametrize("start", STARTS)
def test_the_server_is_started_as_it_should_be(start):
    assert not faults(command_line(start))


@pytest.mark.parametrize(
    "flag, other, fault",
    [
        ("--enable_profiler=false", "--version", "enable_profiler"),
        ("--enable_profiler=false", "--enable_profiler=true", "enable_profiler"),
        ("--enable_profiler=false", "--disable_profiler", "no such flag"),
        ("--enable_grpc_healthcheck_service=true", "--version", "healthcheck"),
        ("--max_num_load_retries=2", "--version", "more than 20 s"),
        ("--load_retry_interval_micros=5000000", "--version", "more than 20 s"),
        ("--enable_batching=true", "--version", "only with --enable_batching"),
        ("--rest_api_port=8501", "--version", "REST port"),
        ("--model_config_file=/config/models.config", "--version", "model_config_file"),
    ],
)
@pytest.mark.parametrize("start", STARTS)
def test_a_changed_flag_is_found(start, flag, other, fault):
    flags = command_line(start)
    flags[flags.index(flag)] = other
    assert fault in faults(flags)


@pytest.mark.parametrize("start", STARTS)
def test_labels_are_found_where_the_flag_for_them_is_missing(start, tmp_path):
    config = tmp_path / "config"
    shutil.copytree(DEPLOY / "config", config)
    text = (config / "models.config").read_text()
    label = 'version_labels { key: "stable" value: 1 }\n'
    (config / "models.config").write_text(text.replace("    # No version_labels", label + "#"))
    flags = command_line(start)
    assert "--allow_version_labels_for_unavailable_models" in faults(flags, config)
    assert not faults([*flags, "--allow_version_labels_for_unavailable_models"], config)


@pytest.mark.parametrize("name", ["batching_cpu.config", "batching_gpu.config"])
def test_the_client_s_requests_fit(name):
    config = config_messages.parse(DEPLOY / "config" / name, "BatchingParameters")
    sent = inspect.signature(client.EmbeddingClient).parameters["batch_size"].default
    assert sent <= config.max_batch_size.value
    assert not config.allowed_batch_sizes


def test_names_agree():
    monitoring = config_messages.parse(DEPLOY / "config" / "monitoring.config", "MonitoringConfig")
    assert monitoring.prometheus_config.path == METRICS_PATH
    annotations = read("kubernetes/deployment.yaml")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS_PATH
    assert annotations["prometheus.io/port"] == "8501"
    static, pods = read("prometheus/prometheus.yaml")["scrape_configs"]
    assert static["metrics_path"] == METRICS_PATH
    path = ["__meta_kubernetes_pod_annotation_prometheus_io_path"]
    assert dict(source_labels=path, target_label="__metrics_path__") in pods["relabel_configs"]
    models = config_messages.parse(DEPLOY / "config" / "models.config", "ModelServerConfig")
    (model,) = models.model_config_list.config
    url = container()["readinessProbe"]["httpGet"]["path"]
    assert url == f"/v1/models/{model.name}/metadata"
    assert model.base_path == f"/models/{model.name}"
    # Compose takes a path from the folder of its file, so this is what docs/serving.md exports.
    arn = read("compose.yaml")["services"]["arn"]
    assert url in arn["healthcheck"]["test"][-1]
    assert arn["volumes"][0]["source"] == "${ARN_MODELS:-../../models}"
    assert f"--export_dir=models/{model.name}\n" in (ROOT / "docs" / "serving.md").read_text()


def check_schema(path):
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True,
        text=True,
    ).returncode


def test_compose_follows_its_schema(tmp_path):
    assert check_schema(DEPLOY / "compose.yaml") == 0
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / "compose.yaml").read_text().replace("cap_drop", "cap_dorp"))
    assert check_schema(broken) == 1


def test_docker_compose_reads_it():
    compose = ["docker", "compose"]
    if not shutil.which("docker") or subprocess.run([*compose, "version"]).returncode:
        pytest.skip("docker compose is not installed")
    compose += ["-f", DEPLOY / "compose.yaml", "config", "--quiet"]
    assert subprocess.run(compose, env=os.environ | {"ARN_MODELS": ""}).returncode == 0


@pytest.mark.parametrize("start", ["arn", "arn-gpu", "arn-openvino"])
def test_compose_lets_nobody_in_and_nothing_out(start):
    service = read("compose.yaml")["services"][start]
    assert all(re.match(r"(\$\{ARN_BIND:-)?127\.0\.0\.1", port) for port in service["ports"])
    assert all(mount["read_only"] for mount in service["volumes"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service.get("profiles", []) == start.split("-")[1:]
    if start != "arn-openvino":
        assert service["image"].startswith("tensorflow/serving:${TF_SERVING_TAG:-2.")


def test_what_the_documentation_stops_is_every_service():
    services = read("compose.yaml")["services"]
    page = (ROOT / "docs" / "serving.md").read_text()
    (flags,) = re.findall(r"^docker compose -f \S+ (.*) down$", page, re.MULTILINE)
    named = set(re.findall(r"--profile (\S+)", flags))
    assert named == {each for service in services.values() for each in service.get("profiles", [])}


def test_openvino_model_server_is_one_that_speaks_tensorflow_serving_s_protocol():
    """Its releases after 2026.2 don't: neither they nor what is latest may come by itself."""
    image = read("compose.yaml")["services"]["arn-openvino"]["image"]
    assert image == "openvino/model_server:${OVMS_TAG:-2026.2}"


def test_openvino_model_server_gets_what_the_documentation_exports():
    flags = read("compose.yaml")["services"]["arn-openvino"]["command"]
    folder = next(flag for flag in flags if flag.startswith("--model_path=/models/"))
    folder = folder.removeprefix("--model_path=/")
    page = (ROOT / "docs" / "serving.md").read_text()
    assert f"--export_dir={folder} --format=openvino" in page
    config = next(flag for flag in flags if flag.startswith("--plugin_config="))
    # As the development server and the comparison before publication compute.
    assert json.loads(config.removeprefix("--plugin_config=")) == {
        "INFERENCE_PRECISION_HINT": "f32",
        "CPU_DENORMALS_OPTIMIZATION": "YES",
    }
    assert "--model_name=arn" in flags


@pytest.mark.parametrize("status, healthy", [(200, True), (404, False), (None, False)])
def test_the_health_check_of_compose_is_right(status, healthy):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/v1/models/arn/metadata" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    kind, *command, script = read("compose.yaml")["services"]["arn"]["healthcheck"]["test"]
    assert kind == "CMD"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        if status:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            server.server_close()
        script = script.replace("$$", "$").replace("/8501", f"/{port}")
        done = subprocess.run([*command, script], capture_output=True, timeout=10)
        if status:
            server.shutdown()
    assert (done.returncode == 0) == healthy


@pytest.mark.parametrize("name", ["deployment", "service", "disruption_budget", "models_claim"])
def test_kubernetes_accepts_the_manifests(name):
    manifest = read(f"kubernetes/{name}.yaml")
    kubernetes_validate.validate(manifest, "1.37", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest | {"spce": {}}, "1.37", strict=True)
    assert f"{name}.yaml" in read("kubernetes/kustomization.yaml")["resources"]


def test_pods_are_found_and_have_room_and_few_rights():
    deployment = read("kubernetes/deployment.yaml")["spec"]
    pod = deployment["template"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert read("kubernetes/service.yaml")["spec"]["selector"] == labels
    assert read("kubernetes/service.yaml")["spec"]["clusterIP"] == "None"
    budget = read("kubernetes/disruption_budget.yaml")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["minAvailable"] < deployment["replicas"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    assert pod["terminationGracePeriodSeconds"] > int(
        container()["lifecycle"]["preStop"]["exec"]["command"][-1]
    )


def kustomize(folder):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.safe_load_all(done.stdout))
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    return {manifest["kind"]: manifest for manifest in manifests}


def test_kustomize_puts_the_config_files_into_the_pods():
    built = kustomize(DEPLOY / "kubernetes")
    for name, text in built["ConfigMap"]["data"].items():
        assert text == (DEPLOY / "config" / name).read_text()
    assert set(built["ConfigMap"]["data"]) == {p.name for p in DEPLOY.glob("config/*.config")}
    pod = built["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "tensorflow/serving:2.20.0"
    (name,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    assert name == built["ConfigMap"]["metadata"]["name"] != "arn-serving-config"


def test_kustomize_adds_tls(tmp_path):
    for folder in ("config", "kubernetes"):
        shutil.copytree(DEPLOY / folder, tmp_path / folder)
    path = tmp_path / "kubernetes" / "kustomization.yaml"
    text = path.read_text()
    assert "\n# components: [tls]\n" in text
    path.write_text(text.replace("# components", "components"))
    pod = kustomize(path.parent)["Deployment"]["spec"]["template"]["spec"]
    assert "--ssl_config_file=/tls/ssl.config" in pod["containers"][0]["args"]
    assert {"name": "tls", "secret": {"secretName": "arn-serving-tls"}} in pod["volumes"]
    # Kubernetes' gRPC probes speak no TLS: one left over would kill the pod again and again.
    probes = [value for key, value in pod["containers"][0].items() if key.endswith("Probe")]
    assert len(probes) == 3 and not any("grpc" in probe for probe in probes)


def test_alerts_name_what_the_server_reports():
    rules = read("prometheus/alerts.yaml")["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 8
    for rule in rules:
        found = re.findall(r"(:tensorflow[\w:]+|up|kube_\w+)\{([^}]*)\}", rule["expr"])
        assert found, rule["alert"]
        for metric, selectors in found:
            assert set(re.findall(r"(\w+)[=!]", selectors)) <= METRICS[metric], rule["alert"]
        assert rule["expr"].count("tensorflow") == sum(":" in metric for metric, _ in found)
    assert 'thread_pool_name="arn"' in str(rules)
    for name in ("cpu", "gpu"):
        path = DEPLOY / "config" / f"batching_{name}.config"
        assert config_messages.parse(path, "BatchingParameters").thread_pool_name.value == "arn"


def test_alerts_are_promql():
    parser = pytest.importorskip("promql_parser", reason="pip install promql-parser")
    for rule in read("prometheus/alerts.yaml")["groups"][0]["rules"]:
        parser.parse(rule["expr"])


def test_there_is_no_key_in_the_folder():
    private = re.compile(rb"PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/=]{20}")
    assert private.search(b"-----BEGIN EC PRIVATE KEY-----\n" + b"M" * 64)
    for path in (ROOT / "serving").rglob("*"):
        assert path.name != "ssl.config"
        assert not path.is_file() or not private.search(path.read_bytes()), path
