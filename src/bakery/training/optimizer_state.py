"""The state of an optimiser and of its schedule as read from a checkpoint, compared with what they would have made.

torch checks how many parameters a state is for, and nothing else of it: moments of other shapes, or settings of other
types, fail in the first step, and moments that are not finite spoil the weights there.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_OF_TORCH = ("torch.optim.", "transformers.optimization")
"""Modules of optimisers whose state is made by their step alone, so that a step on zeros shows it."""


def group_settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The settings of each group of parameters, such as its learning rate."""
    return [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def check_alike(read: Any, own: Any, name: str) -> None:
    """Refuse a value that was read where one of the form of `own` is meant; a number for a number, whichever it is.

    Raises:
        ValueError: it has another type, length or keys, or is not finite.
    """
    if isinstance(own, Mapping):
        alike = isinstance(read, Mapping) and read.keys() == own.keys()
        parts = [(read[key], own[key], f"{name}.{key}") for key in own] if alike else []
    elif isinstance(own, list | tuple):
        alike = type(read) is type(own) and len(read) == len(own)
        parts = list(zip(read, own, [f"{name}[{at}]" for at in range(len(own))], strict=True)) if alike else []
    elif own is None or isinstance(own, int | float):
        alike, parts = read is None or (isinstance(read, int | float) and math.isfinite(read)), []
    else:
        alike, parts = read == own, []
    if not alike:
        raise ValueError(f"{name} is not what this bake would have saved")
    for part in parts:
        check_alike(*part)


def check_moments(optimizer: Optimizer) -> None:
    """Refuse moments that this optimiser cannot have made for its parameters.

    An optimiser of another library is only held to finite moments of its own parameters.

    Raises:
        ValueError: one is missing, has another shape or type, is not finite, or belongs to no parameter.
    """
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    expected: dict[tuple[int, torch.Size], Mapping[str, Any]] = {}
    for parameter, state in optimizer.state.items():
        if parameter not in groups:
            raise ValueError("its state is of a parameter that is not trained")
        for name, value in state.items():
            if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ValueError(f"its {name} is not finite")
        if _is_of_torch(optimizer):
            group = groups[parameter]
            form = id(group), parameter.shape
            expected[form] = expected.get(form) or _first_state(optimizer, group, parameter)
            if _form(state) != _form(expected[form]):
                raise ValueError("its state has other names or shapes than this optimiser's")
    parameter, group = next(iter(groups.items()))
    if not optimizer.state and _is_of_torch(optimizer) and _first_state(optimizer, group, parameter):
        raise ValueError("its state is empty")


def _is_of_torch(optimizer: Optimizer) -> bool:
    return type(optimizer).__module__.startswith(_OF_TORCH)


def _first_state(optimizer: Optimizer, group: Mapping[str, Any], parameter: Tensor) -> Mapping[str, Any]:
    """The state after a first step on zeros of the parameter's shape; nothing of the optimiser changes."""
    zeros = torch.zeros_like(parameter).requires_grad_()
    zeros.grad = torch.zeros_like(parameter)
    trial = copy.copy(optimizer)
    trial.param_groups, trial.state = [{**group, "params": [zeros]}], defaultdict(dict)
    type(optimizer).step(trial)  # a schedule counts the steps of the object's own method
    return dict(trial.state[zeros])


def _form(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (value.shape, value.is_floating_point()) if isinstance(value, Tensor) else isinstance(value, int | float)
        for name, value in state.items()
    }
