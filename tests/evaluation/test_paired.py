"""Differences between models on the same prompts: paired, never without width, and never told from too little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.distill.conditions import BASE, PROMPTED, Condition
from bakery.evaluation import estimates
from bakery.evaluation.paired import Difference, PairedFigure, difference

ONE, OTHER = Condition((("default", 1.0),)), Condition((("adapter_2", 1.0),))
nats = st.floats(0, 1e3)
pairs = st.lists(st.tuples(nats, nats, st.integers(1, 50)), min_size=2, max_size=40)
answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def of_answers(both_or_neither: int, more: int, fewer: int) -> Difference:
    one = [1.0] * both_or_neither + [1.0] * more + [0.0] * fewer
    other = [1.0] * both_or_neither + [0.0] * more + [1.0] * fewer
    return difference(one, other, [1.0] * len(one), zero_one=True)


@settings(deadline=None)
@given(pairs)
def test_it_is_the_difference_of_the_figures_and_the_reverse_of_the_other_way_round(rows):
    one, other, counts = (list(map(float, column)) for column in zip(*rows, strict=True))
    there, back = difference(one, other, counts), difference(other, one, counts)
    expected = estimates.ratio(one, counts).mean - estimates.ratio(other, counts).mean
    assert there.mean == pytest.approx(expected, abs=1e-9)
    assert back.mean == pytest.approx(-there.mean, abs=1e-9)
    if there.low is None:
        assert back.low is back.high is there.high is None
    else:
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)


@settings(deadline=None)
@given(answers)
def test_of_right_and_wrong_answers_an_interval_always_has_width_and_holds_the_difference(given):
    one, other = ([float(each) for each in column] for column in zip(*given, strict=True))
    told = difference(one, other, [1.0] * len(one), zero_one=True)
    assert -1 <= told.low < told.high <= 1
    assert told.low - 1e-9 <= told.mean <= told.high + 1e-9
    reverse = difference(other, one, [1.0] * len(one), zero_one=True)
    assert (reverse.low, reverse.high) == pytest.approx((-told.high, -told.low), abs=1e-9)


def test_the_interval_is_that_of_a_bootstrap_that_draws_whole_prompts():
    """The slow truth: draw prompts one by one, and compute both figures anew from those drawn."""
    rng = np.random.default_rng(4)
    counts = rng.integers(1, 30, size=40).astype(float)
    other = rng.exponential(size=40) * counts
    one = other * rng.uniform(0.4, 1.3, size=40)
    drawn = []
    for _ in range(4000):
        rows = [int(rng.integers(40)) for _ in range(40)]
        tokens = sum(counts[row] for row in rows)
        drawn.append(sum(one[row] for row in rows) / tokens - sum(other[row] for row in rows) / tokens)
    told = difference(list(one), list(other), list(counts))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (told.low, told.high) == pytest.approx((low, high), abs=0.15 * (high - low))
    assert told.stderr == pytest.approx(np.std(drawn), rel=0.1)


def test_what_is_hard_about_a_prompt_drops_out():
    rng = np.random.default_rng(0)
    other = rng.exponential(size=60)
    one = other + 0.01 + 0.001 * rng.normal(size=60)
    apart = [estimates.mean(list(each)) for each in (one, other)]
    assert apart[0].low < apart[1].high, "the figures' own intervals overlap"
    together = difference(list(one), list(other), [1.0] * 60)
    assert together.told == "more"
    assert together.high - together.low < 0.01 * (apart[0].high - apart[0].low)


@pytest.mark.parametrize(("more", "fewer"), [(0.02, 0.02), (0.05, 0.05), (0.1, 0.1), (0.05, 0.15), (0.02, 0.3)])
def test_an_interval_of_answers_holds_the_truth_at_least_about_as_often_as_it_says(more, fewer):
    rng, held = np.random.default_rng(9), 0
    for _ in range(200):
        kinds = rng.choice(3, size=48, p=[1 - more - fewer, more, fewer])
        told = of_answers(int((kinds == 0).sum()), int((kinds == 1).sum()), int((kinds == 2).sum()))
        held += told.low <= more - fewer <= told.high
    assert held >= 184


def test_a_few_answers_that_all_point_one_way_are_no_certainty():
    """A sign test doubts 4 to 0 (p = 0.13), which the bootstrap alone would not; it no longer doubts 7 to 0."""
    four = of_answers(36, 4, 0)
    alone = estimates.ratio([1.0] * 4 + [0.0] * 36, [1.0] * 40)
    assert alone.low > 0
    assert (four.mean, four.told) == (0.1, "unclear")
    assert four.low < 0
    assert (of_answers(33, 7, 0).told, of_answers(33, 0, 7).told) == ("more", "less")


def test_where_no_answer_differs_the_interval_is_what_so_few_questions_could_miss():
    few, many = of_answers(20, 0, 0), of_answers(200, 0, 0)
    assert (few.mean, few.told, few.stderr) == (0, "unclear", 0)
    assert few.low == pytest.approx(-few.high)
    assert 0.05 < few.high < 0.17, "3 in 20 may still be missed (the rule of three)"
    assert many.high < 0.015
    every = of_answers(0, 20, 0)
    assert (every.mean, every.high, every.told) == (1, 1, "more")
    assert every.low < 0.9


def test_where_no_distance_differs_there_is_no_interval():
    same = difference([1.0] * 30, [1.0] * 30, [2.0] * 30)
    assert (same.mean, same.low, same.high, same.told) == (0, None, None, "unclear")
    assert difference([1.0], [3.0], [2.0]).low is None, "one prompt cannot be drawn again"


def test_fewer_than_sixteen_prompts_tell_nothing():
    assert difference([1.0, 2.0] * 7, [0.0] * 14, [1.0] * 14).told == "unclear"
    assert difference([1.0, 2.0] * 8, [0.0] * 16, [1.0] * 16).told == "more"


def test_a_figure_is_told_by_condition_and_without_some_prompts():
    names = tuple(f"row {number}" for number in range(20))
    right = {BASE: (0.0,) * 20, ONE: (1.0,) * 15 + (0.0,) * 5, OTHER: (1.0,) * 20}
    figure = PairedFigure("right", "heldout", names, (1.0,) * 20, right)
    assert figure.of(ONE).mean == 0.75
    assert figure.of(OTHER) == estimates.share([1.0] * 20), "all right is not certainty"
    assert figure.of(PROMPTED) is figure.difference(ONE, PROMPTED) is figure.difference(PROMPTED, ONE) is None
    rest = figure.without(names[15:])
    assert rest == PairedFigure("right", "heldout", names[:15], (1.0,) * 15, {c: own[:15] for c, own in right.items()})
    assert rest.difference(ONE, OTHER).mean == 0
    assert figure.without(names) is None
    with pytest.raises(ValueError, match="nothing to divide by"):
        difference([], [], [])
