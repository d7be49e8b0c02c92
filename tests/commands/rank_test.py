"""The command that ranks what embedding jobs wrote: end to end, and its flags."""

import json
import re
import sys

import numpy as np
import pytest

from arn_tf.ranking import protocol
from datasets.embedding_shards.read import EmbeddingShards, vectors
from tests.support import small_data, small_jobs, small_shards

PERSONS = {"amy": 1, "bob": 2, "eve": 3}
NAMES = "{person_id}_{camera}_{*}"


def crops(folder, cameras, persons):
    """Writes two pictures of each person by each camera; returns the folder."""
    folder.mkdir()
    for person in persons:
        for camera in cameras:
            for shot in (0, 1):
                data = small_data.picture(PERSONS[person], camera, shot)
                (folder / f"{person}_{camera}_{shot}.jpg").write_bytes(data)
    return folder


def embedded(folder):
    """The embeddings, persons and cameras of a job, from its shards."""
    batches = list(EmbeddingShards(folder).batches())
    names = [name for batch in batches for name in batch.column("file").to_pylist()]
    return (
        np.concatenate([vectors(batch) for batch in batches]),
        np.array([PERSONS[name.split("_")[0]] for name in names]),
        np.array([int(name.split("_")[1]) for name in names]),
    )


def answer(*flags):
    """Status, stdout and stderr of the command."""
    return small_data.finish([sys.executable, "-m", "arn_tf.rank", *flags])


def test_two_folders_embedded_and_ranked(tmp_path):
    query = crops(tmp_path / "query", (1,), ("amy", "bob"))
    gallery = crops(tmp_path / "gallery", (1, 4), PERSONS)
    for images in (query, gallery):
        small_jobs.run(images, tmp_path / "embedded" / images.name, names=NAMES)
    folders = [tmp_path / "embedded" / name for name in ("query", "gallery")]
    kept = tmp_path / "scores.json"
    status, out, err = answer(f"--query={folders[0]}", f"--gallery={folders[1]}", f"--json={kept}")
    assert status == 0, err
    assert "4 of 4 queries have a match on another camera" in out and "| mAP " in out

    (q, q_person, q_camera), (g, g_person, g_camera) = map(embedded, folders)
    expected = protocol.rank_gallery(q, g, q_person, g_person, q_camera, g_camera)
    [row] = json.loads(kept.read_text())["rows"].values()
    assert {name: row[name] for name in expected.to_json()} == expected.to_json()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"gallery": ""}, "--gallery: name a folder that arn_tf.embed wrote"),
        ({"query": "{folder}/nowhere"}, "--query={folder}/nowhere: .*no job.json there; name a"),
        ({"json": "{folder}"}, "--json={folder}: is a folder"),
        ({"json": "{folder}/none/scores.json"}, "--json=.*: can't be written"),
        ({}, "--query=.*the persons of 7 of 7 pictures aren't known.*--names=.* to arn_tf.embed"),
    ],
)
def test_mistakes_end_in_a_message(flags, message, tmp_path):
    small_shards.write(tmp_path, small_shards.job())
    given = {"query": str(tmp_path), "gallery": str(tmp_path)}
    given |= {name: value.format(folder=tmp_path) for name, value in flags.items()}
    status, _, err = answer(*(f"--{name}={value}" for name, value in given.items()))
    assert status == 2 and "Traceback" not in err
    message = message.replace("{folder}", str(tmp_path))
    assert re.search(message, err), err
