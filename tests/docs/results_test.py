"""The numbers of docs/results.json, from which the charts are drawn, are those of the tables."""

import json
import re

import pytest

from tests.support import documentation
from tests.support.places import ROOT

PAGES = documentation.pages()
RESULTS = json.loads((ROOT / "docs" / "results.json").read_text())
NUMBER = re.compile(r"[-+]?\d*\.?\d+")


def tables(page: str) -> list[tuple[str, list[str], dict[str, list[str]]]]:
    """(the heading above, columns, {row: cells}) of each Markdown table of a page."""
    found, heading, lines = [], "", []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([re.sub(r"[*`]", "", cell).strip() for cell in line.split("|")[1:-1]])
        elif lines:
            body = {name: cells for name, *cells in lines[2:]}
            found.append((heading, lines[0][1:], body))
            lines = []
        if line.startswith("#"):
            heading = line
    return found


def numbers(cell: object) -> list[float]:
    """The numbers of a cell of results.json, in the order in which a table shows them."""
    if isinstance(cell, dict):
        return list(cell.values())
    return [] if cell is None else [cell]


@pytest.mark.parametrize("name", RESULTS)
def test_every_number_is_in_its_table(name):
    expected = RESULTS[name]
    [rows] = [
        rows
        for heading, columns, rows in tables(PAGES[expected["page"]])
        if expected["heading"] in heading and columns == expected["columns"]
    ]
    assert list(rows) == list(expected["rows"])
    for row, cells in expected["rows"].items():
        shown = [[float(text) for text in NUMBER.findall(cell)] for cell in rows[row]]
        assert shown == [numbers(cell) for cell in cells], row


def test_the_readmes_table_repeats_them():
    rows = [rows for _, columns, rows in tables(PAGES["README.md"]) if "mAP" in columns]
    assert len(rows) == 1
    for title, cells in rows[0].items():
        recipe, row = title.split(": ", 1)
        shown = [[float(text) for text in NUMBER.findall(cell)] for cell in cells]
        expected = []
        for direction in ("market_to_duke", "duke_to_market"):
            table = RESULTS[f"{recipe}_{direction}"]
            for column in ("rank-1", "mAP"):
                expected.append(numbers(table["rows"][row][table["columns"].index(column)]))
        assert shown == expected, title


def test_every_picture_is_small_and_shown():
    shown = set(re.findall(r"\((?:docs/)?images/([\w.]+)\)", "\n".join(PAGES.values())))
    files = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert set(files) == shown
    assert max(files.values()) < 150_000
