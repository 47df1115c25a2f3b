"""Stopping when done: by the divergence on held-out rows, measured while training.

StopWhenDone   at a target, or when so many measurements in a row were no better
UntilDone      without a number of steps: on for as long as more training helps, then a cool-down, and the end
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState

from bakery.settings.arguments import BakeryConfig
from bakery.training.schedule import OpenSchedule

FIRST_MEASUREMENT, GROWTH = 20, 1.15
"""The step of the first measurement, and by how much each later one is further on."""
LEAST_EPOCHS = 2.5
"""Every row is read so often before training may count as done."""
_SPAN, _GAIN, _WORTH = 1.5, 0.1, 0.003
"""Training goes on while this many times as long takes such a share off the divergence, and off the first one."""
_MUCH_LEFT, _LONG_SPAN = 0.1, 3.0
"""While more than this share of the first divergence is left, so many times as long has to bring nothing.

A form of answer is learned long before the facts that are to fill it, and the divergence rests in between.
"""
COOL_DOWN = 0.3
"""Steps of the cool-down, as a share of the steps before it."""

Measurements = list[tuple[int, float]]
Ended = Literal["done", "steps", "minutes"]
"""Why the training came to its end: more of it did not help, at the most steps, or for want of time."""


def endless() -> float:
    """Seconds left where nothing limits them."""
    return math.inf


class StopWhenDone(TrainerCallback):  # type: ignore[misc]
    """Stop once the held-out divergence has reached the target, or has not improved for `patience` measurements.

    Args:
        target: nats per token; None: never by this.
        patience: measurements without improvement; None: never by this.
        seconds_left: the seconds that training may still take.
    """

    def __init__(self, target: float | None, patience: int | None, seconds_left: Callable[[], float] = endless) -> None:
        self.target, self.patience, self.seconds_left = target, patience, seconds_left
        self.best, self.waited = math.inf, 0
        self.reason: str | None = None

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop where the time is over."""
        if self.seconds_left() <= 0:
            self.reason = f"max_minutes {args.max_minutes:g} are over"
            control.should_training_stop = True

    def on_train_begin(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A run that goes on remembers what was measured before it was stopped."""
        self.look_back(state.log_history)

    def on_evaluate(
        self, args: BakeryConfig, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        """Look at the newest measurement."""
        self._look(metrics.get("eval_loss", math.inf))
        control.should_training_stop = control.should_training_stop or self.reason is not None

    def look_back(self, history: Sequence[Mapping[str, float]]) -> None:
        """Look at all measurements of a log, as if they were made now."""
        self.best, self.waited, self.reason = math.inf, 0, None
        for line in history:
            if "eval_loss" in line:
                self._look(line["eval_loss"])

    def _look(self, divergence: float) -> None:
        if self.target is not None and divergence <= self.target:
            self.reason = f"held-out divergence {divergence:.4f} has reached target_divergence {self.target:g}"
        self.waited = 0 if divergence < self.best else self.waited + 1
        self.best = min(self.best, divergence)
        if self.patience is not None and self.waited >= self.patience:
            self.reason = f"held-out divergence has not improved on {self.best:.4f} for {self.waited} measurements"


class UntilDone(TrainerCallback):  # type: ignore[misc]
    """Train while the divergence gets better, then cool the learning rate down and stop.

    Held-out rows are measured at steps that are ever further apart; without such rows the training loss takes their
    part. What was measured is read from the trainer's log, so that a resumed bake goes on from its checkpoint.

    Args:
        schedule: of the learning rate; told when to cool down.
        on_heldout: whether there are held-out rows.
        seconds_left: the seconds that training may still take.
    """

    def __init__(self, schedule: OpenSchedule, on_heldout: bool, seconds_left: Callable[[], float] = endless) -> None:
        self.schedule, self.on_heldout, self.seconds_left = schedule, on_heldout, seconds_left
        self.ended: Ended | None = None
        self._began: tuple[int, float] | None = None

    def on_train_begin(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """From here on a step's seconds are measured."""
        self._began = state.global_step, self.seconds_left()

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begin the cool-down where it is time for it, and ask for a measurement or the end where one is due."""
        step, measured = state.global_step, measurements(state.log_history, self.on_heldout)
        length = max(1, round(COOL_DOWN * step))
        if self.schedule.begin is None:
            self.ended = self._why_enough(state, length, measured)
            if self.ended:
                self.schedule.cool_down(step, length)
        over = step >= self.schedule.end or self.seconds_left() <= 0
        due = step >= next_measurement(measured[-1][0] if measured else 0) and self.schedule.begin is None
        control.should_evaluate |= self.on_heldout and (due or over)
        control.should_training_stop |= over

    def _why_enough(self, state: TrainerState, length: int, measured: Measurements) -> Ended | None:
        """Why it is time to cool down over `length` steps, if it is."""
        begin, left_then = self._began or (0, math.inf)
        step, left = state.global_step, self.seconds_left()
        if math.isfinite(left) and left <= (left_then - left) * length / (step - begin):
            return "minutes"
        if step + length >= state.max_steps:
            return "steps"
        return "done" if (state.epoch or 0) >= LEAST_EPOCHS and has_stalled(measured) else None


def measurements(history: Sequence[Mapping[str, float]], on_heldout: bool) -> Measurements:
    """(step, divergence) of every log line with a held-out divergence, or with a training loss; nats per token."""
    measured: Measurements = []
    for line in history:
        names = [name for name in line if name.endswith("loss") and name.startswith("eval") == on_heldout]
        if names and "train_loss" not in names:
            measured.append((int(line["step"]), sum(line[name] for name in names) / len(names)))
    return measured


def mean_loss(history: Sequence[Mapping[str, float]]) -> float | None:
    """The mean loss over a training, nats per token, each logged one being the mean since the one before.

    Of a training that logged none it is what transformers adds up; None where nobody knows.
    """
    measured = measurements(history, on_heldout=False)
    steps = [step for step, _ in measured]
    shares = [step - before for step, before in zip(steps, [0, *steps], strict=False)]
    if total := sum(shares):
        return sum(share * loss for share, (_, loss) in zip(shares, measured, strict=True)) / total
    return next((line["train_loss"] for line in history if "train_loss" in line), None)


def next_measurement(step: int) -> int:
    """The step of the measurement after one at `step`; the first one, at step 1, tells where the bake began."""
    return max(FIRST_MEASUREMENT, round(step * GROWTH)) if step else 1


def has_stalled(measured: Measurements) -> bool:
    """Whether the last third of the training gained little: a tenth of the best divergence, or 0.3 % of the first one.

    The longer a bake has run, the longer it has to show a gain: so the number of rows does not matter. Where more than
    a tenth of the first divergence is left, the last two thirds have to have gained little.
    """
    if not measured or measured[-1][0] < FIRST_MEASUREMENT:
        return False
    first, best = measured[0][1], min(divergence for _, divergence in measured)
    since = measured[-1][0] / (_LONG_SPAN if best > _MUCH_LEFT * first else _SPAN)
    before = min((divergence for step, divergence in measured if step <= since), default=first)
    after = min(divergence for step, divergence in measured if step > since)
    return before - after < max(_GAIN * before, _WORTH * first)
