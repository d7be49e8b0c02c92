"""The feature cache: right numbers, computed once, whatever happens meanwhile."""

import collections
import errno
import json
import os
import threading

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.data.reid_data import ReidData
from arn_tf.errors import UserError
from arn_tf.paper import feature_cache, train
from arn_tf.paper.feature_cache import cached_maps, maps_of_pictures
from arn_tf.paper.model import ARN
from datasets.files import locks
from tests.support import shared_folders, small_data


def tiny_model(**changes):
    return ARN(
        6,
        backbone="Tiny",
        backbone_weights="random",
        embedding_dim=8,
        hidden_width=8,
        input_size=(small_data.HEIGHT, small_data.WIDTH),
        **changes,
    )


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def split():
    return ReidData("market", **small_data.inputs()).split("train")


@pytest.fixture
def computed(monkeypatch, split):
    """Lists every (row, view) that goes through E_I; chunks of 8 pictures, batches of 4."""
    calls = []
    row_of = {image: row for row, image in enumerate(split.images)}

    def counting(model, images, views, batch_size):
        rows = [row_of.get(image, -1) for image in images]
        for maps in maps_of_pictures(model, images, views, batch_size):
            calls.extend((row, view) for row in rows[: len(maps)] for view in range(views))
            rows = rows[len(maps) :]
            yield maps

    monkeypatch.setattr(feature_cache, "maps_of_pictures", counting)
    monkeypatch.setattr(feature_cache, "_CHUNK", 8)
    monkeypatch.setattr(feature_cache, "_BATCH", 4)
    return calls


def files(folder, suffix=".npy"):
    return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))


def test_views_are_the_maps_of_the_picture_and_of_its_mirror_image(tmp_path, model, split):
    maps = cached_maps(model, split, 2, str(tmp_path), "title")
    assert (maps.dtype, maps.shape) == (np.float16, (24, 2, *model.map_shape))
    images = np.stack([decode(image, model.input_size).numpy() for image in split.images])
    for view, pictures in enumerate((images, np.flip(images, axis=2))):
        expected = model.feature_maps(pictures).numpy()
        np.testing.assert_allclose(maps[:, view], expected, rtol=1e-3, atol=1e-4)
    assert np.abs(maps[:, 0].astype(np.float32) - maps[:, 1]).max() > 0.01


