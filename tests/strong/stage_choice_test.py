"""The choice among checkpoints: the better one, the later of equals, never a collapsed one."""

import json
import os
import pathlib
import re

import numpy as np
import pytest

from arn_tf.run.folder import RunDir
from arn_tf.strong import clustering, stage_choice

WIDTH = 64


def pictures(
    noise: float, seed: int, count: int = 20, cameras: int = 2, each: int = 3
) -> np.ndarray:
    """Returns one checkpoint's view of the same persons, float32 [count * cameras * each, 64].

    Its noise is its own, as that of another network is.
    """
    centres = np.random.default_rng(99).standard_normal((count, WIDTH))
    centres = np.repeat(centres, cameras * each, axis=0)
    spread = noise * np.random.default_rng(seed).standard_normal(centres.shape)
    return (centres + spread).astype(np.float32)


CAMERA = np.tile([1, 1, 1, 2, 2, 2], 20)
COLLAPSED = 1 + 1e-4 * np.random.default_rng(0).standard_normal((120, WIDTH))


class TestChoose:
    def test_takes_the_last_of_a_run_that_gets_better(self):
        candidates = [pictures(noise, seed) for seed, noise in enumerate((1.6, 1.3, 1.0, 0.8))]
        choice = stage_choice.choose(candidates, CAMERA)
        assert choice.index == 3
        assert choice.scores == tuple(sorted(choice.scores))
        assert choice.reason.startswith("stage 4 of 4")

    def test_goes_back_where_the_last_got_worse(self):
        candidates = [pictures(noise, seed) for seed, noise in enumerate((1.3, 0.8, 0.9, 1.8))]
        choice = stage_choice.choose(candidates, CAMERA)
        assert choice.index in (1, 2)
        assert choice.scores[3] == min(choice.scores)
        assert "stage 4 is behind stage" in choice.reason

    def test_takes_the_clear_view_in_either_order(self):
        rng = np.random.default_rng(0)
        persons, cameras = np.repeat(np.arange(20), 8), np.tile([1, 2], 80)
        clear = rng.normal(size=(20, 32))[persons] + 0.2 * rng.normal(size=(160, 32))
        noisy = clear + 0.8 * rng.normal(size=(160, 32))
        for embeddings, best in (((noisy, clear), 1), ((clear, noisy), 0)):
            found = stage_choice.choose(embeddings, cameras)
            assert found.index == best
            assert len(found.scores) == 2
            assert np.argmax(found.scores) == best
            assert "consensus" in found.reason

    def test_takes_the_later_of_equals(self):
        candidates = [pictures(1.0, seed) for seed in range(3)]
        assert stage_choice.choose(candidates, CAMERA).index == 2
        assert stage_choice.choose([candidates[0]] * 2, CAMERA).index == 1

    def test_a_small_lead_is_none_however_sure(self, monkeypatch):
        """The same noise in both, a little more of it later: the earlier one leads surely."""
        for more, kept in ((1.01, 1), (1.1, 0)):
            candidates = [pictures(noise, 0, count=60) for noise in (1.5, 1.5 * more)]
            choice = stage_choice.choose(candidates, np.tile(CAMERA, 3))
            lead = choice.scores[0] - choice.scores[1]
            assert (0.001 < lead < 0.01) if kept else (lead > 0.01)
            assert choice.index == kept
            with monkeypatch.context() as patch:
                patch.setattr(stage_choice, "_LEAST_LEAD", 0)
                assert stage_choice.choose(candidates, np.tile(CAMERA, 3)).index == 0

    def test_a_lead_within_a_standard_error_is_none(self, monkeypatch):
        """2.5 points in each cluster are a lead; 30 and -25 by turns may be chance."""
        labels = np.repeat(np.arange(4), 5)
        candidates = [pictures(1.0, seed) for seed in range(2)]
        for lead, kept in (([0.025] * 4, 0), ([0.3, -0.25, 0.3, -0.25], 1)):
            precision = np.array([0.5 + np.repeat(lead, 5), np.full(20, 0.5)])
            monkeypatch.setattr(
                stage_choice, "consensus", lambda *_, found=precision: (labels, found, None)
            )
            choice = stage_choice.choose(candidates, CAMERA)
            assert choice.scores == pytest.approx((0.525, 0.5))
            assert choice.index == kept

    def test_the_standard_error_is_over_clusters_by_hand(self):
        # Of cluster 3 the deviations from the mean, .15, sum to .1, of cluster 7 to -.1.
        difference, labels = np.array([0.1, 0.2, 0.3, 0.0]), np.array([3, 7, 3, 7])
        lead, error = stage_choice._paired(difference, labels)
        assert lead == pytest.approx(0.15)
        assert error == pytest.approx(np.sqrt(2 / 1 * (0.1**2 + 0.1**2)) / 4)

    def test_never_takes_a_collapsed_one(self):
        candidates = [pictures(1.0, 0), pictures(0.9, 1), COLLAPSED]
        choice = stage_choice.choose(candidates, CAMERA)
        assert choice.index == 1
        assert np.isnan(choice.scores[2])
        assert not np.isnan(choice.scores[:2]).any()
        assert "stage 3 is out: the embeddings are nearly the same" in choice.reason
        choice = stage_choice.choose([pictures(1.0, 0), COLLAPSED], CAMERA)
        assert choice.index == 0
        assert "the only one" in choice.reason

    def test_never_takes_one_with_an_alarm_of_its_own(self):
        candidates = [pictures(1.0, 0), pictures(0.9, 1), pictures(0.8, 2)]
        choice = stage_choice.choose(candidates, CAMERA, [None, None, "all are alike"])
        assert choice.index == 1
        assert "stage 3 is out: all are alike" in choice.reason

    @pytest.mark.parametrize(
        "value, words", [(0, "of 2 of 120|of 120 of 120"), (np.nan, "not finite")]
    )
    def test_zeros_and_numbers_that_are_none(self, value, words):
        broken = pictures(0.9, 1)
        broken[7:9] = value
        for candidate in (broken, np.full_like(broken, value)):
            choice = stage_choice.choose([pictures(1.0, 0), candidate], CAMERA)
            assert choice.index == 0
            assert re.search(words, choice.reason)

    def test_all_collapsed(self):
        choice = stage_choice.choose([COLLAPSED, COLLAPSED], CAMERA)
        assert choice.index == 0
        assert "every checkpoint is collapsed" in choice.reason

    def test_one_candidate(self):
        assert stage_choice.choose([pictures(1.0, 0)], CAMERA).index == 0

    def test_says_when_there_is_nothing_to_compare_by(self):
        few = [pictures(0.5, seed, count=4, each=15) for seed in range(2)]
        choice = stage_choice.choose(few, np.tile(np.repeat([1, 2], 15), 4))
        assert choice.index == 1
        assert "nothing to compare by: 4 usable clusters" in choice.reason
        assert np.isnan(choice.scores).all()

    def test_is_the_same_again(self):
        candidates = [pictures(1.1, seed) for seed in range(3)]
        first, second = (stage_choice.choose(candidates, CAMERA) for _ in range(2))
        assert first == second

    def test_refuses(self):
        with pytest.raises(ValueError, match="no candidates"):
            stage_choice.choose([], CAMERA)
        with pytest.raises(ValueError, match="same pictures"):
            stage_choice.choose([pictures(1, 0), pictures(1, 0)[:60]], CAMERA)
        with pytest.raises(ValueError, match="camera_id"):
            stage_choice.choose([pictures(1, 0)] * 2, CAMERA[:60])


