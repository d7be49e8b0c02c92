"""Several sources as one: pictures by row, identities that are never one another's."""

import numpy as np

from arn_tf.data import joined
from arn_tf.data.split import Split


def split(person_id: list[int]) -> Split:
    count = len(person_id)
    return Split(
        np.array([b""] * count, object),
        np.array(person_id, np.int64),
        np.ones(count, np.int64),
        [f"{row}.jpg" for row in range(count)],
    )


def test_person_7_of_one_source_is_not_person_7_of_another():
    labels, counts = joined.labels([split([7, 3, 7]), split([7, 7]), split([1, 7, 9])])
    np.testing.assert_array_equal(labels, [1, 0, 1, 2, 2, 3, 4, 5])
    assert labels.dtype == np.int32
    assert counts == (2, 1, 3)


def test_labels_of_one_source_are_its_own():
    one = split([9, 2, 9, 4])
    labels, counts = joined.labels([one])
    np.testing.assert_array_equal(labels, one.labels()[0])
    assert labels.dtype == one.labels()[0].dtype
    assert counts == (3,)


def test_pictures_are_those_of_one_array():
    whole = np.random.default_rng(0).integers(0, 256, (12, 3, 2, 3), np.uint8)
    parts = [whole[:5], whole[5:6], whole[6:]]
    found = joined.joined(parts)
    assert (found.shape, len(found)) == (whole.shape, 12)
    rows = np.array([11, 0, 5, 5, 4, 6, 0, 10])
    np.testing.assert_array_equal(found[rows], whole[rows])
    assert found[rows].dtype == np.uint8
    np.testing.assert_array_equal(found[np.array([2, 1])], whole[[2, 1]])


def test_one_array_is_left_as_it_is():
    one = np.zeros((2, 3, 2, 3), np.uint8)
    assert joined.joined([one]) is one
