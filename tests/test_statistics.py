"""relviz.statistics: against scipy's, closed forms, and a bootstrap written out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from relviz import statistics
from relviz._errors import ParameterError
from relviz.statistics import Interval

VALUES = hnp.arrays(
    np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6, allow_subnormal=False)
)
RNG = np.random.default_rng(0)


class TestInterval:
    def test_reads_well(self):
        rate = Interval(0.2361, 0.2214, 0.25066)
        assert str(rate) == f"{rate}" == "0.236 [0.221, 0.251]"
        assert f"{rate:.1f}" == "0.2 [0.2, 0.3]" and f"{rate:.0%}" == "24% [22%, 25%]"
        assert str(Interval(2.0, np.nan, np.nan)) == "2 [nan, nan]"
        assert str(Interval(np.arange(2), np.zeros(2), np.ones(2))) == "[0 1] [[0. 0.], [1. 1.]]"

    def test_unpacks_and_is_plain_data(self):
        interval = Interval(1.0, 0.5, 1.5)
        value, low, high = interval
        assert (value, low, high) == (1.0, 0.5, 1.5)
        assert json.loads(json.dumps(vars(interval))) == {"value": 1.0, "low": 0.5, "high": 1.5}
        with pytest.raises(AttributeError):
            interval.value = 2.0


class TestWilson:
    @given(st.integers(1, 3000), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
    def test_equals_scipys(self, n, data, confidence):
        k = data.draw(st.integers(0, n))
        expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
        _, low, high = statistics.wilson(k / n, n, confidence)
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)

    @given(st.floats(0, 1), st.floats(1e-3, 1e9))
    def test_holds_the_share_and_stays_in_range(self, share, trials):
        value, low, high = statistics.wilson(share, trials)
        assert 0 <= low <= value == share <= high <= 1

    @given(st.floats(0.1, 1e6))
    def test_certainty_has_a_width(self, trials):
        all_right, none_right = statistics.wilson(1, trials), statistics.wilson(0, trials)
        z2 = stats.norm.ppf(0.975) ** 2
        assert (all_right.high, all_right.low) == (1, pytest.approx(trials / (trials + z2)))
        assert (none_right.low, none_right.high) == (0, pytest.approx(z2 / (trials + z2)))
        assert all_right.low < 1 and none_right.high > 0

    @given(st.integers(1, 300), st.integers(2, 40), st.data())
    def test_units_are_worth_more_the_less_they_differ(self, units, trials, data):
        right = data.draw(st.integers(0, units * trials))
        share = right / (units * trials)
        most = share * (1 - share)
        ends = [
            statistics.wilson(share, units, variance=variance)
            for variance in np.linspace(0, most, 5)
        ]
        lows, highs = np.array([(end.low, end.high) for end in ends]).T
        assert (np.diff(lows) <= 1e-12).all() and (np.diff(highs) >= -1e-12).all()
        assert ends[-1] == statistics.wilson(share, units)  # each a success or a failure
        # as many trials as it says, as written in its Notes
        half = 1.959964**2 / 2
        worth = units * (units * most + half) / (units * most / 3 + half)
        found = statistics.wilson(share, units, variance=most / 3)
        assert [*found] == pytest.approx([*statistics.wilson(share, worth)], abs=1e-6)

    @given(st.integers(1, 300), st.integers(2, 40))
    def test_a_failure_more_lifts_no_end(self, units, trials):
        """From all right on, one failure in one unit more at a time."""
        before = statistics.wilson(1.0, units, variance=0.0)
        for failed in range(1, min(units, 10) + 1):
            shares = np.ones(units)
            shares[:failed] -= 1 / trials
            after = statistics.wilson(shares.mean(), units, variance=shares.var())
            assert after.low < before.low and after.high <= before.high
            assert before.low - after.low < 3 / (units * trials)  # and it does not jump
            before = after

    def test_holds_the_truth_of_units_that_differ(self):
        """Talkers of five words each that stand and fall together, to any degree."""
        rng = np.random.default_rng(0)
        for share, spread in ((0.8, 1.0), (0.8, 20.0), (0.95, 3.0), (0.5, 1e6), (0.99, 5.0)):
            chance = rng.beta(share * spread, (1 - share) * spread, (1000, 31))
            shares = rng.binomial(5, chance) / 5
            ends = [statistics.wilson(row.mean(), 31, variance=row.var()) for row in shares]
            assert np.mean([end.low <= share <= end.high for end in ends]) > 0.94

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((1.2, 9), "share is 1.2: give successes / trials, from 0 to 1."),
            ((np.nan, 9), "share is nan: give successes / trials, from 0 to 1."),
            ((0.5, 0), "trials is 0: give a number above 0."),
            ((0.5, np.inf), "trials is inf: give a number above 0."),
            ((0.5, 9, 95), "confidence is 95: give one between 0 and 1, as 0.95."),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ParameterError) as caught:
            statistics.wilson(*arguments)
        assert str(caught.value) == message

    def test_refuses_a_variance_below_0(self):
        with pytest.raises(ParameterError, match="variance is -1: give that of the shares, 0 or"):
            statistics.wilson(0.5, 9, variance=-1)


class TestMeans:
    @given(VALUES)
    def test_t_interval_equals_scipys(self, x):
        value, low, high = statistics.t_interval(x, 0.9)
        assert low <= value <= high
        scale = np.abs(x).max() or 1.0
        if np.ptp(x) > 1e-9 * scale:  # of constants scipy makes NaN
            expected = stats.ttest_1samp(x, 0).confidence_interval(0.9)
            np.testing.assert_allclose([low, high], expected, atol=1e-9 * scale)

    def test_prediction_by_hand(self):
        mean, low, high = statistics.prediction_interval([[0.0, 5.0], [2.0, 5.0]])
        half = 12.7062 * np.sqrt(2) * np.sqrt(1.5)  # t at 97.5 % with one degree of freedom
        assert (mean.tolist(), low[1], high[1]) == ([1.0, 5.0], 5.0, 5.0)
        assert (low[0], high[0]) == pytest.approx((1 - half, 1 + half), rel=1e-5)

    def test_they_cover_as_often_as_they_say(self):
        x = RNG.normal(3, 2, size=(9, 20000))
        _, low, high = statistics.prediction_interval(x[:8])
        assert np.mean((low <= x[8]) & (x[8] <= high)) == pytest.approx(0.95, abs=0.005)
        _, low, high = statistics.t_interval(x[:8])
        assert np.mean((low <= 3) & (3 <= high)) == pytest.approx(0.95, abs=0.005)

    @given(VALUES)
    def test_one_more_is_less_certain_than_the_mean(self, x):
        mean, more = statistics.t_interval(x), statistics.prediction_interval(x)
        assert more.low <= mean.low <= mean.value == more.value <= mean.high <= more.high

    @pytest.mark.parametrize(
        "interval", [statistics.t_interval, statistics.prediction_interval, statistics.bootstrap]
    )
    def test_of_a_single_unit_nothing_is_known(self, interval):
        value, low, high = interval([[4.0, 5.0]])
        assert value.tolist() == [4, 5] and np.isnan([low, high]).all()
        for nothing in ([], 3.0):
            with pytest.raises(ParameterError, match="give one row for each unit, 1 or more"):
                interval(nothing)


class TestBootstrap:
    def test_equals_the_loop(self):
        x = RNG.normal(size=(5, 2, 3))
        value, low, high = statistics.bootstrap(x, draws=50, seed=1, confidence=0.8)
        drawn = np.random.default_rng(1).integers(5, size=(50, 5))
        expected = np.percentile([x[row].mean(axis=0) for row in drawn], [10, 90], axis=0)
        np.testing.assert_allclose([low, high], expected)
        np.testing.assert_allclose(value, x.mean(axis=0))

    def test_a_rate_is_a_rate_of_sums(self):
        errors, phones = RNG.integers(0, 9, size=30), RNG.integers(10, 40, size=30)
        rate = statistics.bootstrap(np.c_[errors, phones], lambda s: s[:, 0] / s[:, 1])
        drawn = np.random.default_rng(0).integers(30, size=(2000, 30))
        rates = errors[drawn].sum(axis=1) / phones[drawn].sum(axis=1)
        assert rate.value == errors.sum() / phones.sum()
        assert (rate.low, rate.high) == tuple(np.percentile(rates, [2.5, 97.5]))
        assert all(type(end) is float for end in rate)

    def test_is_close_to_the_normal_interval_of_many(self):
        x = RNG.normal(size=(200, 2))
        mean, low, high = statistics.bootstrap(x)
        half = 1.96 * x.std(axis=0) / np.sqrt(len(x))
        np.testing.assert_allclose(high - mean, half, rtol=0.1)
        np.testing.assert_allclose(mean - low, half, rtol=0.1)

    @given(VALUES)
    def test_holds_the_mean(self, x):
        value, low, high = statistics.bootstrap(x)
        rounding = 1e-12 * np.abs(x).max()
        assert low - rounding <= value <= high + rounding

    @given(st.lists(st.booleans(), min_size=2, max_size=30))
    def test_shares_stay_in_range(self, right):
        value, low, high = statistics.bootstrap(right)
        assert 0 <= low <= value <= high <= 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (dict(draws=0), "draws is 0: give 1 or more."),
            (dict(confidence=1), "confidence is 1: give one between 0 and 1, as 0.95."),
        ],
    )
    def test_refuses(self, options, message):
        with pytest.raises(ParameterError) as caught:
            statistics.bootstrap([1.0, 2.0], **options)
        assert str(caught.value) == message
