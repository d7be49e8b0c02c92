"""A new version takes over, a broken one doesn't, and a request ends on the version it began on."""

import os
import shutil
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
)

from arn_tf.data.images import decode
from arn_tf.served import warmup
from serving.client import EmbeddingClient
from serving.errors import BadInputError, ModelSwitchedError, ServingError
from serving.server.version_watcher import Versions
from tests.support import small_server


@pytest.fixture(scope="module")
def two_models(tmp_path_factory):
    """A folder that holds versions 1 and 2 of other weights, and their fingerprints."""
    folder = tmp_path_factory.mktemp("two")
    return folder / "arn", [small_server.publish(folder, seed) for seed in (1, 2)]


@pytest.fixture
def model_dir(two_models, tmp_path):
    """Version 1 alone."""
    shutil.copytree(two_models[0] / "1", tmp_path / "arn" / "1")
    return tmp_path / "arn"


def publish(two_models, model_dir, name="2"):
    shutil.copytree(two_models[0] / "2", model_dir / ".partial")
    os.rename(model_dir / ".partial", model_dir / name)


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def states(port):
    stub = model_service_pb2_grpc.ModelServiceStub(grpc.insecure_channel(f"localhost:{port}"))
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "arn"
    names = get_model_status_pb2.ModelVersionStatus.State
    found = stub.GetModelStatus(message, timeout=10).model_version_status
    return [(each.version, names.Name(each.state), each.status.error_message) for each in found]


def space(port):
    try:
        with EmbeddingClient(f"localhost:{port}") as client:
            return client.embed_encoded(small_server.PICTURES[:2]).space
    except ModelSwitchedError:
        return space(port)


def test_a_new_version_takes_over(two_models, model_dir):
    spaces = two_models[1]
    with small_server.serving(model_dir) as server:
        assert space(server.port) == spaces[0] != spaces[1]
        paths = []
        for row, data in enumerate(small_server.PICTURES[:2]):
            paths.append(model_dir.parent / f"{row}.png")
            paths[row].write_bytes(data)
        with EmbeddingClient(f"localhost:{server.port}", batch_size=1, in_flight=1) as client:
            parts = client.stream_files(paths)
            assert next(parts).version == 1
            publish(two_models, model_dir)
            until(lambda: space(server.port) == spaces[1])
            assert [each[:2] for each in states(server.port)] == [(2, "AVAILABLE"), (1, "END")]
            # A job that began on version 1 must not go on with version 2.
            with pytest.raises(ModelSwitchedError):
                next(parts)
            # The next one is of version 2 from the start.
            found = client.embed_encoded(small_server.PICTURES[:2])
            assert (found.version, found.space) == (2, spaces[1])


def test_taking_the_new_version_away_brings_the_old_one_back(two_models, model_dir):
    publish(two_models, model_dir)
    with small_server.serving(model_dir) as server:
        assert space(server.port) == two_models[1][1]
        shutil.rmtree(model_dir / "2")
        until(lambda: space(server.port) == two_models[1][0])
        assert [each[:2] for each in states(server.port)] == [(2, "END"), (1, "AVAILABLE")]


def spoil(model_dir, how):
    version = model_dir / "2"
    if how == "weights":
        path = version / "variables" / "variables.data-00000-of-00001"
        path.write_bytes(path.read_bytes()[:1000])
    elif how == "graph":
        (version / "saved_model.pb").write_bytes(b"no graph")
    elif how == "warm-up":
        (version / warmup.FILE).write_bytes(b"no records, no records")
    else:
        shutil.rmtree(version)
        version.mkdir()


@pytest.mark.parametrize("how", ["weights", "graph", "warm-up", "empty"])
def test_a_broken_version_is_refused_while_the_old_one_goes_on(
    two_models, model_dir, how, tmp_path, capsys
):
    with small_server.serving(model_dir) as server:
        server.versions.stop()  # polled by hand below
        publish(two_models, model_dir)
        spoil(model_dir, how)
        with pytest.raises(ServingError, match="arn/2: can't be loaded"):
            server.versions.poll()
        assert space(server.port) == two_models[1][0]
        (broken, good) = states(server.port)
        assert broken[:2] == (2, "END") and "can't be loaded" in broken[2]
        assert good == (1, "AVAILABLE", "")
        # Not tried again and again; but once it is whole, it is served.
        server.versions.poll()
        shutil.rmtree(model_dir / "2")
        server.versions.poll()
        publish(two_models, model_dir)
        server.versions.poll()
        assert space(server.port) == two_models[1][1]
    server.versions.stop()


def test_requests_go_on_while_versions_change(two_models, model_dir):
    """Every answer is of one version or of the other, none is lost."""
    expected = {}
    for seed, name in zip((1, 2), two_models[1], strict=True):
        images = [decode(each, small_server.SIZE).numpy() for each in small_server.PICTURES[:4]]
        expected[name] = small_server.model(seed).embed(np.stack(images))
    seen = []
    with small_server.serving(model_dir) as server:
        publish(two_models, model_dir)
        end = time.monotonic() + 30
        while seen[-3:] != [two_models[1][1]] * 3:
            assert time.monotonic() < end
            try:
                with EmbeddingClient(f"localhost:{server.port}") as client:
                    found = client.embed_encoded(small_server.PICTURES[:4])
            except ModelSwitchedError:
                continue
            np.testing.assert_allclose(found.vectors, expected[found.space], atol=1e-5)
            seen.append(found.space)
    assert set(seen) == set(two_models[1])


def test_folders_that_are_no_versions_are_passed_over(two_models, model_dir):
    for name in (".partial-9", "9x", "latest"):
        (model_dir / name).mkdir()
    publish(two_models, model_dir, "0002")
    assert Versions(model_dir).get().version == 2


def test_a_file_with_a_number_for_a_name_is_passed_over(two_models, model_dir):
    (model_dir / "20261122").write_text("")
    versions = Versions(model_dir)
    assert versions.get().version == 1
    publish(two_models, model_dir)
    versions.poll()
    assert versions.get().version == 2


def test_beside_a_broken_newest_version_an_older_one_starts(two_models, model_dir, capsys):
    publish(two_models, model_dir, "0002")
    path = model_dir / "0002" / "saved_model.pb"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    versions = Versions(model_dir)
    assert versions.get().version == 1
    assert "version 2 is refused" in capsys.readouterr().err
    versions.poll()
    assert versions.get().version == 1
    # Mended in place, it is tried again.
    path.write_bytes(whole)
    versions.poll()
    assert versions.get().version == 2


def test_the_watch_goes_on_whatever_a_folder_does(two_models, model_dir, monkeypatch):
    with small_server.serving(model_dir) as server:
        real, calls = Versions.poll, []

        def failing_once(self):
            calls.append(self)
            if len(calls) == 1:
                raise IndexError("a folder went away between two looks")
            real(self)

        monkeypatch.setattr(Versions, "poll", failing_once)
        until(lambda: calls)
        publish(two_models, model_dir)
        until(lambda: server.versions.get().version == 2)


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_nothing_to_serve(name, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=f"model_dir=.*{name}"):
        Versions(tmp_path / name)
