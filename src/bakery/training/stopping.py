"""Stopping when done: by the divergence on validation rows, measured while training."""

import copy
import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import IntervalStrategy

from bakery.settings.arguments import BakeryConfig

_OFTEN = 0.05


class StopWhenDone(TrainerCallback):  # type: ignore[misc]
    """Stop once the held-out divergence has reached the target, or has not improved for `patience` measurements.

    Args:
        target: nats per token; None: never by this.
        patience: measurements without improvement; None: never by this.
    """

    def __init__(self, target: float | None, patience: int | None) -> None:
        self.target, self.patience = target, patience
        self.best, self.waited = math.inf, 0
        self.reason: str | None = None

    def on_evaluate(
        self, args: BakeryConfig, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        """Look at the newest measurement."""
        divergence = metrics.get("eval_loss", math.inf)
        if self.target is not None and divergence <= self.target:
            self.reason = f"held-out divergence {divergence:.4f} has reached target_divergence {self.target:g}"
        self.waited = 0 if divergence < self.best else self.waited + 1
        self.best = min(self.best, divergence)
        if self.patience is not None and self.waited >= self.patience:
            self.reason = f"held-out divergence has not improved on {self.best:.4f} for {self.waited} measurements"
        control.should_training_stop = control.should_training_stop or self.reason is not None


def stops_early(args: BakeryConfig) -> bool:
    """Whether a bake may end before its last step."""
    return args.target_divergence is not None or args.patience is not None


def measuring_often(args: BakeryConfig) -> BakeryConfig:
    """The same settings, measuring on validation rows twenty times a run if they would not measure at all."""
    if not stops_early(args) or args.eval_strategy != IntervalStrategy.NO:
        return args
    args = copy.copy(args)
    args.eval_strategy, args.eval_steps = IntervalStrategy.STEPS, args.eval_steps or _OFTEN
    return args