class TestRecord:
    @pytest.mark.parametrize("index", [0, 1])
    def test_a_choice_is_kept_and_printed(self, tmp_path: pathlib.Path, capsys, index):
        stages = ["adapted.keras", "round_1.keras"]
        choice = stage_choice.Choice(index, "because", (np.nan, 0.5))
        stage_choice.record(RunDir(str(tmp_path)), stages, choice)
        assert (
            f"kept: {stages[index]}, of adapted.keras, round_1.keras (because)"
            in capsys.readouterr().out
        )
        assert json.loads((tmp_path / "choice.json").read_text()) == {
            "stage": stages[index],
            "reason": "because",
            "scores": {stages[0]: None, stages[1]: 0.5},
        }
        assert os.listdir(tmp_path / "logs" / "choice")


class TestConsensus:
    def test_cameras_that_are_not_known(self):
        candidates = [pictures(noise, seed) for seed, noise in enumerate((1.4, 0.7))]
        for camera in (np.full(120, -1), np.full(120, 3)):
            labels, precision, why_not = stage_choice.consensus(candidates, camera)
            assert why_not is None
            assert precision.shape == (2, len(labels))
            assert precision[0].mean() < precision[1].mean()

    def test_pictures_of_an_unknown_camera_are_left_out(self):
        candidates = [pictures(noise, seed) for seed, noise in enumerate((1.4, 0.7))]
        camera = np.concatenate([CAMERA, np.full(60, -1)])
        more = [np.concatenate([each, np.roll(each[:60], 5, axis=1)]) for each in candidates]
        found = stage_choice.consensus(more, camera)
        expected = stage_choice.consensus(candidates, CAMERA)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_allclose(found[1], expected[1])

    def test_clusters_are_those_of_the_mean_cosine(self):
        candidates = [pictures(1.0, seed) for seed in range(3)]
        units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in candidates]
        cosine = np.mean([each @ each.T for each in units], axis=0)
        # Any embeddings with these cosines cluster as these.
        values, vectors = np.linalg.eigh(cosine.astype(np.float64))
        root = vectors * np.sqrt(np.maximum(values, 0))
        expected, _ = clustering.cluster(root, CAMERA)
        labels, _, _ = stage_choice.consensus(candidates, CAMERA)
        np.testing.assert_array_equal(labels, expected[expected >= 0])


