"""The study of adaptation: what each row trains on, a small round of each, and its table."""

import re

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.run.folder import RunDir
from arn_tf.strong import clustering, target_clusters
from studies import adaptation, adaptation_table
from studies.places import place_of
from tests.support import small_domains, small_strong
from tests.support.small_people import filmed


def split_of(person: np.ndarray, camera: np.ndarray) -> Split:
    names = [f"{at}.jpg" for at in range(len(person))]
    return Split(np.empty(len(person), object), person + 1, camera, names)


def test_what_each_row_trains_on():
    embeddings, person, camera = filmed(60, look=1.2)
    split = split_of(person, camera)
    together, _ = clustering.cluster(embeddings, camera)
    joined = target_clusters.find(embeddings, camera)
    assert joined.joined
    expected = {
        "clusters": together,
        "entropy": together,
        "average": together,
        "gem": together,
        "proxies": together,
        "joined": joined.labels,
        "both": joined.labels,
        "labels": person,
    }
    assert set(expected) == set(adaptation.ROWS)
    for row, labels in expected.items():
        np.testing.assert_array_equal(adaptation.labels_of(row, embeddings, split), labels)


@pytest.mark.parametrize("row", ["clusters", "joined"])
def test_clusters_that_are_no_use_end_a_row(row):
    embeddings, person, camera = filmed(3)
    assert adaptation.labels_of(row, embeddings, split_of(person, camera)) is None


def test_a_round_trains_a_copy_and_is_a_function_of_the_seed():
    rng = np.random.default_rng(0)
    person, camera = np.tile(np.arange(12), 8), np.repeat([0, 1], 48)
    colours = rng.integers(40, 216, (12, 1, 1, 3))
    pictures = np.clip(
        colours[person] + rng.normal(0, 12, (96, *small_domains.SIZE, 3)), 0, 255
    ).astype(np.uint8)
    begun = small_strong.model(num_identities=0, cameras=[0, 1])
    before = begun.encoder_i.get_weights()
    settings = small_strong.settings("runs/none", source="none", self_training_steps=2)
    found = []
    for _ in range(2):
        split = split_of(person, camera)
        training = adaptation.RowRounds(begun, settings, "labels", split, pictures)
        assert training.train(1)
        found.append(training.shown)
    for left, right in zip(before, begun.encoder_i.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    one, other = (each.encoder_i.get_weights() for each in found)
    assert any(np.any(left != right) for left, right in zip(before, one, strict=True))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_the_table_by_hand():
    def figures(row, seed, mean_ap, rank, seconds=(), after=()):
        return {
            "run": "pku",
            "row": row,
            "seed": seed,
            "mean_ap": mean_ap,
            "rank-1": rank,
            "cpu_seconds": list(seconds),
            "after_rounds": list(after),
        }

    text = adaptation_table.report(
        [
            figures("calibrated", 0, [0.5, 0.5], [1.0, 0.0]),
            figures("clusters", 0, [0.5, 0.5], [1.0, 0.0]),
            figures("both", 0, [0.6, 0.6], [1.0, 1.0], [60.0, 120.0], [0.5, 0.6]),
            figures("both", 1, [0.8, 0.8], [1.0, 1.0], [240.0], [0.8]),
        ]
    )
    assert "| calibrated | 1 | 50.0 | 50.0 |  |  |  |" in text
    assert (
        "| both | 2 | 100.0 ± 0.0 | 70.0 ± 14.1 | +20.0 [+20.0, +20.0] | 3.0 | 65.0, 60.0 |" in text
    )
    assert "| clusters | 1 | 50.0 | 50.0 | +0.0 [+0.0, +0.0] | no round |  |" in text
    assert text.index("| clusters") < text.index("| both")


def test_figures_of_runs_of_one_name_are_kept_apart(tmp_path):
    runs = [RunDir(str(tmp_path / seed / "strong")) for seed in ("seed_0", "seed_1")]
    found = {place_of("out", run, *facts) for run in runs for facts in ((), ("query", 3))}
    assert len(found) == 4
    assert all(re.fullmatch(r"out/strong_[0-9a-f]{8}", place) for place in found)
    assert place_of("out", runs[0]) == place_of("out", RunDir(f"{runs[0].path}/"))
