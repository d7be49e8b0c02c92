"""What both clients make of pictures that a server refuses, and of one that fails meanwhile."""

import grpc
import numpy as np
import pytest

from serving.errors import BadImageError, RefusedError, UnavailableError
from tests.support.scripted_server import BAD, REFUSAL, abort, delay, expected, sizes

pytest_plugins = ["tests.support.clients"]  # connect, server, write

REFUSED = abort(grpc.StatusCode.INVALID_ARGUMENT, REFUSAL)


def test_the_bad_picture_is_named(connect, server, write):
    paths = write(20, bad=[13])
    with connect(server.address) as client:
        with pytest.raises(BadImageError, match=REFUSAL[:27]) as caught:
            client.embed_files(paths)
        assert caught.value.file == paths[13]
        parts = client.stream_files(paths)
        assert next(parts).files == paths[:8]
        with pytest.raises(BadImageError):
            next(parts)


def test_bad_pictures_are_skipped_and_nothing_else(connect, server, write):
    paths = write(20, bad=[0, 9, 10, 19])
    (missing, empty) = (paths[3] + ".none", paths[3] + ".empty")
    open(empty, "w").close()
    mixed = [*paths[:5], missing, *paths[5:], empty]
    good = [path for path in paths if path not in [paths[row] for row in (0, 9, 10, 19)]]
    with connect(server.address) as client:
        found = client.embed_files(mixed, skip_bad_images=True)
    assert found.files == good
    np.testing.assert_array_equal(found.vectors, expected(good))
    skipped = [paths[0], paths[9], paths[10], paths[19], missing, empty]
    assert sorted(error.file for error in found.skipped) == sorted(skipped)
    assert all(isinstance(error, BadImageError) for error in found.skipped)


def test_a_refusal_that_another_picture_caused_costs_nothing(connect, server, write):
    """A server that batches answers a bad picture's status to requests of others, too."""
    paths = write(6)
    # The first request, and then one of its pictures alone, meet somebody else's bad picture.
    server.faults = [REFUSED, None, REFUSED]
    with connect(server.address, in_flight=1) as client:
        found = client.embed_files(paths)
    np.testing.assert_array_equal(found.vectors, expected(paths))
    assert sizes(server) == [6, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("skip", [False, True])
def test_a_server_that_sickens_while_pictures_are_judged_is_asked_no_more(
    connect, server, write, skip
):
    server.faults = [REFUSED] + [abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too busy")] * 20
    with connect(server.address) as client, pytest.raises(UnavailableError, match="too busy"):
        client.embed_files(write(8), skip)
    assert sizes(server) == [8, 1]


@pytest.mark.parametrize(("bad", "asked"), [(1, [4, 1, 1, 1]), (0, [4, 1, 1, 1])])
def test_the_first_bad_picture_is_enough_once_another_was_accepted(
    connect, server, write, bad, asked
):
    """A bad picture is asked for twice; what comes after the verdict isn't asked for at all."""
    paths = write(4, bad=[bad, 3])
    with connect(server.address) as client, pytest.raises(BadImageError) as caught:
        client.embed_files(paths)
    assert caught.value.file == paths[bad]
    assert sizes(server) == asked


def test_a_picture_is_judged_with_no_other_request_under_way(connect, server, write):
    paths = write(8, bad=[0])
    server.faults = [None, delay(0.3)]
    alone = []
    watched = server._answer

    def answer(request, context):
        if any(BAD in each for each in request.inputs["image_bytes"].string_val):
            alone.append(server.at_once)
        return watched(request, context)

    server._answer = answer
    with connect(server.address, batch_size=4) as client:
        client.embed_files(paths, skip_bad_images=True)
    assert len(alone) == 3 and alone[1:] == [1, 1]


@pytest.mark.parametrize("skip", [False, True])
def test_all_refused_in_the_same_words_is_reported(connect, server, write, skip):
    paths = write(10, bad=range(10))
    with (
        connect(server.address) as client,
        pytest.raises(RefusedError, match=f"all {10 if skip else 8} pictures .* same words") as e,
    ):
        client.embed_files(paths, skip_bad_images=skip)
    assert paths[0] in str(e.value) and REFUSAL[:-1] in str(e.value)


def test_one_picture_alone_may_be_the_bad_one(connect, server, write):
    paths = write(1, bad=[0])
    with connect(server.address) as client:
        with pytest.raises(BadImageError):
            client.embed_files(paths)
        found = client.embed_files(paths, skip_bad_images=True)
    assert (found.vectors.shape, found.files, found.space) == ((0, 4), [], "")
    assert [error.file for error in found.skipped] == paths
