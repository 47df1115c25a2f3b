"""What hangs on transformers' training loop: the progress bar, and the guard before every optimiser step."""

from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from bakery.errors import NumericError
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