class TestCollapsed:
    @pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
    def test_is_silent_on_persons(self, noise):
        assert stage_choice.collapsed(pictures(noise, 0)) is None
        # As embeddings after ReLU and pooling are: all near one direction.
        assert stage_choice.collapsed(np.abs(pictures(noise, 0)) + 2) is None

    def test_nearly_the_same(self):
        assert "mean cosine 1.0000" in stage_choice.collapsed(COLLAPSED)
        assert "nearly the same" in stage_choice.collapsed(np.ones((50, 8)))

    def test_hardly_any_direction(self):
        random = np.random.default_rng(2)
        line = random.standard_normal((100, 1)) * random.standard_normal(WIDTH)
        found = stage_choice.collapsed(line + 1e-3 * random.standard_normal((100, WIDTH)))
        assert "effective rank 1.0" in found

    def test_does_not_judge_a_handful(self):
        assert stage_choice.collapsed(np.ones((15, 8))) is None

    def test_statistics_tell_what_standardising_hides(self):
        mean, deviation = COLLAPSED.mean(axis=0), COLLAPSED.std(axis=0)
        hidden = (COLLAPSED - mean) / deviation
        assert stage_choice.collapsed(hidden) is None
        assert "nearly the same" in stage_choice.collapsed_statistics(mean, deviation)
        # A camera's row of a network that works: mean 18.2, deviation 7.3 (measured).
        assert stage_choice.collapsed_statistics([18.2, 0], [0, 7.3]) is None


class TestEffectiveRank:
    @pytest.mark.parametrize("directions", [1, 4, 32])
    def test_counts_equal_directions(self, directions):
        axes = np.eye(WIDTH)[:directions]
        found = stage_choice.effective_rank(np.concatenate([axes, -axes]))
        assert found == pytest.approx(directions)

    def test_wide_and_long(self):
        wide = np.random.default_rng(3).standard_normal((10, WIDTH))
        long = np.concatenate([wide] * 20)
        assert stage_choice.effective_rank(wide) == pytest.approx(stage_choice.effective_rank(long))

    def test_of_one_point(self):
        assert stage_choice.effective_rank(np.ones((5, 3))) == 1
