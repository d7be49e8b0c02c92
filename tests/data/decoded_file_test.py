"""Decoded pictures in one file."""

import hashlib
import json
import os
import shutil
import threading

import numpy as np
import pytest

from arn_tf.data import decoded_file, decoding, picture_files
from arn_tf.data.images import decode
from arn_tf.data.picture_files import PictureFiles
from tests.support import own_pictures
from tests.support.shared_folders import read_only
from tests.support.user_errors import refused

SIZE = (8, 4)
COUNT = 7


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 2)
    names = {f"{n}.png": own_pictures.encoded(n) for n in range(COUNT)}
    root = own_pictures.write(tmp_path / "crops", names)
    return PictureFiles(root, list(names), picture_files.stamps(root, list(names)))


def expected(rows):
    return np.stack([decode(own_pictures.encoded(row), SIZE).numpy() for row in rows])


def hashes(rows):
    return [hashlib.blake2b(own_pictures.encoded(row), digest_size=16).digest() for row in rows]


def test_they_are_those_of_the_one_decoder(files, tmp_path, capsys):
    path = str(tmp_path / "run" / "x")
    found = decoded_file.decoded(files, SIZE, path, "digest", "title")
    np.testing.assert_array_equal(found.pictures, expected(range(COUNT)))
    assert found.bad == {}
    assert sorted(os.listdir(tmp_path / "run")) == ["x.hashes", "x.json", "x.uint8"]
    assert os.path.getsize(path + ".uint8") == COUNT * 8 * 4 * 3
    assert "decoded pictures: 0.00 GiB in" in capsys.readouterr().out


def test_it_is_used_again_and_made_anew_for_another_list(files, tmp_path, monkeypatch):
    path = str(tmp_path / "x")
    decoded_file.decoded(files, SIZE, path, "one", "title")
    with monkeypatch.context() as patch:
        patch.setattr(decoded_file, "_write", None)  # not called
        decoded_file.decoded(files, SIZE, path, "one", "title")
    part = files.subset(np.array([4, 1]))
    found = decoded_file.decoded(part, SIZE, path, "two", "title")
    np.testing.assert_array_equal(found.pictures, expected([4, 1]))


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_stopped_at_any_chunk_it_goes_on(files, tmp_path, monkeypatch, chunks):
    path = str(tmp_path / "x")
    made = decoding._decoder

    def stopping(image_size):
        decode_rows, left = made(image_size), [chunks]

        def rows(*arguments):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return decode_rows(*arguments)

        return rows

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_decoder", stopping)
        with pytest.raises(KeyboardInterrupt):
            decoded_file.decoded(files, SIZE, path, "digest", "title")
    # What was done isn't done again.
    for row in range(2 * chunks):
        os.remove(files.path(row))
    found = decoded_file.decoded(files, SIZE, path, "digest", "title")
    np.testing.assert_array_equal(found.pictures, expected(range(COUNT)))
    assert [each.tobytes() for each in found.hashes] == hashes(range(COUNT))


def test_bad_ones_are_named_and_take_no_room(files, tmp_path):
    for row in (0, 3, 6):
        with open(files.path(row), "r+b") as file:
            file.truncate(40)
    path = str(tmp_path / "x")
    for _ in range(2):
        found = decoded_file.decoded(files, SIZE, path, "digest", "title")
        np.testing.assert_array_equal(found.pictures, expected([1, 2, 4, 5]))
        assert [each.tobytes() for each in found.hashes] == hashes([1, 2, 4, 5])
        assert {row: os.path.basename(text.split(":")[0]) for row, text in found.bad.items()} == {
            0: "0.png",
            3: "3.png",
            6: "6.png",
        }


def test_no_room(files, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with refused("7 decoded pictures need 0.00 GiB.* Name a --model_dir with room"):
        decoded_file.decoded(files, SIZE, str(tmp_path / "x"), "digest", "title")
    assert not os.path.exists(tmp_path / "x.uint8.partial")


def test_a_folder_that_can_not_be_written(files, tmp_path):
    (tmp_path / "file").write_text("")
    with refused("Name a --model_dir with room"):
        decoded_file.decoded(files, SIZE, str(tmp_path / "file" / "x"), "digest", "title")


def test_from_a_folder_to_be_read_alone_they_are_decoded_in_memory(files, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "pictures" / "x"
    with read_only(tmp_path / "run"):
        found = decoded_file.decoded(files, SIZE, str(path), "digest", "title")
    np.testing.assert_array_equal(found.pictures, expected(range(COUNT)))
    assert f"{path}.uint8 can't be written (" in capsys.readouterr().out


def test_two_at_once(files, tmp_path, monkeypatch, capsys):
    path, made, calls = str(tmp_path / "x"), decoding._decoder, []
    begun, go_on = threading.Event(), threading.Event()

    def slow(image_size):
        calls.append(image_size)
        begun.set()
        assert go_on.wait(60)
        return made(image_size)

    monkeypatch.setattr(decoding, "_decoder", slow)
    found = {}

    def decode_them(name):
        found[name] = decoded_file.decoded(files, SIZE, path, "digest", name)

    both = [threading.Thread(target=decode_them, args=[name]) for name in ("first", "second")]
    both[0].start()
    assert begun.wait(60)
    both[1].start()
    while both[1].is_alive() and "waiting for" not in capsys.readouterr().out and len(calls) < 2:
        both[1].join(0.05)
    go_on.set()
    for each in both:
        each.join()
    for name in ("first", "second"):
        np.testing.assert_array_equal(found[name].pictures, expected(range(COUNT)))
    assert len(calls) == 1
    assert sorted(os.listdir(tmp_path)) == ["crops", "x.hashes", "x.json", "x.uint8"]


def test_stopped_between_its_files_it_is_not_taken_for_the_earlier_list(
    files, tmp_path, monkeypatch
):
    path, write = str(tmp_path / "x"), decoded_file.replace_text
    decoded_file.decoded(files.subset(np.array([4, 1])), SIZE, path, "one", "title")

    def stopping(place, text):
        if place == path + ".json":
            raise KeyboardInterrupt
        write(place, text)

    with monkeypatch.context() as patch:
        patch.setattr(decoded_file, "replace_text", stopping)
        with pytest.raises(KeyboardInterrupt):
            decoded_file.decoded(files, SIZE, path, "two", "title")
    found = decoded_file.decoded(files.subset(np.array([4, 1])), SIZE, path, "one", "title")
    np.testing.assert_array_equal(found.pictures, expected([4, 1]))


def test_a_file_of_before_hashes_were_kept_is_still_used(files, tmp_path, monkeypatch):
    path = str(tmp_path / "x")
    decoded_file.decoded(files, SIZE, path, "digest", "title")
    os.remove(path + ".hashes")
    with open(path + ".json", encoding="utf-8") as file:
        facts = json.load(file)
    del facts["hashed"]
    (tmp_path / "x.json").write_text(json.dumps(facts))
    monkeypatch.setattr(decoded_file, "_write", None)  # not called
    found = decoded_file.decoded(files, SIZE, path, "digest", "title")
    np.testing.assert_array_equal(found.pictures, expected(range(COUNT)))
    assert found.hashes is None


def test_in_memory_too(files):
    with open(files.path(3), "r+b") as file:
        file.truncate(40)
    found = decoded_file.in_memory(files, SIZE)
    good = [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(found.pictures, expected(good))
    assert [each.tobytes() for each in found.hashes] == hashes(good)
    assert list(found.bad) == [3]
