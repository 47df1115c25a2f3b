"""Learning rates: one that follows the model's size, and schedules whose first step counts and whose end is open.

The open schedule warms up, stays, and cools down from whenever it is told to, by 1 - sqrt(t): it reaches what a cosine
of the same length reaches, and the length need not be known beforehand (Hägele et al. 2024, arXiv 2405.18392).
"""

import math
from collections.abc import Callable
from typing import cast

from torch.optim.lr_scheduler import LambdaLR, LRScheduler

Factor = Callable[[float], float]
"""What the learning rate is multiplied by, by the steps that are done."""
_RATE, _WIDTH, _POWER = 5e-4, 2000, 0.43
OPEN_WARMUP = 10
"""Steps of warm-up where the number of steps is not known."""


def learning_rate_of(width: int) -> float:
    """The peak learning rate for a model whose hidden states are `width` wide.

    5e-5 * 10 * (2000 / width) ** 0.43: the form that Schulman et al. ("LoRA without regret", 2025) fitted over many
    models, in which an adapter takes ten times the rate of plain fine-tuning. Their exponent is 0.781 for Llama and
    0.0775 for Qwen; this one lies in the middle, and was best of three on the starter (docs/LOG.md).
    """
    return float(f"{_RATE * (_WIDTH / width) ** _POWER:.2g}")


class OpenSchedule:
    """The factor of the learning rate at each step; `cool_down` begins its end.

    torch stores the attributes of this object in a checkpoint, so that a resumed run goes on with the same end.
    """

    def __init__(self, warmup: int = OPEN_WARMUP) -> None:
        self.warmup = warmup
        self.begin: int | None = None  # the step at which the rate begins to fall
        self.length = 0  # the steps over which it falls

    @property
    def end(self) -> float:
        """The number of steps after which training is over; infinite until that is known."""
        return math.inf if self.begin is None else self.begin + self.length

    def cool_down(self, step: int, length: int) -> None:
        """Let the rate fall to nothing over the next `length` steps after `step`."""
        self.begin, self.length = step, length

    def __call__(self, step: int) -> float:
        """The factor for the step after `step` finished ones; never 0 before the end."""
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        if self.begin is None or step < self.begin:
            return warm
        return warm * max(0.0, 1 - math.sqrt((step - self.begin) / (self.length + 1)))


def without_idle_start(scheduler: LRScheduler, warmup: int) -> LRScheduler:
    """The same schedule with a warm-up whose first step has a rate: in transformers' own it is 0, and moves nothing.

    The warm-up keeps its length and its shape: a straight one rises from 1 / (warmup + 1) in equal parts.
    """
    if not isinstance(scheduler, LambdaLR) or all(factor(0) for factor in scheduler.lr_lambdas):
        return scheduler
    return LambdaLR(scheduler.optimizer, [_started(cast(Factor, factor), warmup) for factor in scheduler.lr_lambdas])


def _started(factor: Factor, warmup: int) -> Factor:
    return lambda step: factor((step + 1) * warmup / (warmup + 1) if step < warmup else step)
