"""Names as a terminal and a reader can take them."""

import pytest

from datasets.files.printable import printable, told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stra\u00dfe 7", "Stra\u00dfe 7"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202egpj", r"\u202egpj"),  # would be shown from right to left
        ("caf\udce9", r"caf\xe9"),
    ],
)
def test_what_would_steer_a_terminal_is_escaped(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lift", "lift"),
        ("car park", "car park"),
        ("lift ", "'lift '"),
        (" ", "' '"),
        ("\u00a0lift", r"'\xa0lift'"),
    ],
)
def test_blanks_at_the_ends_of_a_name_are_seen(name, expected):
    assert told(name) == expected
