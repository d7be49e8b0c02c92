"""The same job on a cluster of three nodes: the same bytes, also where one of them is killed."""

import os
import pickle
import subprocess
import sys
import threading
import time
import types

import fsspec
import numpy as np
import pytest
import tensorflow as tf
from fsspec.implementations.local import LocalFileSystem

from arn_tf.embedding_jobs import ray_engine, ray_worker
from arn_tf.errors import UserError
from benchmarks import ray_nodes
from tests.support import small_data, small_jobs
from tests.support.places import ROOT


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray.data")
    with ray_nodes.Nodes(3) as found:
        yield found


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Pictures that take a while to decode: 180 names of one large picture of each camera."""
    folder = tmp_path_factory.mktemp("crops")
    for camera in (1, 4):
        (folder / str(camera)).mkdir()
        large = folder / str(camera) / "0000.jpg"
        large.write_bytes(small_data.picture(camera, camera, 0, (1600, 1600)))
        for number in range(1, 90):
            os.link(large, folder / str(camera) / f"{number:04d}.jpg")
    (folder / "4/0050.jpg").unlink()
    (folder / "4/0050.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def of_one_machine(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    assert len(small_jobs.run(crops, folder)) == 1
    return small_jobs.shards(folder)


def started(cluster, crops, output, *more, **changes):
    """A job on the cluster: its process."""
    flags = vars(small_jobs.arguments(crops, output, engine="ray", **changes))
    line = [sys.executable, "-m", "arn_tf.embed", *(f"--{k}={v}" for k, v in flags.items()), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"RAY_ADDRESS": cluster.address}
    return subprocess.Popen(line, cwd=ROOT, env=environment, **pipes)


def kill_one_with_an_actor(cluster):
    """Kills a node, not the head, that holds a model; returns how many processes it had."""
    for number in (1, 2):
        found = cluster.commands(number)
        if any("Embedder" in command for command in found):
            cluster.kill(number)
            return len(found)
    raise AssertionError("no node holds an actor")


def test_a_node_that_is_killed_costs_nothing_but_time(cluster, crops, of_one_machine, tmp_path):
    output = tmp_path / "out"
    job = started(cluster, crops, output, "--skip_bad_images")
    while job.poll() is None and len(small_jobs.shards(output)) < 3:
        time.sleep(0.01)
    assert job.poll() is None, job.communicate()
    assert kill_one_with_an_actor(cluster) > 2
    left = len(of_one_machine) - len(small_jobs.shards(output))
    out, err = job.communicate(timeout=900)
    assert job.returncode == 0, err
    assert left > 5
    assert small_jobs.shards(output) == of_one_machine
    assert "0050.jpg: not a picture" in out


def test_what_a_worker_says_reaches_the_user(cluster, crops, tmp_path, monkeypatch):
    """The command knows the store, and the workers don't."""
    fsspec.register_implementation("here", LocalFileSystem, clobber=True)
    monkeypatch.setattr(LocalFileSystem, "protocol", ("file", "local", "here"))
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(UserError, match=r"images=here://.*Protocol not known") as error:
        small_jobs.run(f"here://{crops}", tmp_path, engine="ray")
    assert error.value.arguments == ("images",)
    # No thread may ask a cluster that was left: Ray would end the process.
    threads = {thread.name for thread in threading.enumerate()}
    assert not threads & {"Prefetcher", "iter_threaded", "data-usage-metrics-poller"}


def test_a_worker_s_error_takes_the_place_of_its_batch(tmp_path):
    rows = {"batch": np.array([pickle.dumps(1)], object)}
    embedder = ray_worker.Embedder("nonsense://bucket", "/nowhere", "0" * 16, "0.0")
    [told] = map(pickle.loads, embedder(rows)["batch"])
    assert f"has TensorFlow {tf.__version__}, and the others 0.0" in str(told)
    embedder._problem = None
    [told] = map(pickle.loads, embedder(rows)["batch"])
    assert isinstance(told, UserError) and told.arguments == ("images",)


def test_a_worker_that_failed_as_nobody_foresaw():
    text = "ray::read()\n  File ...\nzlib.error.ZError: broken\n\nTo change retry attempts, do"
    found = ray_engine._failed(RuntimeError(text))
    assert "a worker failed (zlib.error.ZError: broken). What is written is kept" in str(found)


def test_ray_that_is_not_installed(crops, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-ray\.txt"):
        small_jobs.run(crops, tmp_path / "out", engine="ray")
    assert not (tmp_path / "out").exists()


def test_a_cluster_of_another_version():
    def init(**_):
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.59.0")

    with pytest.raises(UserError, match=r"\(Version mismatch: .* Ray: 2\.59\.0\)\. All nodes"):
        ray_engine._join(types.SimpleNamespace(init=init))


def test_where_no_batch_comes_that_is_told(monkeypatch, capsys):
    monkeypatch.setattr(ray_engine, "_PATIENCE", 0.05)

    def slow():
        yield 1
        time.sleep(0.2)
        yield 2

    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}, {"Alive": False, "Resources": {}}]
    ray = types.SimpleNamespace(nodes=lambda: nodes, shutdown=lambda: None)
    assert list(ray_engine._told_where_stuck(ray, slow())) == [1, 2]
    assert "the cluster has 1 nodes with 4 CPUs" in capsys.readouterr().err