def test_the_map_on_disk_cannot_be_changed(tmp_path, model, split):
    maps = cached_maps(model, split, 1, str(tmp_path), "title")
    assert isinstance(maps, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        maps[0] = 0


def test_a_second_run_computes_nothing(tmp_path, model, split, computed):
    first = cached_maps(model, split, 2, str(tmp_path), "title")
    assert sorted(computed) == [(row, view) for row in range(24) for view in (0, 1)]
    computed.clear()
    np.testing.assert_array_equal(cached_maps(model, split, 2, str(tmp_path), "title"), first)
    # Another model with the same E_I: all else is no part of the key.
    other = tiny_model(seed=5)
    other.encoder_i.set_weights(model.encoder_i.get_weights())
    np.testing.assert_array_equal(cached_maps(other, split, 2, str(tmp_path), "title"), first)
    assert not computed
    assert len(files(tmp_path)) == 1


def test_other_weights_data_or_views_get_a_file_of_their_own(tmp_path, model, split):
    other = tiny_model()
    other.encoder_i.set_weights(model.encoder_i.get_weights())
    kernel = other.encoder_i.trainable_variables[-2]
    kernel.assign(kernel.numpy() * 1.01)
    query = ReidData("market", **small_data.inputs()).split("query")
    maps = [
        cached_maps(*arguments, str(tmp_path), "title")
        for arguments in (
            (model, split, 2),
            (other, split, 2),
            (model, query, 2),
            (model, split, 1),
        )
    ]
    assert len(files(tmp_path)) == 4
    assert np.abs(maps[0].astype(np.float32) - maps[1]).max() > 1e-3
    assert [len(m) for m in maps] == [24, 24, 8, 24]


def test_batch_statistics_of_e_i_are_part_of_the_key(tmp_path, model, split):
    other = tiny_model()
    other.encoder_i.set_weights(model.encoder_i.get_weights())
    mean = next(v for v in other.encoder_i.variables if "moving_mean" in v.path)
    mean.assign(mean.numpy() + 1)
    for each in (model, other):
        cached_maps(each, split, 1, str(tmp_path), "title")
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("survived", [0, 7, 8, 13, 23])
def test_an_interrupted_cache_goes_on_where_it_stopped(
    tmp_path, model, split, computed, monkeypatch, survived
):
    expected = np.array(cached_maps(model, split, 2, str(tmp_path / "whole"), "title"))
    computed.clear()
    counting = feature_cache.maps_of_pictures

    def killed(*arguments):
        for maps in counting(*arguments):
            if len(computed) // 2 > survived:
                raise KeyboardInterrupt
            yield maps

    monkeypatch.setattr(feature_cache, "maps_of_pictures", killed)
    with pytest.raises(KeyboardInterrupt):
        cached_maps(model, split, 2, str(tmp_path / "cut"), "title")
    assert not files(tmp_path / "cut")
    done = survived // 8 * 8  # whole chunks
    computed.clear()
    monkeypatch.setattr(feature_cache, "maps_of_pictures", counting)
    found = cached_maps(model, split, 2, str(tmp_path / "cut"), "title")
    assert sorted(computed) == [(row, view) for row in range(done, 24) for view in (0, 1)]
    np.testing.assert_array_equal(found, expected)
    assert not files(tmp_path / "cut", ".partial")
    assert not files(tmp_path / "cut", ".journal")


def test_rows_beyond_the_journal_are_not_trusted(tmp_path, model, split, computed, monkeypatch):
    expected = np.array(cached_maps(model, split, 1, str(tmp_path / "whole"), "title"))
    monkeypatch.setattr(feature_cache.os, "replace", lambda *a: (_ for _ in ()).throw(KeyError()))
    with pytest.raises(KeyError):
        cached_maps(model, split, 1, str(tmp_path / "cut"), "title")
    monkeypatch.undo()
    [partial] = files(tmp_path / "cut", ".partial")
    maps = np.lib.format.open_memmap(partial, "r+")
    maps[8:] = -1
    maps.flush()
    partial.with_suffix(".journal").write_text(json.dumps({"rows": 8}))
    np.testing.assert_array_equal(
        cached_maps(model, split, 1, str(tmp_path / "cut"), "title"), expected
    )


def test_a_journal_without_its_file_is_not_believed(tmp_path, model, split, computed, monkeypatch):
    path = cached_maps(model, split, 1, str(tmp_path), "title").filename
    expected = np.array(np.load(path))
    os.remove(path)
    with open(f"{path}.journal", "w") as file:
        json.dump({"rows": 24}, file)

    def stopped(*_):
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, "maps_of_pictures", stopped)
        with pytest.raises(KeyError):
            cached_maps(model, split, 1, str(tmp_path), "title")
    np.testing.assert_array_equal(cached_maps(model, split, 1, str(tmp_path), "title"), expected)


def test_two_runs_that_want_the_same_maps_compute_them_once(tmp_path, model, split, computed):
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(cached_maps(model, split, 2, str(tmp_path), "title"))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collections.Counter(computed).most_common(1)[0][1] == 1
    np.testing.assert_array_equal(*found)


def test_room_is_checked_first(tmp_path, model, split, computed, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    needed = 24 * 2 * int(np.prod(model.map_shape)) * 2
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda _: usage(10**9, 0, needed - 1))
    with pytest.raises(UserError, match=r"cache_dir=.*needs .* GiB.*feature_cache=none"):
        cached_maps(model, split, 2, str(tmp_path), "title")
    assert not computed
    assert not files(tmp_path) and not files(tmp_path, ".partial")
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda _: usage(10**9, 0, 2 * needed))
    assert len(cached_maps(model, split, 2, str(tmp_path), "title")) == 24


def test_a_disk_that_others_fill_meanwhile(tmp_path, model, split, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(feature_cache.os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"cache_dir=.*No space left.*feature_cache=none"):
        cached_maps(model, split, 2, str(tmp_path), "title")


@pytest.mark.parametrize("size", [0, 5, 100, 0.5])
def test_a_truncated_file_is_named(tmp_path, model, split, size):
    path = cached_maps(model, split, 1, str(tmp_path), "title").filename
    os.truncate(path, int(os.path.getsize(path) * size) if isinstance(size, float) else size)
    with pytest.raises(UserError, match=r"is broken.*Delete it and run again") as caught:
        cached_maps(model, split, 1, str(tmp_path), "title")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.zeros((24, 1, 2, 2, 2), np.float16), np.zeros((24, 1, 4, 2, 24), np.float32)]
)
def test_a_file_of_another_shape_or_type_is_named(tmp_path, model, split, array):
    assert model.map_shape == (4, 2, 24)
    path = cached_maps(model, split, 1, str(tmp_path), "title").filename
    os.remove(path)
    np.save(path, array)
    with pytest.raises(UserError, match=r"expected float16 \(24, 1, 4, 2, 24\)") as caught:
        cached_maps(model, split, 1, str(tmp_path), "title")
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_written(tmp_path, model, split):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cache_dir=.*file/cache.*feature_cache=none"):
        cached_maps(model, split, 1, str(tmp_path / "file" / "cache"), "title")


