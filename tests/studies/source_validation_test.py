"""Source validation: its weights, the DEV risk by its formula, and the proxy set."""

import numpy as np
import pytest

from studies import source_validation


class TestWeightedMean:
    def test_by_hand(self):
        precision = [0.5, 1.0, np.nan, 0.2]
        assert source_validation.weighted_mean(precision, [1, 1, 1, 2]) == pytest.approx(1.9 / 4)

    def test_equal_weights_give_the_mean_over_valid_queries(self):
        assert source_validation.weighted_mean([0.5, np.nan, 1.0], np.ones(3)) == 0.75

    @pytest.mark.parametrize(
        ("precision", "weights"),
        [([0.5], [1, 1]), ([np.nan], [1]), ([0.5, np.nan], [0, 1]), ([0.5, 1], [-1, 1])],
    )
    def test_refuses(self, precision, weights):
        with pytest.raises(ValueError, match="weights must be"):
            source_validation.weighted_mean(precision, weights)


class TestDensityRatio:
    def test_likelier_where_the_target_is(self):
        random = np.random.default_rng(0)
        source = random.standard_normal((400, 8)) + 2 * np.eye(8)[0]
        target = random.standard_normal((100, 8)) + 2 * np.eye(8)[1]
        ratio = source_validation.density_ratio(source, target, np.eye(8)[:3])
        assert ratio[0] < 0.5 < 2 < ratio[1]
        assert ratio[0] < ratio[2] < ratio[1]

    def test_is_1_for_one_distribution_of_any_sizes(self):
        random = np.random.default_rng(1)
        source, target, validation = (random.standard_normal((n, 4)) for n in (4000, 1000, 50))
        ratio = source_validation.density_ratio(source, target, validation)
        np.testing.assert_allclose(ratio, 1, atol=0.3)

    def test_refuses_other_widths(self):
        with pytest.raises(ValueError, match="width"):
            source_validation.density_ratio(np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 4)))


class TestDevRisk:
    def test_by_hand(self):
        # w l = 0, 1.5: mean .75; cov(wl, w) = .75, var(w) = .5, so eta = -1.5; mean(w) = 1.
        assert source_validation.dev_risk([0, 1], [0.5, 1.5]) == pytest.approx(0.75)
        # mean(w) = 2: .75 and 1.5 are those of l = 0, .6 weighted by 1.5, 2.5; eta = -1.5.
        assert source_validation.dev_risk([0, 0.6], [1.5, 2.5]) == pytest.approx(0.75 - 3 + 1.5)

    def test_equal_weights_give_the_mean(self):
        assert source_validation.dev_risk([0.2, 0.4, np.nan], [1, 1, 9]) == pytest.approx(0.3)

    def test_control_variate_takes_variance_away(self):
        # A constant risk: eta removes all that the weights add.
        ratio = np.random.default_rng(2).gamma(2, 1, 50)
        assert source_validation.dev_risk(np.full(50, 0.3), ratio) == pytest.approx(0.3)

    @pytest.mark.parametrize(("risk", "ratio"), [([0.1, np.nan], [1, 1]), ([0.1, 0.2], [1])])
    def test_refuses(self, risk, ratio):
        with pytest.raises(ValueError, match="risk"):
            source_validation.dev_risk(risk, ratio)


class TestProxyWeights:
    @staticmethod
    def pictures(seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Twelve persons, the first six in the manner of the target."""
        random = np.random.default_rng(seed)
        manner = np.repeat([0, 1], 60)
        person = np.repeat(np.arange(1, 13), 10)
        source = 0.3 * random.standard_normal((120, 8)) + 3 * np.eye(8)[manner]
        return source, person, 0.3 * random.standard_normal((80, 8)) + 3 * np.eye(8)[0]

    def test_favour_those_that_resemble_the_target(self):
        source, person, target = self.pictures()
        weights = source_validation.proxy_weights(source, person, target)
        assert weights[:60].min() > 2 * weights[60:].max()
        assert weights.sum() == pytest.approx(120)

    def test_are_one_for_a_person(self):
        source, person, target = self.pictures()
        weights = source_validation.proxy_weights(source, person, target)
        assert all(np.ptp(weights[person == each]) == 0 for each in np.unique(person))

    def test_are_the_same_again_and_in_any_order(self):
        source, person, target = self.pictures()
        weights = source_validation.proxy_weights(source, person, target)
        np.testing.assert_array_equal(
            weights, source_validation.proxy_weights(source, person, target)
        )

    def test_one_person(self):
        weights = source_validation.proxy_weights(np.eye(4), np.full(4, 7), np.eye(4)[:3])
        np.testing.assert_allclose(weights, 1)

    def test_names_persons_of_other_pictures(self):
        with pytest.raises(ValueError, match="person_id"):
            source_validation.proxy_weights(np.eye(4), np.arange(3), np.eye(4))
