"""Stopping when done: at the target, out of patience or time, or when more training no longer helps."""

import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.training.schedule import OpenSchedule
from bakery.training.stopping import (
    FIRST_MEASUREMENT,
    StopWhenDone,
    UntilDone,
    has_stalled,
    measurements,
    next_measurement,
)

MANY = 100_000
"""Steps that no bake of these tests comes to."""
law = settings(max_examples=40, deadline=None, database=None)


# ---- by a target or patience ----


def _measurements_until_the_stop(stopping, measured):
    for number, divergence in enumerate(measured, start=1):
        control = SimpleNamespace(should_training_stop=False)
        stopping.on_evaluate(None, None, control, {"eval_loss": divergence})
        if control.should_training_stop:
            return number
    return None


@pytest.mark.parametrize(
    ("target", "patience", "measured", "expected"),
    [
        (0.1, None, [0.3, 0.11, 0.1], 3),
        (0.1, None, [0.3, 0.2, 0.3, 0.4], None),
        (None, 2, [0.3, 0.2, 0.2, 0.21], 4),
        (None, 2, [0.3, 0.31, 0.2, 0.3, 0.1], None),
        (0.1, 1, [0.3, 0.3], 2),
        (None, None, [0.3, 0.0, math.nan], None),
    ],
)
def test_training_stops_at_the_target_or_out_of_patience_and_not_before(target, patience, measured, expected):
    stopping = StopWhenDone(target, patience)
    assert _measurements_until_the_stop(stopping, measured) == expected
    assert (stopping.reason is None) == (expected is None)


def test_the_reason_names_the_setting_and_the_figure():
    reached, stuck = StopWhenDone(0.1, None), StopWhenDone(None, 1)
    _measurements_until_the_stop(reached, [0.05])
    _measurements_until_the_stop(stuck, [0.2, 0.3])
    assert reached.reason == "held-out divergence 0.0500 has reached target_divergence 0.1"
    assert stuck.reason == "held-out divergence has not improved on 0.2000 for 1 measurements"


def test_the_step_at_which_the_time_is_over_is_the_last_one():
    left = iter([5.0, 0.1, -0.1])
    stopping = StopWhenDone(None, None, lambda: next(left))
    stops = []
    for _ in range(3):
        control = SimpleNamespace(should_training_stop=False)
        stopping.on_step_end(SimpleNamespace(max_minutes=1.5), None, control)
        stops.append(control.should_training_stop)
    assert stops == [False, False, True]
    assert stopping.reason == "max_minutes 1.5 are over"


# ---- until it is done ----


class Bake:
    """A training whose held-out divergence is a function of the step; a step takes `seconds` of the `minutes`."""

    epoch_steps = 4  # steps of one pass over the rows

    def __init__(self, divergence, *, heldout=True, most=MANY, minutes=math.inf, seconds=1.0):
        self.divergence, self.heldout, self.most = divergence, heldout, most
        self.minutes, self.seconds = minutes, seconds
        self.spent, self.history, self.rates, self.measured_at = 0.0, [], [], []

    def run(self, until=MANY, resumed_from=None):
        """Train to the end, or to a step; `resumed_from`: a bake that was stopped there, as its checkpoint tells."""
        self.schedule = OpenSchedule()
        begin = 0
        if resumed_from:
            self.history, begin = list(resumed_from.history), len(resumed_from.rates)
            self.rates, self.measured_at = list(resumed_from.rates), list(resumed_from.measured_at)
            vars(self.schedule).update(vars(resumed_from.schedule))
        self.stopping = UntilDone(self.schedule, self.heldout, lambda: 60 * self.minutes - self.spent)
        self.stopping.on_train_begin(None, self._state(begin), None)
        for step in range(begin + 1, min(self.most, until) + 1):
            self.rates.append(self.schedule(step - 1))
            self.spent += self.seconds
            if not self.heldout and step % 5 == 0:
                self.history.append({"step": step, "loss": self.divergence(step)})
            control = SimpleNamespace(should_training_stop=False, should_evaluate=False)
            self.stopping.on_step_end(None, self._state(step), control)
            if control.should_evaluate:
                self.measured_at.append(step)
                self.history.append({"step": step, "eval_loss": self.divergence(step)})
            if control.should_training_stop:
                break
        return self

    def _state(self, step):
        epoch = step / self.epoch_steps
        return SimpleNamespace(global_step=step, log_history=self.history, max_steps=self.most, epoch=epoch)

    @property
    def steps(self):
        return len(self.rates)


def learning(floor):
    """A divergence that falls with the root of the steps, to `floor`, and stays there."""
    return lambda step: max(floor, step**-0.5)


def learned_at(floor):
    """The first step at which nothing is left to learn."""
    return math.ceil(floor**-2)


FLOORS = st.floats(0.06, 0.5)


def test_every_row_is_read_a_few_times_although_the_divergence_stays_for_a_while():
    bake = Bake(lambda step: 0.3 if step > 5 else 3.0)
    bake.epoch_steps = 100
    bake.run()
    assert bake.stopping.ended == "done"
    assert 2 * bake.epoch_steps <= bake.schedule.begin <= 4 * bake.epoch_steps


def test_a_rest_between_the_form_of_an_answer_and_its_facts_is_not_the_end():
    bake = Bake(lambda step: 1.0 if step < 20 else 0.2 if step < 55 else max(0.01, 10 / step**1.5)).run()
    assert bake.stopping.ended == "done"
    assert bake.steps > 100


