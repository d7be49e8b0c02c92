"""The folder of a run: nothing half written, nothing mixed up."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run.folder import RunDir
from tests.support import shared_folders


class Saved:
    """A stand-in for a model: it writes, or fails half way."""

    def __init__(self, content, error=None):
        self._content = content
        self._error = error

    def save(self, path):
        with open(path, "w") as file:
            file.write(self._content)
        if self._error:
            raise self._error


@pytest.fixture
def run(tmp_path):
    run = RunDir(str(tmp_path / "run"))
    with run.claimed_for(Settings()):
        pass
    return run


def read(run, name):
    with open(run.file(name)) as file:
        return file.read()


def test_a_new_folder_keeps_its_settings(tmp_path):
    run = RunDir(str(tmp_path / "a" / "b"))
    settings = Settings(epochs=7, model_dir=run.path)
    with run.claimed_for(settings):
        assert recipes.settings_of(run) == settings
    assert os.path.isdir(run.file("checkpoints"))


def test_equal_settings_go_on(run):
    open(run.file("initial.keras"), "w").close()
    with run.claimed_for(Settings(replicas=3, feature_cache="none", cache_dir="x", data_dir="y")):
        pass
    assert recipes.settings_of(run) == Settings()


def test_other_settings_are_named(run):
    open(run.file("initial.keras"), "w").close()
    with (
        pytest.raises(UserError) as caught,
        run.claimed_for(Settings(epochs=60, margin=2.0, replicas=4)),
    ):
        pass
    text = str(caught.value)
    assert run.path in text
    assert "epochs: 50 there, 60 here" in text
    assert "margin: 1.0 there, 2.0 here" in text
    assert "replicas" not in text
    assert recipes.settings_of(run) == Settings()


def test_a_first_command_with_a_mistake_may_be_put_right(run):
    with run.claimed_for(Settings(batch_size=16)):
        assert recipes.settings_of(run).batch_size == 16


def test_one_process_at_a_time(run):
    code = (
        "import fcntl, sys\n"
        f"fcntl.flock(file := open({run.file('.lock')!r}, 'w'), fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"locked\n"
        with (
            pytest.raises(UserError, match="another process is training there"),
            run.claimed_for(Settings()),
        ):
            pass
        # The system frees the lock of a killed process.
        other.kill()
    with run.claimed_for(Settings()), open(run.file(".lock")) as file, pytest.raises(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "run").write_text("")
    with (
        pytest.raises(UserError, match=r"model_dir=.*run: .*(Not a directory|File exists)"),
        RunDir(str(tmp_path / "run")).claimed_for(Settings()),
    ):
        pass


def test_settings_that_cannot_be_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Settings, "save", full)
    with (
        pytest.raises(UserError, match=r"can't write .*settings.json.*No space left"),
        RunDir(str(tmp_path)).claimed_for(Settings()),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"no_setting": 1}'])
def test_a_foreign_settings_file(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(
        UserError, match=r"settings.json: not the settings of a run of arn_tf.train"
    ):
        recipes.settings_of(RunDir(str(tmp_path)))


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"no settings.json there; name the folder of a run"):
        recipes.settings_of(RunDir(str(tmp_path)))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_spoils_nothing(run, code):
    name = run.checkpoint("arn", 3)
    run.save_model(Saved("good"), name)
    with pytest.raises(UserError, match="The last checkpoint is kept: make room") as caught:
        run.save_model(Saved("ha", OSError(code, os.strerror(code))), name)
    assert os.strerror(code) in str(caught.value)
    assert run.file(name) in str(caught.value)
    assert read(run, name) == "good"
    assert os.listdir(run.file("checkpoints")) == ["arn-0003.keras"]


def test_what_a_killed_process_left_half_written_is_not_a_checkpoint(run):
    with pytest.raises(KeyboardInterrupt):
        run.save_model(Saved("ha", KeyboardInterrupt()), run.checkpoint("arn", 1))
    assert os.listdir(run.file("checkpoints")) == [".partial.keras"]
    assert run.newest_checkpoint("arn") == (None, None)
    run.save_model(Saved("good"), run.checkpoint("arn", 1))
    assert read(run, run.checkpoint("arn", 1)) == "good"


def test_the_newest_checkpoint_of_a_branch(run):
    for branch, epoch in (("arn", 9), ("arn", 10), ("pretrain", 40), ("arn", 2)):
        run.save_model(Saved(""), run.checkpoint(branch, epoch))
    assert run.newest_checkpoint("arn") == (10, run.checkpoint("arn", 10))
    assert run.newest_checkpoint("source_only") == (None, None)
    run.forget_checkpoints("arn", keep=10)
    run.forget_checkpoints("pretrain")
    assert os.listdir(run.file("checkpoints")) == ["arn-0010.keras"]


def test_models_come_back(run):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer=multi_optimizer("dense.*"))
    run.save_model(model, "model.keras")
    for a, b in zip(model.weights, run.load_model("model.keras").weights, strict=True):
        np.testing.assert_array_equal(a, b)


def multi_optimizer(pattern):
    default = keras.optimizers.SGD(0.0, name="no_group")
    groups = {f"(sequential.*/)?{pattern}": keras.optimizers.SGD(0.1, name="group")}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, groups))


def test_other_data_are_noticed(run):
    os.makedirs(run.path, exist_ok=True)
    # A first command may have named the wrong archive; nothing has come of it yet.
    run.keep_data({"source train": "x"})
    run.keep_data({"source train": "a"})
    with open(run.file("initial.keras"), "w"):
        pass
    run.keep_data({"source train": "a", "target train": "b"})
    with pytest.raises(UserError, match=r"pictures of target train are not those.*data_dir"):
        run.keep_data({"target train": "c"})


def test_a_missing_model_says_that_the_run_is_not_finished(run):
    with pytest.raises(UserError, match=r"model.keras is not there; finish the run"):
        run.load_model("model.keras")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.98])
def test_a_broken_model_is_named(run, keep):
    run.save_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "model.keras")
    size = os.path.getsize(run.file("model.keras"))
    os.truncate(run.file("model.keras"), int(size * keep) if isinstance(keep, float) else keep)
    with pytest.raises(UserError, match=r"model.keras: can't be loaded"):
        run.load_model("model.keras")


@pytest.mark.parametrize("name", [None, "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EINVAL"])
def test_who_trains_there_is_named_on_every_disk(run, monkeypatch, name):
    if name:
        shared_folders.without_locks(monkeypatch, name)
    words = rf"model_dir=.*: process {os.getpid()} on .* is training there"
    with run.claimed(), pytest.raises(UserError, match=words), run.claimed():
        pass
    with run.claimed():
        pass
    assert sorted(os.listdir(run.path)) == ["checkpoints", "settings.json"]


def test_a_folder_to_be_read_alone_is_refused_before_the_work(run):
    words = "model_dir=.* can't be written .*Name a folder of your own"
    with (
        shared_folders.read_only(run.path),
        pytest.raises(UserError, match=words),
        run.claimed(),
    ):
        pass


def test_a_reader_of_new_data_is_told_that_they_are_not_kept(run, capsys):
    run.keep_data({"source train": "a"})
    with open(run.file("initial.keras"), "w"):
        pass
    with shared_folders.read_only(run.path):
        run.keep_data({"target query": "b"})
        with pytest.raises(UserError, match="source train are not those"):
            run.keep_data({"source train": "b"})
    shown = capsys.readouterr().out
    assert "data.json can't be written" in shown
    assert "fingerprints of target query are not kept" in shown


@pytest.mark.parametrize("damage", [b"[]", b"null", b"\xff\xfe\x80", bytes(100), b'{"a": "b"'])
def test_damaged_fingerprints_are_named_with_the_way_out(run, damage):
    run.keep_data({"source train": "a"})
    with open(run.file("initial.keras"), "w"):
        pass
    with open(run.file("data.json"), "wb") as file:
        file.write(damage)
    with pytest.raises(UserError, match=r"data.json: .*Restore it .*, or remove it"):
        run.keep_data({"source train": "a"})


def test_two_that_record_data_at_once_lose_nothing(run):
    with open(run.file("initial.keras"), "w"):
        pass
    names = [f"{number}" for number in range(8)]
    threads = [threading.Thread(target=run.keep_data, args=({name: name},)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(read(run, "data.json"))) == names


def test_a_model_that_is_replaced_meanwhile(run):
    run.save_model(Saved("one"), "model.keras")
    with run.unchanged("model.keras") as digest:
        run.save_model(Saved("one"), "model.keras")
    assert digest == run.digest("model.keras")
    with (
        pytest.raises(UserError, match=r"model.keras was replaced meanwhile.*same command again"),
        run.unchanged("model.keras"),
    ):
        run.save_model(Saved("two"), "model.keras")
