"""Near and exact copies, against the comparison of all pairs."""

import numpy as np
import pytest

from arn_tf.inspection import duplicates

RANDOM = np.random.default_rng(3)


def flipped(value, count):
    for bit in RANDOM.choice(64, count, replace=False):
        value ^= np.uint64(1) << np.uint64(bit)
    return value


@pytest.mark.parametrize("bits", range(6))
def test_hashes_that_differ_in_three_bits_are_near(bits):
    hashes = RANDOM.integers(0, 2**64, 500, np.uint64)
    camera = RANDOM.integers(0, 3, 500)
    hashes = np.append(hashes, [flipped(each, bits) for each in hashes[:20]])
    camera = np.append(camera, (camera[:20] + 1) % 3)
    found = duplicates.near(hashes, camera, np.arange(520))
    pairs = np.bitwise_count(hashes[:, None] ^ hashes) <= 3
    pairs &= camera[:, None] != camera
    assert sorted(found.rows.tolist()) == np.flatnonzero(pairs.any(axis=1)).tolist()
    assert pairs[found.rows, found.others].all()
    assert len(found.rows) == (40 if bits <= 3 else 0)


def test_unknown_cameras_and_other_rows_do_not_count():
    hashes = np.full(4, 7, np.uint64)
    camera = np.array([-1, 0, -1, 1])
    assert not len(duplicates.near(hashes, camera, np.arange(3)).rows)
    assert sorted(duplicates.near(hashes, camera, np.arange(4)).rows.tolist()) == [1, 3]


def test_the_share_within_a_camera():
    found = duplicates.near(np.array([5, 5, 5, 9], np.uint64), np.array([0, 0, 1, 1]), np.arange(4))
    assert found.share_within == 0.5


def test_copies_lie_side_by_side_with_their_first():
    digest = np.array([8, 5, 8, 5, 1, 8], np.uint64)
    camera = np.array([0, 2, 1, 2, 0, -1])
    found = duplicates.copies(digest, camera, np.arange(6))
    assert found.rows.tolist() == [1, 3, 0, 2, 5]
    assert found.firsts.tolist() == [1, 1, 0, 0, 0]
    assert found.across.tolist() == [False, False, True, True, True]


def test_nothing_has_no_copies():
    none = np.zeros(0, np.int64)
    assert not len(duplicates.copies(np.zeros(3, np.uint64), np.zeros(3, int), none).rows)
    assert duplicates.near(np.zeros(3, np.uint64), np.zeros(3, int), none).share_within == 0
