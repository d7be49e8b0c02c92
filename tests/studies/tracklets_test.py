"""The study of tracklets: what it simulates, how it reads clusters, and its table."""

import csv
import math

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.strong import tracklets as units
from studies import tracklets


def test_tracklets_are_equal_parts_of_up_to_eight():
    person = np.array([7] * 17 + [3, 3, -1, 0, 7])
    camera = np.array([1] * 17 + [1, 2, 1, 1, 2])
    found = tracklets.simulated(person, camera)
    # Persons by number, then cameras: 3 in both, 7 in parts of six, six and five.
    np.testing.assert_array_equal(found, [2] * 6 + [3] * 6 + [4] * 5 + [0, 1, -1, -1, 5])


def test_times_overlap_ten_others_on_average():
    tracklet = np.append(np.repeat(np.arange(800), 3), -1)
    camera = np.append(np.repeat([1, 2], 1200), 1)
    time = tracklets.simulated_times(tracklet, camera)
    np.testing.assert_array_equal(np.isnan(time), tracklet < 0)
    first = time[:-1:3]
    np.testing.assert_allclose(time[:-1].reshape(-1, 3), first[:, np.newaxis] + [0, 5, 10])
    pairs = units.forbidden_pairs(units.units(camera, tracklet, time))
    assert 2 * pairs / 800 == pytest.approx(10, abs=0.5)
    np.testing.assert_array_equal(time, tracklets.simulated_times(tracklet, camera))


def test_figures_of_clusters_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, -1, -1])
    person = np.array([5, 5, 5, 6, 6, 6, 6, 9])
    camera = np.array([1, 1, 2, 2, 1, 2, 2, 1])
    # Pairs of two cameras in clusters: 4 and 1, of which 2 and 1 are right. Of persons: 2 and 3.
    expected = {"used": 6 / 8, "purity": 5 / 6, "precision": 3 / 5, "recall": 3 / 5}
    assert tracklets.cluster_figures(labels, person, camera) == pytest.approx(expected)
    found = tracklets.cluster_figures(np.full(8, -1), person, np.ones(8, int))
    assert found["used"] == 0 and all(math.isnan(found[key]) for key in found if key != "used")


def test_the_table_of_a_row(tmp_path):
    split = Split(
        images=np.empty(3, object),
        person_id=np.array([4, 4, -1]),
        camera_id=np.array([1, 2**40, 1]),
        file_name=["a.jpg", "b/c.jpg", "d, e.jpg"],
        camera_names={2**40: "hall"},
    )
    found = {}
    for row in tracklets.ROWS:
        tracklets.write_table(str(tmp_path / "table.csv"), split, "/pictures", row)
        with open(tmp_path / "table.csv", newline="") as file:
            found[row] = list(csv.DictReader(file))
    files = [line["file"] for line in found["without"]]
    assert files == ["/pictures/a.jpg", "/pictures/b/c.jpg", "/pictures/d, e.jpg"]
    for lines in found.values():
        assert [line["camera"] for line in lines] == ["1", "hall", "1"]
        assert [line["person_id"] for line in lines] == ["4", "4", ""]
    columns = {
        row: [[line[key] != "" for line in lines] for key in ("tracklet", "time")]
        for row, lines in found.items()
    }
    assert columns == {
        "without": [[False] * 3, [False] * 3],
        "tracklets": [[True, True, False], [False] * 3],
        "times": [[True, True, False]] * 2,
    }


def figures(row: str, run: str, precision: list[float], used: float) -> dict:
    clusters = {"used": used, "purity": 0.5, "precision": 0.25, "recall": 0.125}
    return {
        "row": row,
        "run": run,
        "kept": "round_2.keras",
        "average_precision": precision,
        "clusters": clusters,
    }


def test_the_report_compares_rows_on_the_runs_that_all_have():
    found = [
        figures("without", "a", [0.2, 0.4], 0.6),
        figures("tracklets", "a", [0.3, 0.5], 0.4),
        figures("without", "b", [0.4, 0.6], 0.4),
        figures("tracklets", "b", [0.5, 0.7], 0.2),
        figures("without", "c", [0.0, 0.0], 0.0),
    ]
    lines = tracklets.report(found).splitlines()
    assert lines[0].startswith("2 source stages") and "SIMULATED" in lines[0]
    assert lines[-2:] == [
        "| without | 40.0 ± 14.1 |  | 0.500 | 0.500 | 0.250 | 0.125 | round_2, round_2 |",
        "| tracklets | 50.0 ± 14.1 | +10.0 [+10.0, +10.0] | 0.300 | 0.500 | 0.250 | 0.125 | "
        "round_2, round_2 |",
    ]
    assert "no source stage" in tracklets.report(found[:1] + found[3:4])
