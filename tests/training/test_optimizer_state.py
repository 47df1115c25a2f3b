"""The state of an optimiser from a file is taken where the optimiser could have made it, and nowhere else."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers.optimization import Adafactor

from bakery.training.optimizer_state import check_alike, check_moments, group_settings
from bakery.training.schedule import OpenSchedule

KINDS = {
    "AdamW": torch.optim.AdamW,
    "AdamW, fused": lambda weights: torch.optim.AdamW(weights, fused=True),
    "AMSGrad": lambda weights: torch.optim.Adam(weights, amsgrad=True),
    "SGD": torch.optim.SGD,
    "SGD with momentum": lambda weights: torch.optim.SGD(weights, momentum=0.9),
    "Adagrad": torch.optim.Adagrad,
    "RMSprop": torch.optim.RMSprop,
    "Adafactor": lambda weights: Adafactor(weights, lr=1e-3, relative_step=False, scale_parameter=False),
}


def stepped(kind, steps=2):
    """An optimiser of two weights of different shapes that has made some steps."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5))]
    optimizer = KINDS[kind](weights)
    LambdaLR(optimizer, OpenSchedule())
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_optimiser_has_saved_is_taken_and_nothing_changes(kind):
    saved, other = stepped(kind), stepped(kind, steps=0)
    other.load_state_dict(copy.deepcopy(saved.state_dict()))
    before = copy.deepcopy(other.state_dict())
    check_alike(group_settings(other), group_settings(stepped(kind, steps=0)), "optimizer")
    check_moments(other)
    assert str(other.state_dict()) == str(before)


CHANGES = {
    "another shape": lambda state: {**state, "exp_avg": torch.zeros(7)},
    "one number": lambda state: {**state, "exp_avg": torch.zeros(())},
    "no tensor": lambda state: {**state, "exp_avg": "x"},
    "missing": lambda state: {name: value for name, value in state.items() if name != "exp_avg_sq"},
    "unknown": lambda state: {**state, "momentum_buffer": state["exp_avg"]},
    "NaN": lambda state: {**state, "exp_avg": state["exp_avg"] * math.nan},
    "infinite": lambda state: {**state, "exp_avg_sq": state["exp_avg_sq"] + math.inf},
    "whole numbers": lambda state: {**state, "exp_avg": state["exp_avg"].long()},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", [0, 1])
def test_moments_that_it_cannot_have_made_are_refused(at, change):
    optimizer = stepped("AdamW")
    weight = list(optimizer.state)[at]
    optimizer.state[weight] = CHANGES[change](optimizer.state[weight])
    with pytest.raises(ValueError, match=r"^its "):
        check_moments(optimizer)


def test_no_moments_and_those_of_no_weight_are_refused():
    with pytest.raises(ValueError, match="is empty"):
        check_moments(stepped("AdamW", steps=0))
    check_moments(stepped("SGD", steps=0))  # which has none
    optimizer = stepped("AdamW")
    optimizer.state[7] = {}
    with pytest.raises(ValueError, match="not trained"):
        check_moments(optimizer)


def test_a_setting_that_asks_for_other_moments_is_refused():
    optimizer = stepped("AdamW")
    optimizer.param_groups[0]["amsgrad"] = True
    with pytest.raises(ValueError, match="other names or shapes"):
        check_moments(optimizer)


@pytest.mark.parametrize(
    ("read", "own"),
    [
        ("x", 1),
        (math.nan, 0.1),
        (math.inf, None),
        ([1.0], [1.0, 2.0]),
        ((1.0,), [1.0]),
        ({"a": 1, "step": 2}, {"a": 1}),
        ({}, {"a": 1}),
        ({"a": [{"b": "x"}]}, {"a": [{"b": 0.5}]}),
        (torch.ones(2), 1.0),
        ("linear", "cosine"),
    ],
    ids=str,
)
def test_a_value_of_another_form_is_refused(read, own):
    with pytest.raises(ValueError, match="is not what this bake would have saved"):
        check_alike(read, own, "scheduler")


@pytest.mark.parametrize(("read", "own"), [(3, 0), (7, None), (None, 7), (0.5, 1), ({"a": [2.0]}, {"a": [1.0]})])
def test_another_value_of_the_same_form_is_taken(read, own):
    check_alike(read, own, "scheduler")
