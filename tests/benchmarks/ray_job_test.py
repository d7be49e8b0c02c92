"""What a job costs to start and for each picture, by hand."""

import math

import pytest

from benchmarks.ray_job import Cost, _report


def test_costs_of_two_jobs():
    cost = Cost.of(1000, 12.0, 19.0)
    assert (cost.start, cost.picture) == pytest.approx((5.0, 0.007))


def test_how_large_a_job_hides_the_start():
    one, ray = Cost(2.0, 0.004), Cost(20.0, 0.0044)
    assert ray.share_of(one, 5000) == pytest.approx((2 + 20) / (20 + 22))
    # 2 + .004 N = .85 (20 + .0044 N)
    enough = ray.reaches(one, 0.85)
    assert enough == pytest.approx(15 / 0.00026)
    assert ray.share_of(one, enough) == pytest.approx(0.85)
    assert math.isinf(Cost(20.0, 0.005).reaches(one, 0.85))


def test_the_table():
    clock = {"one process": [Cost(2.0, 0.004)], "3 nodes of Ray": [Cost(20.0, 0.0044)]}
    cpu = {"one process": [Cost(3.0, 0.008)], "3 nodes of Ray": [Cost(40.0, 0.009)]}
    found = _report(clock, cpu, 2500)
    assert [list(row) for row in found.rows] == [
        ["one process", pytest.approx(250), 2.0, pytest.approx(8), 3.0],
        ["3 nodes of Ray", pytest.approx(1 / 0.0044), 20.0, pytest.approx(9), 40.0],
    ]
    assert "0.52 of one process's pictures/s; 0.85 from 57,692 pictures on" in found.notes[1]
    [target] = found.targets
    assert target.measured == pytest.approx(0.004 / 0.0044)
