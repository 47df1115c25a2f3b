"""What hangs on transformers' training loop: the progress bar, the guard before every step, the means it logs."""

from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState

from bakery.engine.distill.objective import TokenDivergence
from bakery.engine.model.process_group import ProcessGroup
from bakery.errors import NumericError
from bakery.interruption import Interrupted, Interruption
from bakery.progress import Progress, Stage
from bakery.settings.arguments import BakeryConfig


class ShowSteps(TrainerCallback):  # type: ignore[misc]
    """The training loop on Bakery's own progress bar; the log lines in detail."""

    def __init__(self, stage: Stage, progress: Progress) -> None:
        self._stage, self._progress = stage, progress

    def on_train_begin(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Now the number of steps is known."""
        self._stage.expect(state.max_steps - state.global_step)

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """One more step is done."""
        self._stage(1)

    def on_log(
        self, args: BakeryConfig, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """Show what is logged, when verbose."""
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if isinstance(value, float | int))
        self._progress.detail(f"    step {state.global_step}: {numbers}")


class FiniteGradients(TrainerCallback):  # type: ignore[misc]
    """No optimiser step on a gradient that is not finite (with fp16 the gradient scaler skips such steps itself)."""

    def on_pre_optimizer_step(
        self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Look at all gradients at once.

        Raises:
            NumericError: one of them is not finite.
        """
        if args.fp16:
            return
        gradients = [p.grad for p in others["model"].parameters() if p.grad is not None]
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            raise NumericError(
                f"a gradient is not finite at step {state.global_step}: lower learning_rate, or use float32 or bfloat16"
            )


class StopWhenAsked(TrainerCallback):  # type: ignore[misc]
    """End the training after the step in which somebody asks for it, once its checkpoint is complete."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._asked = 0

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save where any of the processes was asked to stop."""
        self._asked = max(ProcessGroup.current().gather([self._interruption.asked]))
        control.should_save |= bool(self._asked)

    def on_save(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop, now that it is saved.

        Raises:
            Interrupted: somebody has asked.
        """
        if self._asked:
            raise Interrupted(self._asked, f"checkpoint-{state.global_step}")


class RunningMeans:
    """Means of what the loss sees beside itself, between two log lines."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._sums: dict[str, Tensor | float] = {"teacher_entropy": 0.0, "agreement": 0.0}
        self._count = 0

    def add(self, measured: TokenDivergence) -> None:
        """What one pass has measured."""
        self._sums["teacher_entropy"] += measured.teacher_entropy.sum()  # stays on the device until it is read
        self._sums["agreement"] += measured.agreement.sum()
        self._count += measured.agreement.numel()

    def read(self, processes: ProcessGroup) -> dict[str, float]:
        """The means since the last reading, over all processes."""
        read = processes.gather([(*(float(total) for total in self._sums.values()), self._count)])
        *sums, count = (sum(column) for column in zip(*read, strict=True))
        means = {name: total / count for name, total in zip(self._sums, sums, strict=True)} if count else {}
        self._clear()
        return means
