"""What a bake does, recorded while it goes on: one thread bakes and writes, any other may read or ask it to stop."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState

from bakery.chat.views import PromptPair
from bakery.progress import Progress, Stage, Verbosity
from bakery.settings.arguments import BakeryConfig
from bakery.training.trainer import ContextBakingTrainer

LONGEST_ANSWER = 64
"""Tokens of an answer while the model learns."""
MOST_POINTS = 400
"""Of the curve that is shown."""
_FIRST_ANSWERS, _GROWTH = 8, 1.5
"""Steps between the first two answers, and by how much each later one is further on."""

Phase = Literal["idle", "running", "done", "stopped", "failed"]


class Stopped(KeyboardInterrupt):
    """The bake was told to stop: for the bake the same as Ctrl-C in a terminal."""


@dataclass(frozen=True)
class StageState:
    """One stage of a bake: how much of it is done, in how many seconds; `total` may not be known."""

    title: str
    unit: str
    done: int
    total: int | None
    seconds: float
    running: bool


@dataclass(frozen=True)
class LearnedAnswer:
    """What the model answered after so many steps."""

    step: int
    text: str


@dataclass(frozen=True)
class BakeState:
    """A bake at one moment.

    Args:
        number: which of the bakes of a page it is; 0: none has begun.
        phase: whether it goes on, and how it ended.
        folder: where it goes.
        question: asked again and again as the model learns.
        prompted: the prompted model's answer to it.
        answers: the model's own ones, oldest first.
        stages: in their order.
        notes: the lines that the terminal shows.
        curve: log lines of the training with a loss.
        error: why it failed.
    """

    number: int = 0
    phase: Phase = "idle"
    folder: str = ""
    question: str = ""
    prompted: str = ""
    answers: tuple[LearnedAnswer, ...] = ()
    stages: tuple[StageState, ...] = ()
    notes: tuple[str, ...] = ()
    curve: tuple[Mapping[str, float], ...] = ()
    error: str = ""


class Record:
    """The state of a bake. One thread changes it, any may read it or ask for a stop."""

    def __init__(self, state: BakeState) -> None:
        self.state = state
        self._stop = threading.Event()

    def change(self, **changes: Any) -> None:
        """Replace parts of the state."""
        self.state = replace(self.state, **changes)

    def stop(self) -> None:
        """Let the bake stop as soon as it looks."""
        self._stop.set()

    def check(self) -> None:
        """Look whether to stop.

        Raises:
            Stopped: it was told to.
        """
        if self._stop.is_set():
            raise Stopped


class RecordedProgress(Progress):
    """Shows a bake in the terminal as ever, and records its stages and lines."""

    def __init__(self, record: Record, verbosity: Verbosity) -> None:
        super().__init__(verbosity)
        self._record = record

    def say(self, line: str) -> None:
        """One line, recorded even when the terminal is quiet; of stages the record knows more."""
        super().say(line)
        state, told = self._record.state, line.strip()
        if not any(told.startswith(f"{stage.title} ") for stage in state.stages):  # that a stage has ended is known
            self._record.change(notes=(*state.notes, told))

    @contextmanager
    def stage(self, name: str, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        """As ever; the record has it as its last stage until it ends."""
        self._record.check()
        with super().stage(name, title, total, unit) as stage:
            before, started = self._record.state.stages, self.now()

            def show(*, running: bool) -> None:
                seconds = self.now() - started
                own = StageState(title, unit, stage.done, stage.total, seconds, running)
                self._record.change(stages=(*before, own))

            def go_on() -> None:
                show(running=True)
                self._record.check()

            stage.on_change = go_on
            show(running=True)
            try:
                yield stage
            finally:
                show(running=False)


class RecordedTraining(TrainerCallback):  # type: ignore[misc]
    """Records the training curve, and asks the model the same question as it learns.

    Args:
        record: what is written to.
        trainer: trains.
        prompt: what the model is asked, without the prompt that is baked.
    """

    def __init__(self, record: Record, trainer: ContextBakingTrainer, prompt: PromptPair) -> None:
        self._record, self._trainer, self._prompt = record, trainer, prompt

    def on_train_begin(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The answer before the first step."""
        self._ask(state.global_step)

    def on_step_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """An answer where one is due.

        Raises:
            Stopped: the bake was told to.
        """
        self._record.check()
        if state.global_step >= next_answer(self._record.state.answers[-1].step):
            self._ask(state.global_step)

    def on_log(
        self, args: BakeryConfig, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **_: Any
    ) -> None:
        """One more point of the curve."""
        heldout = [float(value) for name, value in logs.items() if name.startswith("eval") and name.endswith("loss")]
        point = {"loss": float(logs["loss"])} if "loss" in logs else {"eval_loss": mean(heldout)} if heldout else {}
        if point:
            self._record.change(curve=thinned((*self._record.state.curve, {"step": float(state.global_step), **point})))

    def on_train_end(self, args: BakeryConfig, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The answer after the last step."""
        if self._record.state.answers[-1].step != state.global_step:
            self._ask(state.global_step)

    def _ask(self, step: int) -> None:
        engine = self._trainer.engine
        (answer,) = engine.answers(engine.student_condition, [self._prompt], max_new_tokens=LONGEST_ANSWER)
        text = str(engine.tokenizer.decode(list(answer.ids), skip_special_tokens=True))
        self._record.change(answers=(*self._record.state.answers, LearnedAnswer(step, text)))


def thinned(curve: tuple[Mapping[str, float], ...]) -> tuple[Mapping[str, float], ...]:
    """A curve that stays short however long a bake goes on: every other training loss, once there are too many."""
    if len(curve) <= MOST_POINTS:
        return curve
    losses = [line for line in curve if "loss" in line]
    dropped = {line["step"] for line in losses[-2::-2]}
    return tuple(line for line in curve if "loss" not in line or line["step"] not in dropped)


def next_answer(step: int) -> int:
    """The step of the answer after one at `step`: ever further on, so that asking costs little."""
    return max(_FIRST_ANSWERS, round(step * _GROWTH))
