"""Tables of pictures."""

import os

import pytest

from datasets.own_cameras import manifest


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "site.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_of_spreadsheets(tmp_path, separator, ending, encoding):
    lines = [
        ["File", " camera ", "time", "person_id", "tracklet"],
        ["a/1.jpg", "Lo\u0308bby", "1.5", "bob", "7"],
        [str(tmp_path.parent / "x.jpg"), "", "", "", ""],
        ["", "", "", "", ""],
    ]
    text = ending.join(separator.join(cells) for cells in lines) + ending
    rows, notes = manifest.read(write(tmp_path, text, encoding))
    assert rows == {
        str(tmp_path / "a" / "1.jpg"): ("L\u00f6bby", "7", "1.5", "bob"),
        str(tmp_path.parent / "x.jpg"): ("", "", "", ""),
    }
    assert notes == []


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", "\ufeffsep=;", '"sep=;"', "sep=;;;"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_line_of_excel_that_names_the_separator(tmp_path, first, ending):
    # More commas than semicolons: the line counts.
    text = ending.join([first, "file;camera;a,b,c,d", "a,1.jpg;lift;", ""])
    rows, notes = manifest.read(path := write(tmp_path, text))
    assert rows == {str(tmp_path / "a,1.jpg"): ("lift", "", "", "")}
    assert notes == [f"{path}: column a,b,c,d has no use here"]


def test_lines_below_that_line_keep_their_numbers(tmp_path):
    path = write(tmp_path, "sep=;\nfile;camera\na.jpg;1;2\n")
    with pytest.raises(manifest.ManifestError, match="line 3 has 3 columns"):
        manifest.read(path)


def test_quoted_names(tmp_path):
    path = write(tmp_path, 'file,camera\n"a,b.jpg","two\nlines"\n"say ""x"".jpg",c\n')
    rows, _ = manifest.read(path)
    assert [os.path.basename(file) for file in rows] == ["a,b.jpg", 'say "x".jpg']
    assert [values[0] for values in rows.values()] == ["two\nlines", "c"]


def test_relative_paths_are_those_of_the_table_and_one_file_is_one(tmp_path):
    path = write(tmp_path, f"file\nb/../a.jpg\n./a.jpg\n{tmp_path}/a.jpg\n")
    rows, notes = manifest.read(path)
    assert list(rows) == [str(tmp_path / "a.jpg")]
    assert notes == [f"{path}: 2 rows are there more than once and count once"]


def test_columns_without_a_use_are_told(tmp_path):
    path = write(tmp_path, "file,colour\na.jpg,red\n")
    assert manifest.read(path)[1] == [f"{path}: column colour has no use here"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its first line is empty, and has to name the columns: file and"),
        ("path,camera\na.jpg,1\n", "its first line is path, camera, and has to name the columns"),
        ("file,file\na.jpg,b.jpg\n", "column file is there more than once"),
        ("file,camera\n", "has no rows below its header"),
        ("file,camera\na.jpg\n", "line 2 has 1 columns and the first line 2"),
        ("file,camera\n,1\n", "line 2 names no file"),
        ("file,camera\na.jpg,1\na.jpg,2\n", "line 3 says other things of"),
        ('file\n"a.jpg\n', "no table (unexpected end of data); save it as CSV"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(manifest.ManifestError) as raised:
        manifest.read(path)
    assert str(raised.value).startswith(path) and words in str(raised.value)


def test_another_encoding(tmp_path):
    path = write(tmp_path, "file,camera\na.jpg,Löbby\n", "latin-1")
    with pytest.raises(manifest.ManifestError, match="is not UTF-8"):
        manifest.read(path)
