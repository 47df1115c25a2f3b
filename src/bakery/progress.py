"""What a person sees while work goes on: a bar for what takes long, a line for every stage that ended, the seconds.

Everything goes to standard error, so that standard output stays free for results. `Progress` owns the one clock of a
run: a moment counts for the innermost stage that runs then, so that all stages together are the whole.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

STAGES = {"load": "load", "forecast": "forecast", "setup": "views", "prefix": "prefix", "writing": "writing",
          "sampling": "sampling", "teacher": "teacher", "training": "training", "gap": "evaluation",
          "validation": "evaluation", "proof": "evaluation", "saving": "saving"}  # fmt: skip
"""Under which stage of a run each clock counts; time under no stage is `other`."""
OTHER = "other"
_LONG_SECONDS = 5.0
"""A stage within another one leaves a line only when it took as long as this."""


class Verbosity(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


@dataclass(frozen=True)
class Spent:
    """What one stage of a run (one of `STAGES`, or `other`) cost.

    `seconds` are its own, without those of stages within it; `tokens` were computed, `reused` ones by an earlier run.
    """

    stage: str
    seconds: float
    tokens: int = 0
    reused: int = 0


class ProgressCallback:
    """Who is told of the work just done. This one does nothing with it; a `Stage` shows it."""

    def __call__(self, amount: int, tokens: int = 0, *, reused: bool = False) -> None:
        """Some more work is done, so many tokens of it; `reused`: an earlier run did it."""

    def tokens_only(self) -> "ProgressCallback":
        """The same for the parts of a piece of work: their tokens count, their amount does not."""
        return _TokensOnly(self)


class _TokensOnly(ProgressCallback):
    def __init__(self, whole: ProgressCallback) -> None:
        self._whole = whole

    def __call__(self, amount: int, tokens: int = 0, *, reused: bool = False) -> None:
        self._whole(0, tokens, reused=reused)


NO_PROGRESS = ProgressCallback()


class Progress:
    """Stages with bars and timings; hand one down to what takes long. `Progress(Verbosity.QUIET)` only keeps time.

    `seconds` holds the time of every clock, what ran within it included; `spent` tells where the time went.
    """

    def __init__(
        self,
        verbosity: Verbosity = Verbosity.NORMAL,
        console: Console | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.verbosity = verbosity
        self.console = console or Console(stderr=True, highlight=False)
        self.now = now
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = now()
        self._own: dict[str, float] = defaultdict(float)
        self._tokens: dict[tuple[str, bool], int] = defaultdict(int)
        self._inner = [0.0]  # for every clock that runs, outermost first: the seconds of clocks within it
        self._bars: Bars | None = None

    def spent(self) -> tuple[Spent, ...]:
        """Where the time since the beginning went: the stages in their order, `other` last; they add up to it all."""
        stages = [
            Spent(stage, self._own[stage], self._tokens[stage, False], self._tokens[stage, True])
            for stage in dict.fromkeys(STAGES.values())
            if stage in self._own
        ]
        rest = self.elapsed() - sum(spent.seconds for spent in stages)
        return (*stages, Spent(OTHER, rest))

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.now() - self._started

    def say(self, line: str) -> None:
        """One line, unless quiet."""
        if self.verbosity >= Verbosity.NORMAL:
            self.console.print(line, markup=False, soft_wrap=True)

    def detail(self, line: str) -> None:
        """One line, only when verbose."""
        if self.verbosity >= Verbosity.VERBOSE:
            self.console.print(line, markup=False, soft_wrap=True, style="dim")

    @contextmanager
    def clock(self, name: str) -> Iterator[None]:
        """Time a block under `name`, showing nothing."""
        started = self.now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            seconds = self.now() - started
            self.seconds[name] += seconds
            own = seconds - self._inner.pop()
            self._inner[-1] += seconds
            if stage := STAGES.get(name):
                self._own[stage] += own

    def count(self, name: str, tokens: int, *, reused: bool = False) -> None:
        """So many tokens more belong to what is timed under `name`; `reused`: an earlier run had computed them."""
        self._tokens[STAGES[name], reused] += tokens

    @contextmanager
    def stage(self, name: str, title: str, total: int | None, unit: str) -> Iterator["Stage"]:
        """Time a stage under `name` and show it as `title`; the block calls what it gets with the work just done."""
        outermost = self._bars is None
        bars = self._bars = self._bars or self._display()
        task = bars.add_task(title, total=total, unit=unit, rate="")
        stage, started = Stage(self, name, bars, task, total), self.now()
        try:
            if outermost:
                bars.start()
            with self.clock(name):
                yield stage
        finally:
            bars.remove_task(task)
            if outermost:
                bars.stop()
                self._bars = None
        seconds = self.now() - started
        if outermost or seconds >= _LONG_SECONDS:
            rate = f", {stage.done / seconds:,.0f} {unit}/s" if seconds >= 0.1 and stage.done else ""
            tokens = f", {stage.tokens / seconds:,.0f} tokens/s" if rate and stage.tokens and unit != "tokens" else ""
            reused = f", {stage.reused:,} tokens reused" if stage.reused else ""
            self.say(f"  {title:<22} {stage.done:,} {unit} in {seconds:.1f} s{rate}{tokens}{reused}")

    def _display(self) -> Bars:
        """One for all stages that run at a time: a terminal has room for one live display."""
        return Bars(
            "  {task.description:<22}", BarColumn(bar_width=28), MofNCompleteColumn(), "{task.fields[unit]}",
            TimeElapsedColumn(), "eta", TimeRemainingColumn(), "{task.fields[rate]}",
            console=self.console, get_time=self.now, transient=True,
            disable=self.verbosity == Verbosity.QUIET or not self.console.is_terminal,
        )  # fmt: skip


class Stage(ProgressCallback):
    """One stage while it runs; call it with the amount of work just done, and the tokens in it.

    `on_change` is called after every change, by default with no effect: for whoever shows a stage elsewhere as well.
    """

    def __init__(self, progress: Progress, name: str, bars: Bars, task: TaskID, total: int | None) -> None:
        self.done = self.tokens = self.reused = 0
        self.total, self.on_change = total, _nothing
        self._progress, self._name, self._started = progress, name, progress.now()
        self._bars, self._task = bars, task

    def __call__(self, amount: int, tokens: int = 0, *, reused: bool = False) -> None:
        """Some more work is done."""
        self.done += amount
        self._progress.count(self._name, tokens, reused=reused)
        if reused:
            self.reused += tokens
        else:
            self.tokens += tokens
        seconds = self._progress.now() - self._started
        rate = f"{self.tokens / seconds:,.0f} tokens/s" if self.tokens and seconds else ""
        self._bars.update(self._task, advance=amount, rate=rate)
        self.on_change()

    def expect(self, total: int) -> None:
        """How much there is to do, where it was not known at the start."""
        self.total = total
        self._bars.update(self._task, total=total)
        self.on_change()


def _nothing() -> None:
    """Nobody else shows the stage."""