@pytest.mark.parametrize("factor", [1e7, 1e-12, np.nan, np.inf])
def test_maps_beyond_float16_are_refused(tmp_path, model, split, monkeypatch, factor):
    monkeypatch.setattr(
        feature_cache,
        "maps_of_pictures",
        lambda *arguments: (maps * factor for maps in maps_of_pictures(*arguments)),
    )
    with pytest.raises(UserError, match=r"which float16 can't hold: pass feature_cache=none"):
        cached_maps(model, split, 1, str(tmp_path), "title")
    assert not files(tmp_path)


def test_training_does_not_notice_the_cache(tmp_path, monkeypatch):
    """Only the rounding of X to float16 shows; a wrong view or row shows a hundred times more."""
    images = small_data.short_run(tmp_path / "images", feature_cache="none")
    initial = small_data.weights(tmp_path / "images" / "initial.keras")

    def run_with(spoil):
        with monkeypatch.context() as patch:
            patch.setattr(
                train, "cached_maps", lambda *arguments: spoil(np.array(cached_maps(*arguments)))
            )
            return small_data.short_run(tmp_path / spoil.__name__)

    def right(maps):
        return maps

    def mirrored(maps):
        return maps[:, ::-1]

    def next_row(maps):
        return np.roll(maps, 1, axis=0)

    moved = small_data.distance(images, initial)
    differences = {
        spoil.__name__: small_data.distance(run_with(spoil), images) / moved
        for spoil in (right, mirrored, next_row)
    }
    assert 0 < differences["right"] < 0.01, differences
    assert min(differences["mirrored"], differences["next_row"]) > 0.5, differences


def test_a_complete_cache_may_be_read_only(tmp_path, model, split, computed):
    expected = np.array(cached_maps(model, split, 1, str(tmp_path), "title"))
    computed.clear()
    with shared_folders.read_only(tmp_path):
        found = cached_maps(model, split, 1, str(tmp_path), "title")
        np.testing.assert_array_equal(found, expected)
        del found
        with pytest.raises(feature_cache.UnwritableCacheError, match=r"cache_dir=.*feature_cache"):
            cached_maps(model, split, 2, str(tmp_path), "title")
    assert not computed


@pytest.mark.parametrize("disk", ["locks", "none"])
def test_who_waits_says_for_whom(tmp_path, model, split, computed, monkeypatch, capsys, disk):
    if disk == "none":
        shared_folders.without_locks(monkeypatch)
    path = cached_maps(model, split, 1, str(tmp_path), "title").filename
    kept = tmp_path / "kept"
    os.rename(path, kept)
    computed.clear()
    taken, waits = locks.held, threading.Event()

    def held(path, waiting):
        return taken(path, lambda holder: (waiting(holder), waits.set()))

    monkeypatch.setattr(locks, "held", held)
    found = []
    with taken(f"{path}.lock"):
        thread = threading.Thread(
            target=lambda: found.append(cached_maps(model, split, 1, str(tmp_path), "title"))
        )
        thread.start()
        assert waits.wait(60)
        os.rename(kept, path)
    thread.join()
    assert len(found) == 1 and not computed
    assert f"feature cache, title: waiting for process {os.getpid()} on" in capsys.readouterr().out


def test_room_is_taken_without_posix_fallocate(tmp_path, model, split, monkeypatch):
    expected = np.array(cached_maps(model, split, 1, str(tmp_path / "with"), "title"))
    monkeypatch.delattr(os, "posix_fallocate")
    opened, sizes = np.lib.format.open_memmap, []

    def mapped(path, *rest, **named):
        state = os.stat(path)
        sizes.append((state.st_size, state.st_blocks * 512 >= state.st_size))
        return opened(path, *rest, **named)

    monkeypatch.setattr(np.lib.format, "open_memmap", mapped)
    found = cached_maps(model, split, 1, str(tmp_path / "without"), "title")
    np.testing.assert_array_equal(found, expected)
    # Whole, without holes, before it is mapped: a page that finds no room kills the process.
    assert sizes[0] == (os.path.getsize(found.filename), True)
