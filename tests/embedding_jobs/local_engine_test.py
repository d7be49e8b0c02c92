"""A job on one machine: the gallery's own numbers, in the order of the pictures, nothing lost."""

import errno
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from arn_tf.embedding_jobs import exported_model, plan
from arn_tf.errors import UserError
from datasets import camera_names
from datasets.embedding_shards import shard
from datasets.files import locks
from datasets.own_cameras.cameras import of_table
from serving.client import EmbeddingClient
from serving.gallery import fill
from serving.gallery.store import GalleryStore
from tests.support import small_data, small_export, small_jobs, small_server, small_strong


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return small_jobs.write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def uninterrupted(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert small_jobs.run(crops, folder) == {}
    return folder


def served(files, cameras, models):
    numbers = [camera_names.number_of(camera) for camera in cameras]
    with (
        small_server.serving(models / "arn") as server,
        EmbeddingClient(f"localhost:{server.port}", batch_size=5) as client,
    ):
        return client.embed_files(files, camera_id=numbers if any(cameras) else None).vectors


def test_the_numbers_are_those_of_the_gallery(crops, uninterrupted):
    found = small_jobs.table(uninterrupted)
    files, cameras = found.column("file").to_pylist(), found.column("camera").to_pylist()
    assert files == sorted(
        str(path.relative_to(crops)) for path in pathlib.Path(crops).rglob("*.jpg")
    )
    assert cameras == [file[0] for file in files]
    paths = [f"{crops}/{file}" for file in files]
    expected = served(paths, cameras, small_strong.models())
    # In other batches, of which the last bit depends.
    np.testing.assert_allclose(small_jobs.vectors(uninterrupted), expected, atol=2e-7)
    by_camera = tf.saved_model.load(str(small_strong.models() / "arn/1")).signatures["by_camera"]
    exact = [
        by_camera(
            image_bytes=tf.constant([pathlib.Path(path).read_bytes() for path in paths[k : k + 7]]),
            camera_id=tf.constant([int(camera) for camera in cameras[k : k + 7]], tf.int64),
        )["embedding"]
        for k in range(0, len(paths), 7)
    ]
    np.testing.assert_array_equal(small_jobs.vectors(uninterrupted), np.concatenate(exact))
    assert len(small_jobs.shards(uninterrupted)) == 4


def test_other_formats_and_a_table(tmp_path):
    """What is turned, of another format, without a camera; by a model that takes no cameras."""
    upright = Image.open(pathlib.Path(small_jobs.write_crops(tmp_path / "crops", 2), "1/0000.jpg"))
    turned = Image.Exif()
    turned[0x0112] = 6
    upright.save(tmp_path / "turned.jpg", exif=turned)
    upright.save(tmp_path / "other.webp")
    (tmp_path / "site.csv").write_text(
        "file,camera,tracklet,time,person_id\n"
        "turned.jpg,gate,t1,12.5,\nother.webp,,,,amy\ncrops/4/0001.jpg,yard,t1,13,\n"
    )
    models = small_server.models()
    output = tmp_path / "out"
    assert small_jobs.run(tmp_path / "site.csv", output, model=str(models / "arn")) == {}
    found = small_jobs.table(output)
    assert found.column("file").to_pylist() == ["crops/4/0001.jpg", "other.webp", "turned.jpg"]
    assert found.column("camera").to_pylist() == ["yard", None, "gate"]
    assert found.column("tracklet").to_pylist() == ["t1", None, "t1"]
    assert found.column("time").to_pylist() == [13, None, 12.5]
    assert found.column("person_id").to_pylist() == [None, "amy", None]
    files = [str(tmp_path / file) for file in found.column("file").to_pylist()]
    expected = served(files, [None] * 3, models)
    np.testing.assert_allclose(small_jobs.vectors(output), expected, atol=2e-7)
    # A gallery gets the same tracklets from the job as from the table itself.
    filled = fill.fill(str(tmp_path / "gal"), str(output), None)
    told = of_table(str(tmp_path / "site.csv"))
    with GalleryStore(str(tmp_path / "gal")) as store:
        known = {each.file: each for each in store.pictures()}
    assert filled.added == 3 and told.tracklets.keys() == {files[0], files[2]}
    assert {file: each.tracklet for file, each in known.items() if each.tracklet} == told.tracklets
    from serving.gallery.arguments import content_hash

    assert found.column("content_hash").to_pylist() == [content_hash(file) for file in files]


def test_half_the_bytes(crops, uninterrupted, tmp_path):
    small_jobs.run(crops, tmp_path, dtype="float16")
    assert small_jobs.vectors(tmp_path).dtype == np.float16
    np.testing.assert_array_equal(
        small_jobs.vectors(tmp_path), small_jobs.vectors(uninterrupted).astype(np.float16)
    )


def copied(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    for path in folder.iterdir():
        (output / path.name).write_bytes(path.read_bytes())
    return output


def test_only_what_is_missing_is_written(crops, uninterrupted, tmp_path, capsys, monkeypatch):
    output = copied(uninterrupted, tmp_path)
    (output / "shard-00001.parquet").unlink()
    whole = (output / "shard-00003.parquet").read_bytes()
    (output / "shard-00003.parquet").write_bytes(whole[: len(whole) // 2])
    (output / ".77-0f.new.shard-00001.parquet").write_bytes(b"half")
    written = []
    write = shard.write
    monkeypatch.setattr(shard, "write", lambda *args: (written.append(args[2]), write(*args)))
    small_jobs.run(crops, output)
    assert written == [1, 3]
    assert small_jobs.shards(output) == small_jobs.shards(uninterrupted)
    assert not list(output.glob(".*"))
    out = capsys.readouterr().out
    assert "shard-00003.parquet: cut off" in out and "it is written again" in out
    assert "14 pictures are done; going on with the other 10" in out
    small_jobs.run(crops, output)
    assert written == [1, 3] and "all shards are there" in capsys.readouterr().out


def test_whatever_is_asked_for_must_be_that_job(crops, uninterrupted, tmp_path):
    before = small_jobs.shards(uninterrupted)

    def refused(images=crops, **changes):
        with pytest.raises(UserError) as error:
            small_jobs.run(images, uninterrupted, **changes)
        assert small_jobs.shards(uninterrupted) == before
        return str(error.value)

    other, _ = small_export.export_model(
        small_strong.model(seed=5), tmp_path / "other", small_export.PICTURES
    )
    assert "holds embeddings of space" in (text := refused(model=other))
    assert "Give the model that it began with" in text
    assert "holds a job with dtype=float32; give that again" in refused(dtype="float16")
    assert "holds a job with shard_size=7; give that again" in refused(shard_size=8)
    assert "with other cameras" in refused(names="{*}/{camera}.jpg")
    elsewhere = small_jobs.write_crops(tmp_path / "elsewhere")
    assert f"holds a job of the pictures in {crops}" in refused(elsewhere)


def test_a_shard_of_another_model_is_refused(crops, uninterrupted, tmp_path):
    folder, _ = small_export.export_model(
        small_strong.model(seed=5), tmp_path / "other", small_export.PICTURES
    )
    small_jobs.run(crops, tmp_path / "theirs", model=folder)
    output = copied(uninterrupted, tmp_path)
    os.replace(tmp_path / "theirs/shard-00002.parquet", output / "shard-00002.parquet")
    with pytest.raises(UserError, match=r"shard-00002\.parquet: of embedding space .* elsewhere"):
        small_jobs.run(crops, output)
    os.remove(output / "job.json")
    with pytest.raises(UserError, match=r"shard-00000\.parquet is there, without job\.json"):
        small_jobs.run(crops, output)


def test_a_job_s_damaged_files(crops, uninterrupted, tmp_path):
    output = copied(uninterrupted, tmp_path)
    (output / "shard-00004.parquet").write_bytes((output / "shard-00000.parquet").read_bytes())
    with pytest.raises(UserError, match="the job has 4 shards; move it elsewhere"):
        small_jobs.run(crops, output)
    (output / "pictures.json").write_text("{")
    with pytest.raises(UserError, match=r"pictures\.json: missing or damaged"):
        small_jobs.run(crops, output)
    (output / "job.json").write_text("{")
    with pytest.raises(UserError, match=r"job\.json: damaged"):
        small_jobs.run(crops, output)


def test_a_job_goes_on_with_the_pictures_that_it_began_with(tmp_path, capsys):
    crops, output = small_jobs.write_crops(tmp_path / "crops"), tmp_path / "out"
    small_jobs.run(crops, output)
    before = small_jobs.shards(output)
    (output / "shard-00002.parquet").unlink()
    pathlib.Path(crops, "1/0000b.jpg").write_bytes(small_data.picture(1, 1, 99))
    small_jobs.run(crops, output)
    assert small_jobs.shards(output) == before
    assert "1 pictures were added (1/0000b.jpg) since the job began" in capsys.readouterr().out


def test_a_model_that_gives_nonsense_writes_nothing(crops, tmp_path, monkeypatch):
    embed = exported_model.ExportedModel.embed

    def nonsense(self, batch, images, failed):
        found = embed(self, batch, images, failed)
        if batch.first == 7:
            found.vectors[2] = np.nan
        return found

    monkeypatch.setattr(exported_model.ExportedModel, "embed", nonsense)
    with pytest.raises(
        UserError, match=r"model: .*\.jpg: the model gives an embedding that is zero"
    ):
        small_jobs.run(crops, tmp_path)
    assert "shard-00001.parquet" not in small_jobs.shards(tmp_path)


def test_two_jobs_in_one_folder(crops, tmp_path):
    refused = pytest.raises(UserError, match="is writing there")
    with locks.held(str(tmp_path / ".lock")), refused:
        small_jobs.run(crops, tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": "/nowhere"}, "images=/nowhere: neither a folder"),
        ({"names": "{nonsense}"}, "nonsense"),
        ({"model": "/nowhere"}, "model=/nowhere: can't be read .* arn_tf.export wrote"),
        ({"model": "/tmp"}, "model=/tmp: no version of a model there"),
        ({"output": "s3://bucket/out"}, "output=s3://bucket/out: name a folder of this machine"),
        ({"output": "/proc/out"}, "output=/proc/out: .* Name a folder with room"),
    ],
)
def test_arguments(crops, tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        small_jobs.run(**{"images": crops, "output": tmp_path / "out"} | changes)
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


@pytest.mark.parametrize(
    ("error", "is_of_output"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), False),
        (PermissionError(errno.EACCES, "Permission denied", "/elsewhere/file"), False),
        (PermissionError(errno.EACCES, "Permission denied", "{output}2/file"), False),
        (PermissionError(errno.EACCES, "Permission denied", "{output}/job.json"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
    ],
)
def test_whose_an_error_is(crops, tmp_path, monkeypatch, error, is_of_output):
    if error.filename:
        error.filename = error.filename.format(output=tmp_path)

    def fail(*_):
        raise error

    monkeypatch.setattr(plan, "opened", fail)
    with pytest.raises(UserError if is_of_output else type(error)) as raised:
        small_jobs.run(crops, tmp_path)
    assert str(raised.value).startswith("output=") == is_of_output


def test_the_newest_version_that_is_a_saved_model(tmp_path, capsys):
    for number, form in enumerate(["saved_model", "saved_model", "onnx"], 1):
        (tmp_path / f"{number}/assets.extra").mkdir(parents=True)
        (tmp_path / f"{number}/assets.extra/arn.json").write_text(json.dumps({"format": form}))
        if form == "saved_model":
            (tmp_path / f"{number}/saved_model.pb").write_bytes(b"")
    assert exported_model.version_folder(str(tmp_path)) == f"{tmp_path}/2"
    assert f"{tmp_path}/3 is an export for onnx; using {tmp_path}/2" in capsys.readouterr().out
    words = f"{tmp_path}/3 is an export for onnx; embed needs .* format=saved_model"
    with pytest.raises(UserError, match=words):
        exported_model.version_folder(f"{tmp_path}/3")
    for number in (1, 2):
        (tmp_path / f"{number}/saved_model.pb").unlink()
    with pytest.raises(UserError, match=words):
        exported_model.version_folder(str(tmp_path))
    (tmp_path / "3/assets.extra/arn.json").write_text("{")
    with pytest.raises(UserError, match=r"/3 has no saved_model\.pb; embed needs"):
        exported_model.version_folder(str(tmp_path))


def test_a_model_that_is_none(crops, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"can't be loaded .* export it again"):
        small_jobs.run(crops, tmp_path / "out", model=str(tmp_path))