@law
@given(FLOORS, st.floats(0.2, 5), st.booleans())
def test_a_bake_ends_after_it_has_stopped_getting_better_and_not_long_after(floor, scale, heldout):
    bake = Bake(lambda step: scale * learning(floor)(step), heldout=heldout).run()
    assert bake.stopping.ended == "done"
    assert learned_at(floor) <= bake.steps <= 5 * max(20, learned_at(floor))


@law
@given(FLOORS)
def test_no_step_is_idle_and_the_last_ones_cool_down(floor):
    bake = Bake(learning(floor)).run()
    assert all(rate > 0 for rate in bake.rates)
    assert bake.schedule.end == bake.steps
    assert max(bake.rates) == bake.rates[bake.schedule.begin - 1] == 1
    falling = bake.rates[bake.schedule.begin :]
    assert len(falling) > 1
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.5


def test_held_out_rows_are_measured_first_ever_more_rarely_and_at_the_end():
    bake = Bake(learning(0.05)).run()
    assert bake.measured_at[0] == 1
    assert bake.measured_at[-1] == bake.steps
    gaps = [after - before for before, after in zip(bake.measured_at, bake.measured_at[1:-1], strict=False)]
    assert len(bake.measured_at) < 0.2 * bake.steps
    assert all(later >= earlier - 1 for earlier, later in pairwise(gaps[1:]))


def test_without_held_out_rows_none_are_measured():
    assert Bake(learning(0.1), heldout=False).run().measured_at == []


def without_end(step):
    """A divergence that gets better for ever, which one below 0 can."""
    return -float(step)


@law
@given(st.integers(10, 400))
def test_the_most_steps_are_no_more_than_that_and_end_cooled_down(most):
    bake = Bake(without_end, most=most).run()
    assert (bake.steps, bake.stopping.ended) == (most, "steps")
    assert bake.schedule.end <= most + 1
    assert bake.rates[-1] <= 0.5


@law
@given(st.floats(0.5, 8), st.floats(0.2, 2))
def test_a_bake_ends_cooled_down_within_the_minutes(minutes, seconds):
    bake = Bake(without_end, minutes=minutes, seconds=seconds).run()
    assert bake.stopping.ended == "minutes"
    assert bake.spent <= 60 * minutes + 2 * seconds
    assert bake.spent >= 0.8 * 60 * minutes - 2 * seconds
    assert bake.rates[-1] < 0.6


@law
@given(FLOORS, st.floats(0.05, 0.95))
def test_a_resumed_bake_ends_where_an_undisturbed_one_does(floor, share):
    whole = Bake(learning(floor)).run()
    killed = Bake(learning(floor)).run(until=max(1, int(share * whole.steps)))
    resumed = Bake(learning(floor)).run(resumed_from=killed)
    assert (resumed.steps, resumed.rates, resumed.measured_at) == (whole.steps, whole.rates, whole.measured_at)


def test_measurements_are_those_of_the_log():
    history = [
        {"step": 1, "eval_loss": 3.0},
        {"step": 10, "loss": 2.0, "learning_rate": 1.0},
        {"step": 20, "eval_first_loss": 1.0, "eval_second_loss": 2.0, "eval_first_agreement": 0.5},
        {"step": 30, "train_loss": 9.0, "train_runtime": 1.0},
    ]
    assert measurements(history, on_heldout=True) == [(1, 3.0), (20, 1.5)]
    assert measurements(history, on_heldout=False) == [(10, 2.0)]


def measured_until(steps):
    """The steps of all measurements of a training of about so many."""
    at = [1]
    while at[-1] < steps:
        at.append(next_measurement(at[-1]))
    return at


@law
@given(st.integers(100, 3000), st.floats(0.01, 10), st.floats(0, 1))
def test_what_stays_the_same_or_gets_worse_has_stalled(steps, scale, worse):
    assert has_stalled([(step, scale * (1 + worse * step)) for step in measured_until(steps)])


@law
@given(st.integers(100, 3000), st.floats(0.01, 10), st.floats(0.2, 1), st.floats(0, 0.6))
def test_what_was_far_from_the_end_and_nearly_halved_of_late_has_not(steps, first, before, share):
    at = measured_until(steps)
    late = at[-1] / 1.2
    assert not has_stalled([(step, first * before * (share if step > late else 1)) for step in at])


@law
@given(st.lists(st.floats(0.001, 10), min_size=4, max_size=40), st.integers(-6, 6))
def test_whether_a_bake_has_stalled_does_not_depend_on_the_unit(divergences, power):
    at = measured_until(10**6)
    once, scaled = (list(zip(at, (unit * d for d in divergences), strict=False)) for unit in (1, 2.0**power))
    assert has_stalled(scaled) == has_stalled(once)


def test_nothing_has_stalled_before_it_has_begun():
    assert not has_stalled([])
    assert not has_stalled([(1, 1.0)])


def test_a_training_logged_twice_only_has_stalled_where_the_second_line_is_no_better():
    assert has_stalled([(FIRST_MEASUREMENT, 1.0), (2 * FIRST_MEASUREMENT, 1.0)])
    assert not has_stalled([(FIRST_MEASUREMENT, 1.0), (2 * FIRST_MEASUREMENT, 0.5)])
