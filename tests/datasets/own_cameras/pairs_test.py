"""Tables of pairs of pictures."""

import errno

import pytest

from datasets.own_cameras import pairs, table
from tests.support import silent_disk


def write(folder, text, encoding="utf-8"):
    for name in ("1.jpg", "2.jpg", "3.jpg", "ü 4.jpg"):
        (folder / name).write_bytes(b"x")
    path = folder / "pairs.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def named(found):
    return [
        (found.files[a], found.files[b], same)
        for a, b, same in zip(found.a, found.b, found.same.tolist(), strict=True)
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_spreadsheets(tmp_path, separator, encoding):
    other = tmp_path.parent / f"{tmp_path.name}_other.jpg"
    other.write_bytes(b"x")
    lines = [
        ("Same", " A ", "b", "remark"),
        ("1", "1.jpg", "2.jpg", ""),
        ("No", "./x/../3.jpg", str(tmp_path / "1.jpg"), "?"),
        ("", "", "", ""),
        (" TRUE", "ü 4.jpg", str(other), ""),
    ]
    path = write(tmp_path, "\r\n".join(map(separator.join, lines)), encoding)
    found = pairs.read(path)
    assert found.root == str(tmp_path)
    assert named(found) == [
        ("1.jpg", "2.jpg", True),
        ("1.jpg", "3.jpg", False),
        ("ü 4.jpg", str(other), True),
    ]
    assert found.notes == (f"{path}: column remark has no use here",)


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "YES"])
@pytest.mark.parametrize("opposite", ["0", "false", "no"])
def test_words_for_the_same_person(tmp_path, text, opposite):
    path = write(tmp_path, f"a,b,same\n1.jpg,2.jpg,{text}\n1.jpg,3.jpg,{opposite}\n")
    assert pairs.read(path).same.tolist() == [True, False]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1.jpg,5.jpg,1", "line 3: no file {folder}/5.jpg"),
        ("1.jpg, ,1", "line 3: no file is named"),
        ("1.jpg,3.jpg,maybe", "line 3: same is 'maybe', and neither 1 nor 0"),
        ("1.jpg,3.jpg,", "line 3: same is '', and neither 1 nor 0"),
        ("1.jpg,./1.jpg,1", "line 3: a and b are one picture"),
        ("2.jpg,1.jpg,0", "line 3 contradicts line 2"),
        ("1.jpg,3.jpg", "line 3 has 2 columns and the first line 3"),
    ],
)
def test_wrong_rows_are_named_by_their_lines(tmp_path, row, words):
    path = write(tmp_path, f"a,b,same\n1.jpg,2.jpg,1\n{row}\n")
    with pytest.raises(table.TableError) as raised:
        pairs.read(path)
    assert str(raised.value).startswith(path) and words.format(folder=tmp_path) in str(raised.value)


def test_many_wrong_rows_are_counted(tmp_path):
    rows = "".join(f"1.jpg,{number}.png,1\n" for number in range(9))
    with pytest.raises(table.TableError, match=r"line 2: .*line 6: .*; and 4 more\. Mend"):
        pairs.read(write(tmp_path, "a,b,same\n" + rows))


def test_rows_that_are_there_again_count_once(tmp_path):
    path = write(tmp_path, "a,b,same\n1.jpg,2.jpg,1\n2.jpg,1.jpg,yes\n1.jpg,3.jpg,0\n")
    found = pairs.read(path)
    assert len(found.same) == 2
    assert found.notes == (f"{path}: rows that are there more than once count once: line 3",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1.jpg,2.jpg\n", "its first line is a, b, and has to name the columns: a, b, same$"),
        ("a,b,same\n", "has no rows below its header"),
        ("a,b,same,a\n", "column a is there more than once"),
        ('a,b,same\n"1.jpg,2.jpg,1\n', "no table .*save it as CSV"),
    ],
)
def test_what_is_no_table_of_pairs(tmp_path, text, words):
    with pytest.raises(table.TableError, match=words):
        pairs.read(write(tmp_path, text))


def test_a_drive_that_stops_is_said_so(tmp_path, monkeypatch):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,same\ndrive/1.jpg,drive/2.jpg,1\n")
    silent_disk.below(tmp_path / "drive", errno.ESTALE, monkeypatch)
    with pytest.raises(table.TableError, match=r"Stale file handle.*; check its disk or network"):
        pairs.read(str(path))
