"""Both clients against a scripted server: what they send and what they give."""

import time

import numpy as np
import pytest

from serving.client import EmbeddingClient, picture_files
from serving.errors import BadImageError, BadInputError
from tests.support.scripted_server import (
    SPACE,
    delay,
    embedding,
    expected,
    picture,
    sizes,
    until_cancelled,
)

pytest_plugins = ["tests.support.clients"]  # connect, server, write


def test_describes_the_model_that_is_served_now(connect, server):
    server.version = 7
    with connect(server.address) as client:
        description = client.describe()
        assert (description.name, description.version) == ("arn", 7)
        assert (description.embedding_dim, description.image_size) == (4, (6, 5))
        client.embed_encoded([picture("x")])
        assert server.requests[0].model_spec.version.value == 7
        server.version = 8
        assert client.describe().version == 8


def test_each_job_keeps_to_the_version_it_began_on(connect, server, write):
    server._find = lambda *_: None  # it has both versions
    paths = write(8)
    with connect(server.address, batch_size=2) as client:
        old = iter(client.stream_files(paths))
        versions = [next(old).version]
        server.version = 2
        assert client.embed_files(paths).version == 2
        assert client.embed_images(np.zeros((1, 6, 5, 3), np.uint8)).version == 2
        assert versions + [part.version for part in old] == [1, 1, 1, 1]


def test_says_which_versions_there_are(connect, server):
    server.version = 3
    with connect(server.address) as client:
        found = [(each.version, each.state, each.error) for each in client.versions()]
    assert found == [(3, "AVAILABLE", ""), (2, "END", "unloaded")]


def test_embeddings_of_files_in_order_whatever_comes_first(connect, server, write):
    paths = write(29)
    server.faults = [delay(0.3), None, delay(0.1), None]
    with connect(server.address) as client:
        found = client.embed_files(paths)
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, expected(paths))
    assert (found.files, found.space, found.version) == (paths, SPACE, 1)
    assert found.skipped == []
    assert sorted(sizes(server)) == [5, 8, 8, 8]


def test_only_so_many_requests_are_under_way(connect, server, write):
    paths = write(12)
    for in_flight in (1, 3):
        server.faults, server.most_at_once = [delay(0.1)] * 6, 0
        with connect(server.address, batch_size=2, in_flight=in_flight) as client:
            client.embed_files(paths)
        assert server.most_at_once == in_flight


def test_requests_are_bounded_in_bytes(connect, server, write):
    paths = write(5, size=1_500_000)
    with connect(server.address) as client:
        np.testing.assert_array_equal(client.embed_files(paths).vectors, expected(paths))
    assert sorted(sizes(server)) == [1, 2, 2]
    server.requests.clear()
    with connect(server.address) as client:
        client.embed_encoded([picture(1), picture(2, 5 * 2**20), picture(3)])
    assert sizes(server) == [1, 1, 1]


def test_files_are_read_as_they_are_sent(connect, server, write, monkeypatch):
    paths, opened, read = write(40), [], picture_files.read
    monkeypatch.setattr(picture_files, "read", lambda path: (opened.append(path), read(path))[1])
    with connect(server.address, batch_size=2, in_flight=3) as client:
        parts = iter(client.stream_files(paths))
        assert next(parts).files == paths[:2]
        # Three requests, and the picture that didn't fit into the third.
        assert opened == paths[:7]
        assert [name for part in parts for name in part.files] == paths[2:]


def test_a_stream_that_is_left_early_cancels_its_requests(server, write):
    answer = server._answer

    def hold_all_but_the_first(request, context):
        if picture(0) not in request.inputs["image_bytes"].string_val:
            until_cancelled(context)
        return answer(request, context)

    server._answer = hold_all_but_the_first
    with EmbeddingClient(server.address, batch_size=2) as client:
        parts = client.stream_files(write(20))
        assert len(next(parts).files) == 2
        for left in (3, 0):
            begin = time.monotonic()
            while server.at_once != left:
                assert time.monotonic() - begin < 10
                time.sleep(0.01)
            parts.close()


def test_without_skipping_all_files_are_checked_before_the_first_is_sent(connect, server, write):
    paths = write(20)
    with connect(server.address) as client:
        with pytest.raises(BadImageError, match=r"no.jpg: can't be read: No such file"):
            client.embed_files([*paths, "no.jpg"])
        with pytest.raises(BadImageError, match=r"image 20: .* text"):
            client.embed_encoded([picture(row) for row in range(20)] + [b"plain words, no more"])
    assert not server.requests


def test_what_was_sent_before_a_file_vanished_is_given_out(connect, server, write, monkeypatch):
    paths = write(9)
    monkeypatch.setattr(picture_files, "check", lambda path: None)
    (vanished, given) = (paths[5] + ".gone", [])
    with connect(server.address, batch_size=2) as client, pytest.raises(BadImageError) as caught:
        for part in client.stream_files([*paths[:5], vanished, *paths[5:]]):
            given += part.files
    assert caught.value.file == vanished
    assert given == paths[:5]


def test_pictures_in_memory(connect, server):
    data = [picture(row) for row in range(3)]
    with connect(server.address) as client:
        found = client.embed_encoded([data[0], bytearray(data[1]), memoryview(data[2])])
        named = client.embed_encoded(data, names=["a", "b", "c"])
    np.testing.assert_array_equal(found.vectors, np.stack([embedding(each) for each in data]))
    assert found.files == ["image 0", "image 1", "image 2"]
    assert named.files == ["a", "b", "c"]


def test_nothing_to_embed(connect, server):
    with connect(server.address) as client:
        for found in (client.embed_encoded([]), client.embed_files([])):
            assert (found.vectors.shape, found.vectors.dtype) == ((0, 4), np.float32)
            assert (found.files, found.space, found.version) == ([], "", 1)
        assert list(client.stream_files([])) == []
    assert not server.requests


def test_images_as_arrays(connect, server):
    images = np.random.default_rng(0).integers(0, 256, (19, 6, 5, 3), np.uint8)
    with connect(server.address) as client:
        found = client.embed_images(images)
    np.testing.assert_array_equal(
        found.vectors, np.stack([embedding(image.tobytes()) for image in images])
    )
    assert found.files[::9] == ["image 0", "image 9", "image 18"]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 6, 5, 3), np.float32),
        np.zeros((2, 5, 6, 3), np.uint8),
        np.zeros((6, 5, 3), np.uint8),
        np.zeros((2, 6, 5, 1), np.uint8),
        np.zeros((0, 6, 5, 3), np.uint8),
        [],
        "crop.jpg",
    ],
)
def test_other_arrays_are_not_sent(connect, server, images):
    with connect(server.address) as client, pytest.raises(BadInputError, match=r"\[N, 6, 5, 3\]"):
        client.embed_images(images)
    assert not server.requests


def test_arguments_that_are_no_lists_of_pictures(connect, server):
    with connect(server.address) as client:
        for call, text in (
            (lambda: client.embed_files("crop.jpg"), "one path"),
            (lambda: client.embed_files([3]), "list of str"),
            (lambda: client.embed_encoded(picture("x")), "not one"),
            (lambda: client.embed_encoded(["crop.jpg"]), "picture 0 is a str"),
            (lambda: client.embed_encoded([picture("x")], names=[]), "0 names for 1"),
        ):
            with pytest.raises(BadInputError, match=text):
                call()
