"""What is asked of Milvus so that removed rows go, and what is told where they don't.

Milvus Lite can't erase; a server's answers are played here.
"""

import dataclasses
import re

import pytest

from serving.gallery import command_line, place
from serving.gallery.records import Selection
from tests.support.gallery_shell import run
from tests.support.small_gallery import BINDING, picture, unit_vectors

pytest.importorskip("milvus_lite")
milvus_erasure = pytest.importorskip("serving.gallery.milvus_erasure")


@dataclasses.dataclass
class Segment:
    num_rows: int
    state_name: str = "Flushed"
    level_name: str = "L1"


class Server:
    """Answers with each state, then with each list of segments; the last ones stay."""

    lite = False
    address = "http://host:19530/people"

    def __init__(self, states, segments):
        self.states, self.segments, self.asked = states, segments, []

    def call(self, method, **options):
        self.asked.append((method, options))
        return _next(self.segments) if method == "list_persistent_segments" else 7

    def compaction_state(self, job):
        assert job == 7
        return _next(self.states)


def _next(answers):
    return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time that passes by waiting alone."""
    now = [0.0]
    monkeypatch.setattr(milvus_erasure.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        milvus_erasure.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    return now


def test_removals_are_applied_then_rewritten_then_counted(clock):
    segments = [
        [Segment(10), Segment(3, level_name="L0")],
        [Segment(10), Segment(7), Segment(10, "Dropped")],
        [Segment(7), Segment(10, "Dropped")],
    ]
    server = Server(["Executing", "Completed"], segments)
    assert milvus_erasure.erase(server, 7) is None
    compacted = [options for method, options in server.asked if method == "compact"]
    assert compacted == [{"is_l0": True}, {"is_l0": False}]
    assert clock[0] == 3  # once for the job, twice for the segments


@pytest.mark.parametrize(
    "states, segments, what",
    [
        (["Executing"], [[Segment(7)]], "its compaction is Executing.*asks again"),
        (["Completed"], [[Segment(9)]], "still hold 2 removed rows"),
        (["Completed"], [[Segment(7), Segment(1, level_name="L0")]], "still hold 1 removed"),
    ],
)
def test_what_is_not_erased_in_time_is_told(clock, states, segments, what):
    assert re.search(what, milvus_erasure.erase(Server(states, segments), 7))
    assert 600 <= clock[0] <= 602


def test_milvus_lite_says_that_it_cannot_and_info_keeps_saying_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place.create("gal.db", BINDING, [picture(0), picture(1)], unit_vectors(2)).close()
    assert "traces" not in run(capsys, "info", "--gallery=gal.db")
    command_line.main(["remove", "--gallery=gal.db", "--file=/crops/00000.jpg"])
    said = capsys.readouterr()
    assert "1 pictures removed" in said.out
    assert "Milvus Lite can't be asked to erase" in said.err
    assert "traces" in run(capsys, "info", "--gallery=gal.db")
    with place.open_gallery("gal.db") as store:
        assert store.count(Selection()) == 1


def test_the_mark_goes_only_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = ["not yet", None]
    monkeypatch.setattr(milvus_erasure, "erase", lambda *_: answers.pop(0))
    with place.create("gal.db", BINDING, [picture(0), picture(1)], unit_vectors(2)) as store:
        assert store.finish_erasure() is None and len(answers) == 2
        store.remove(Selection(files=(picture(0).file,)))
        assert store.finish_erasure() == "not yet" and store.unerased()
        assert store.finish_erasure() is None and not store.unerased()
