"""What a person sees while work goes on: a bar for what takes long, a line for every stage that ended, the seconds.

Everything goes to standard error, so that standard output stays free for results.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Verbosity(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Progress:
    """Stages with bars and timings; hand one down to what takes long. `Progress(Verbosity.QUIET)` only keeps time."""

    def __init__(self, verbosity: Verbosity = Verbosity.NORMAL, console: Console | None = None) -> None:
        self.verbosity = verbosity
        self.console = console or Console(stderr=True, highlight=False)
        self.seconds: dict[str, float] = {}

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
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    @contextmanager
    def stage(self, name: str, title: str, total: int | None, unit: str) -> Iterator["Stage"]:
        """Time a stage under `name` and show it as `title`; the block calls what it gets with the work just done."""
        started = time.perf_counter()
        bars = Bars(
            TextColumn("  {task.description:<22}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=self.verbosity == Verbosity.QUIET or not self.console.is_terminal,
        )
        with bars:
            stage = Stage(bars, bars.add_task(title, total=total))
            yield stage
        seconds = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        rate = f", {stage.done / seconds:,.0f} {unit}/s" if seconds >= 0.1 and stage.done else ""
        self.say(f"  {title:<22} {stage.done:,} {unit} in {seconds:.1f} s{rate}")


class Stage:
    """One stage while it runs; call it with the amount of work just done."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self.done = 0
        self._bars, self._task = bars, task

    def __call__(self, amount: int) -> None:
        """Some more work is done."""
        self.done += amount
        self._bars.advance(self._task, amount)

    def expect(self, total: int) -> None:
        """How much there is to do, where it was not known at the start."""
        self._bars.update(self._task, total=total)
