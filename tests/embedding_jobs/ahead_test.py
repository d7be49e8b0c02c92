"""Items made ahead of their use."""

import threading

import pytest

from arn_tf.embedding_jobs.ahead import ahead


def test_they_come_in_order_and_no_further_ahead_than_said():
    made, used = [], []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    for item in ahead(items(), 3):
        used.append(item)
        assert len(made) <= len(used) + 4
    assert used == list(range(20))


def test_they_are_made_in_a_thread_of_their_own():
    threads = list(ahead((threading.current_thread() for _ in range(3)), 2))
    assert len(set(threads)) == 1 and threads[0] is not threading.current_thread()


def test_an_error_comes_when_it_is_its_turn():
    def items():
        yield from (1, 2)
        raise OSError("no more")

    found = ahead(items(), 3)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        next(found)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    found = ahead(iter(range(100)), 5)
    assert next(found) == 0 and threading.active_count() == before + 1
    found.close()
    assert threading.active_count() == before
