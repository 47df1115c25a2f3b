"""Stopping when done: at the target, or when validation has not improved for so many measurements."""

import math
from types import SimpleNamespace

import pytest

from bakery.training.stopping import StopWhenDone, measuring_often, stops_early
from tests.engine_support import settings


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


def test_a_bake_that_may_stop_early_measures_even_if_nothing_says_when(tmp_path):
    plain, eager = settings(tmp_path), settings(tmp_path, target_divergence=0.1)
    assert not stops_early(plain)
    assert measuring_often(plain) is plain
    assert measuring_often(eager).eval_strategy == "steps"
    assert measuring_often(eager).eval_steps == 0.05
    assert eager.eval_strategy == "no"


def test_a_schedule_that_was_asked_for_stays(tmp_path):
    asked = settings(tmp_path, patience=1, eval_strategy="epoch")
    assert measuring_often(asked) is asked
