"""Figures with their errors: pure statistics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.evaluation import estimates

finite = st.floats(-1e6, 1e6)


@settings(deadline=None)
@given(st.lists(finite, min_size=1, max_size=50))
def test_a_mean_lies_in_its_interval_and_within_the_values(values):
    estimate = estimates.mean(values)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert estimate.mean == pytest.approx(sum(values) / len(values), abs=slack)
    assert min(values) - slack <= estimate.low <= estimate.high <= max(values) + slack
    assert estimate.n == len(values)


def test_the_bootstrap_error_is_the_standard_error_of_a_mean():
    values = np.random.default_rng(1).normal(size=400)
    estimate = estimates.mean(list(values))
    assert estimate.stderr == pytest.approx(values.std(ddof=1) / 20, rel=0.05)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * estimate.stderr, rel=0.1)


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        estimate = estimates.share(list((rng.random(60) < 0.3).astype(float)))
        held += estimate.low <= 0.3 <= estimate.high
    assert 180 <= held <= 198


def test_all_right_is_not_certainty():
    estimate = estimates.share([1.0] * 20)
    assert (estimate.mean, estimate.high) == (1.0, 1.0)
    assert estimates.mean([1.0] * 20).low == 1.0  # a mean of anything else is what it is
    assert 0.8 < estimate.low < 0.9
    assert estimates.share([0.0] * 20).high == pytest.approx(1 - estimate.low)


def test_a_ratio_weighs_tokens_not_prompts_and_draws_prompts_as_a_whole():
    one = estimates.ratio([10.0, 0.0], [10, 90])
    assert one.mean == pytest.approx(0.1)
    many = estimates.ratio([1.0] * 10 + [0.0] * 90, [1] * 100)
    assert many.mean == pytest.approx(0.1)
    assert one.stderr > 3 * many.stderr


def test_shares_are_paired():
    rng = np.random.default_rng(0)
    before = rng.exponential(size=50)
    closed = estimates.share_closed(list(before), list(0.1 * before))
    assert closed.mean == pytest.approx(0.9)
    assert closed.stderr < 1e-9  # the same share in every prompt: no doubt about it, however much the prompts differ
    assert estimates.share_closed([0.0, 0.0], [1.0, 0.0]) is None
    recovered = estimates.share_recovered([0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0])
    assert recovered.mean == pytest.approx(2 / 3)
    assert estimates.share_recovered([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]) is None


def test_nothing_has_no_mean():
    for call in (lambda: estimates.mean([]), lambda: estimates.ratio([1.0], [0.0])):
        with pytest.raises(ValueError, match=r"nothing|no value"):
            call()
    assert estimates.median([]) is None
