"""The export's command: what it prints and writes, several replicas, full disks, and mistakes."""

import json
import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.run import results as run_results
from arn_tf.run.folder import RunDir
from arn_tf.served import publish
from arn_tf.strong import evaluate as strong_evaluate
from tests.support import small_data

SIZE = (small_data.HEIGHT, small_data.WIDTH)


def arguments(run, export_dir, **changes):
    places = small_data.inputs()
    return small_data.command(
        "arn_tf.export", model_dir=run.path, export_dir=export_dir, **places | changes
    )


def test_the_command(paper_run, tmp_path):
    status, out, err = small_data.finish(arguments(paper_run, tmp_path / "arn"))
    assert status == 0, err
    sidecar = json.loads((tmp_path / "arn/1" / publish.SIDECAR).read_text())
    for words in (str(tmp_path / "arn/1"), sidecar["embedding_space"], "64 numbers", "of duke"):
        assert words in out
    assert (sidecar["source"], sidecar["target"]) == ("market", "duke")
    assert sidecar["backbone"] == "Tiny" and sidecar["input_size"] == list(SIZE)
    assert sidecar["versions"] == {"tensorflow": tf.__version__, "keras": keras.__version__}


PAPER = ["source only", "ARN"]
STRONG = list(strong_evaluate.TITLES.values())[2:]


@pytest.mark.parametrize(
    ("preset", "rows", "expected"),
    [
        ("paper", PAPER, "ARN"),
        ("strong", STRONG, "self-trained (b) camera statistics, flip"),
        # A guard stopped self-training before its first round.
        ("strong", STRONG[:3], "source only (b) camera statistics, flip"),
        # Of an earlier version, chosen by labels.
        (
            "strong",
            STRONG[:3] + [f"ORACLE, by labels: {row}" for row in STRONG[3:]],
            "ORACLE, by labels: self-trained (b) camera statistics, flip",
        ),
    ],
)
def test_the_sidecar_has_the_metrics_of_evaluate(tmp_path, capsys, preset, rows, expected):
    run = RunDir(str(tmp_path))
    (tmp_path / "model.keras").write_bytes(b"a model")
    titles = recipes.RECIPES[preset].served_titles()
    assert run_results.scores_of_model(run, titles) is None
    results = {
        "rows": {row: {"rank-1": len(row)} for row in rows},
        "model": run.digest("model.keras"),
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = run_results.scores_of_model(run, titles)
    assert found == (expected, {"rank-1": len(expected)})
    # As after a calibration.
    (tmp_path / "model.keras").write_bytes(b"another")
    assert run_results.scores_of_model(run, titles) is None
    assert "results.json is of another model than this" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        '{"rows"',
        "{}",
        '{"rows": {"ARN": {}}}',
        '{"rows": {"other": {}}, "model": "DIGEST"}',
        '{"rows": [], "model": "DIGEST"}',
    ],
)
def test_results_that_are_not_those_of_evaluate(tmp_path, text):
    (tmp_path / "model.keras").write_bytes(b"a model")
    digest = RunDir(str(tmp_path)).digest("model.keras")
    (tmp_path / "results.json").write_text(text.replace("DIGEST", digest))
    for preset in ("paper", "strong"):
        with pytest.raises(UserError, match=r"results\.json.*run it again"):
            run_results.scores_of_model(
                RunDir(str(tmp_path)), recipes.RECIPES[preset].served_titles()
            )


def test_a_run_of_several_replicas(tmp_path):
    model_dir = tmp_path / "run"
    settings = small_data.settings(model_dir, **small_data.SHORT | {"replicas": 2})
    status, _, err = small_data.finish(small_data.command("arn_tf.train", settings))
    assert status == 0, err
    status, _, err = small_data.finish(arguments(RunDir(model_dir), tmp_path / "arn"))
    assert status == 0, err
    agreement = json.loads((tmp_path / "arn/1" / publish.SIDECAR).read_text())["agreement"]
    assert agreement["max_difference"] <= 1e-5


# Not by preexec_fn: where gRPC runs, a fork may abort.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_full_disk(paper_run, tmp_path):
    """The limit on a file's size stands for it: the weights don't fit."""
    line = arguments(paper_run, tmp_path / "arn")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *line],
        cwd=small_data.ROOT,
        env=os.environ | {"PYTHONPATH": str(small_data.ROOT)},
        capture_output=True,
        text=True,
    )
    status, err = done.returncode, done.stderr
    assert status == 2, err
    assert f"--export_dir={tmp_path / 'arn'}: version 1 can't be written" in err
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path / "arn")) == [".last_version"]


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"export_dir": ""}, "--export_dir: name the folder"),
        ({"model_dir": "/nowhere"}, "--model_dir=/nowhere: no settings.json there"),
        ({"precision": "int4"}, "precision"),
        ({"precision": "int8"}, "--precision=int8: needs --format=openvino"),
        ({"format": "tensorrt"}, "format"),
        ({"manual_dir": "/nowhere", "data_dir": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_flags(flags, words, paper_run, tmp_path):
    status, _, err = small_data.finish(
        arguments(paper_run, tmp_path / "arn", **{}) + [f"--{k}={v}" for k, v in flags.items()]
    )
    assert status == 2 and words in err and "Traceback" not in err


@pytest.mark.parametrize(
    "flags, package, words",
    [
        ({"format": "openvino"}, "openvino", "--format=openvino: needs the package openvino"),
        ({"format": "onnx"}, "onnx", "--format=onnx: needs the package onnx"),
        (
            {"format": "openvino", "precision": "int8"},
            "nncf",
            "--precision=int8: needs the package nncf",
        ),
    ],
)
def test_a_missing_package_is_said_before_anything_is_read(flags, package, words, tmp_path):
    # In front of the installed one, if there is one.
    (tmp_path / f"{package}.py").write_text("raise ImportError")
    line = small_data.command(
        "arn_tf.export", model_dir="/nowhere", export_dir=tmp_path / "arn", **flags
    )
    done = subprocess.run(
        line,
        cwd=small_data.ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{small_data.ROOT}"},
        capture_output=True,
        text=True,
    )
    kind = flags.get("precision", flags["format"])
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert words in done.stderr and f"-r requirements-{kind}.txt" in done.stderr
    assert not (tmp_path / "arn").exists()
