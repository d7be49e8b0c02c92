"""The pictures of a table of pairs as a data set."""

import numpy as np
import pytest

from arn_tf.data.pair_pictures import PairPictures
from tests.support import own_pictures
from tests.support.user_errors import refused

FILES = ["gate/1.png", "gate/2.png", "yard/1.png", "query/3.png"]


def write(folder, rows, broken=()):
    files = {name: own_pictures.encoded(seed) for seed, name in enumerate(FILES)}
    own_pictures.write(folder, files | {name: b"\x89PNG\r\n\x1a\n" for name in broken})
    path = folder / "pairs.csv"
    path.write_text("a,b,same\n" + "".join(f"{row}\n" for row in rows))
    return str(path)


def test_pairs_are_rows_of_the_pictures(tmp_path):
    path = write(tmp_path, ["yard/1.png,gate/1.png,1", "query/3.png,gate/2.png,0"])
    data = PairPictures(path, "{camera}/{*}", False, own_pictures.SIZE)
    split = data.split("train")
    a, b, same = data.pairs()
    got = [{split.file_name[one], split.file_name[other]} for one, other in zip(a, b, strict=True)]
    assert got == [{"yard/1.png", "gate/1.png"}, {"query/3.png", "gate/2.png"}]
    assert same.tolist() == [True, False]
    assert [split.camera(row) for row in range(4)] == ["gate", "gate", "query", "yard"]
    for row, name in enumerate(split.file_name):
        expected = own_pictures.pixels(FILES.index(name))
        np.testing.assert_array_equal(split.pictures[row], expected)


def test_pairs_of_pictures_that_are_left_out_are_left_out(tmp_path):
    rows = ["gate/1.png,yard/1.png,1", "gate/2.png,yard/1.png,0", "gate/1.png,gate/2.png,0"]
    path = write(tmp_path, rows, broken=["yard/1.png"])
    with refused(r"--pairs pairs.csv: 1 of 3 pictures can't be used: .*yard/1.png"):
        PairPictures(path, "{camera}/{*}", False, own_pictures.SIZE).split("train")
    data = PairPictures(path, "{camera}/{*}", True, own_pictures.SIZE)
    data.split("train")
    a, b, same = data.pairs()
    assert (a.tolist(), b.tolist(), same.tolist()) == ([0], [1], [False])
    assert any("left out: 1 of 3 pictures" in note for note in data.notes)


@pytest.mark.parametrize(
    ("rows", "names", "words"),
    [
        (["gate/1.png,gate/9.png,1"], "", r"--pairs=.*: line 2: no file .*gate/9.png"),
        (["gate/1.png,yard/1.png,1"], "{camera}_{*}", "2 of 2 pictures are not like --names="),
    ],
)
def test_what_cannot_be_used(tmp_path, rows, names, words):
    with refused(words):
        PairPictures(write(tmp_path, rows), names, False, own_pictures.SIZE)


def test_pairs_may_join_the_folders_of_an_official_data_set(tmp_path):
    names = ["query/0001_c1s1_000001_00.png", "bounding_box_test/0001_c2s1_000009_00.png"]
    own_pictures.write(tmp_path, {name: own_pictures.encoded(s) for s, name in enumerate(names)})
    (tmp_path / "pairs.csv").write_text(f"a,b,same\n{names[0]},{names[1]},1\n")
    data = PairPictures(str(tmp_path / "pairs.csv"), "", False, own_pictures.SIZE)
    assert data.split("train").camera_id.tolist() == [2, 1]
    assert [each.tolist() for each in data.pairs()] == [[0], [1], [True]]
