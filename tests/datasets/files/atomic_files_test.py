"""Files that appear whole, whoever else writes them."""

import os
import stat
import threading

import pytest

from datasets.files import atomic_files
from datasets.files.atomic_files import replace_text, replaced
from tests.support import shared_folders


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "x.json"
    with replaced(path) as one, replaced(path) as other:
        for name, text in ((one, "one"), (other, "other")):
            with open(name, "w") as file:
                file.write(text)
    assert path.read_text() == "one"  # The last to end, and whole.
    assert os.listdir(tmp_path) == ["x.json"]


def test_many_writers_leave_a_whole_file(tmp_path):
    path, failures = tmp_path / "x.json", []

    def write(letter):
        try:
            for _ in range(20):
                replace_text(path, letter * 1000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert path.read_text() in {letter * 1000 for letter in "abcd"}
    assert os.listdir(tmp_path) == ["x.json"]


def test_others_may_read_it_as_any_new_file(tmp_path):
    replace_text(tmp_path / "x", "text")
    (tmp_path / "y").touch()
    modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in "xy"}
    assert len(modes) == 1


def test_a_name_that_ends_alike(tmp_path):
    with replaced(tmp_path / "x.png") as partial:
        assert partial.endswith(".png")
        open(partial, "w").close()


def test_what_fails_leaves_what_was_there(tmp_path):
    replace_text(tmp_path / "x", "before")
    with pytest.raises(KeyError), replaced(tmp_path / "x") as partial:
        open(partial, "w").close()
        raise KeyError
    assert (tmp_path / "x").read_text() == "before"
    assert os.listdir(tmp_path) == ["x"]


def test_a_folder_to_be_read_alone_refuses(tmp_path):
    atomic_files.check_writable(str(tmp_path))
    assert os.listdir(tmp_path) == []
    with shared_folders.read_only(tmp_path), pytest.raises(OSError) as caught:
        atomic_files.check_writable(str(tmp_path))
    assert atomic_files.is_refusal(caught.value)
    with pytest.raises(OSError) as caught:
        atomic_files.check_writable(str(tmp_path / "none"))
    assert not atomic_files.is_refusal(caught.value)
