"""Learning rates: no step without one, wherever the end is; smaller ones for wider models."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LambdaLR
from transformers import SchedulerType, get_scheduler

from bakery.training.schedule import OpenSchedule, learning_rate_of, without_idle_start

STEPS = 20
WARMED = [name for name in SchedulerType if name not in ("constant", "reduce_lr_on_plateau", "greedy")]
MORE = {"cosine_with_min_lr": {"min_lr": 0.1}, "cosine_warmup_with_min_lr": {"min_lr": 0.1, "warmup_lr_rate": 0.3},
        "warmup_stable_decay": {"num_decay_steps": 5}}  # fmt: skip


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)


def rates(scheduler, steps=STEPS) -> list[float]:
    """The rate of each step; what the scheduler tells is what the optimiser uses."""
    used = []
    for _ in range(steps):
        (group,) = scheduler.optimizer.param_groups
        assert scheduler.get_last_lr() == [group["lr"]]
        used.append(group["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return used


@pytest.mark.parametrize("warmup", [0, 1, 4])
@pytest.mark.parametrize("name", WARMED)
def test_every_step_of_every_schedule_has_a_rate_and_behind_the_warm_up_it_is_that_of_transformers(name, warmup):
    def made():
        return get_scheduler(name, optimizer(), warmup, STEPS, MORE.get(name))

    theirs, ours = rates(made()), rates(without_idle_start(made(), warmup))
    assert ours[0] > 0
    assert ours[warmup:] == theirs[warmup:]
    if theirs[0] > 0:
        assert ours == theirs, "a start that is not idle is left alone"
    else:
        assert ours[: warmup + 1] == sorted(set(ours[: warmup + 1]))


def test_a_straight_warm_up_rises_in_equal_parts():
    linear = get_scheduler("constant_with_warmup", optimizer(), 3, STEPS)
    assert rates(without_idle_start(linear, 3), 5) == pytest.approx([0.25, 0.5, 0.75, 1, 1])


@given(st.integers(0, 30), st.integers(0, 200), st.integers(1, 80))
def test_an_open_schedule_warms_up_stays_and_cools_down_to_its_end(warmup, begin, length):
    schedule = OpenSchedule(warmup)
    assert schedule.end == math.inf
    before = [schedule(step) for step in range(begin)]
    schedule.cool_down(begin, length)
    assert schedule.end == begin + length
    whole = [schedule(step) for step in range(begin + length)]
    assert whole[:begin] == before, "what was is not changed"
    assert all(0 < factor <= 1 for factor in whole)
    assert before == sorted(before)
    assert before[warmup:] == [1] * (begin - warmup)
    if begin >= warmup:
        falling = whole[begin:]
        assert falling == sorted(falling, reverse=True)
        assert len(set(falling)) == length
        assert schedule(begin + length + 1) == 0


def test_a_resumed_run_goes_on_with_the_same_end():
    first, again = OpenSchedule(), OpenSchedule()
    first.cool_down(40, 12)
    stored = LambdaLR(optimizer(), first).state_dict()
    LambdaLR(optimizer(), again).load_state_dict(stored)
    assert (again.begin, again.length, again.end) == (40, 12, 52)


def test_a_wider_model_learns_at_a_lower_rate_as_the_reference_says():
    found = [learning_rate_of(width) for width in (64, 256, 1024, 4096, 16384)]
    assert found == sorted(found, reverse=True)
    assert (found[2], found[3]) == pytest.approx((6.7e-4, 3.7e-4), rel=0.01)
    assert learning_rate_of(2000) == 5e-4
