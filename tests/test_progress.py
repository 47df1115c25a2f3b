"""One clock for a whole run: every moment counts once, for the innermost stage; a terminal sees how far it is."""

import io
import re

import pytest
from rich.console import Console

from bakery.progress import Progress, Spent, Verbosity


class Clock:
    """Stands still until it is told how many seconds have passed."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time

    def passes(self, seconds):
        self.time += seconds


@pytest.fixture
def clock():
    return Clock()


def watched(clock, *, terminal=False, width=140):
    shown = io.StringIO()
    console = Console(file=shown, width=width, force_terminal=terminal, highlight=False)
    return Progress(console=console, now=clock), shown


def test_every_moment_counts_once_for_the_innermost_stage(clock):
    progress, _ = watched(clock)
    clock.passes(1)
    with progress.clock("bake"):  # holds others and is no stage itself
        clock.passes(2)
        with progress.stage("sampling", "sampling answers", 3, "answers") as sampling:
            clock.passes(4)
            with progress.stage("prefix", "reading the prefix", 50, "tokens") as prefix:
                clock.passes(8)
                prefix(50, 50)
            sampling(3, 30)
        with progress.stage("training", "training", 2, "steps") as training:
            clock.passes(16)
            training(2, 60)
            with progress.stage("validation", "measuring validation", 7, "tokens") as validation:
                clock.passes(32)
                validation(7, 7)
    with progress.stage("proof", "measuring the proof", 5, "answers") as proof:
        clock.passes(64)
        proof.tokens_only()(9, 11)
        with progress.stage("prefix", "reading the prefix", 50, "tokens") as prefix:
            clock.passes(128)
            prefix(50, 50)
        proof(5)
    assert proof.done == 5
    assert progress.spent() == (
        Spent("prefix", 8 + 128, 100),
        Spent("sampling", 4, 30),
        Spent("training", 16, 60),
        Spent("evaluation", 32 + 64, 18),
        Spent("other", 1 + 2),
    )
    assert progress.seconds["bake"] == 2 + 4 + 8 + 16 + 32
    assert progress.seconds["sampling"] == 4 + 8


def test_what_an_earlier_run_did_is_counted_apart(clock):
    progress, shown = watched(clock)
    with progress.stage("teacher", "asking the teacher", 100, "tokens") as teacher:
        teacher(30, 30, reused=True)
        clock.passes(1)
        teacher(70, 70)
    assert progress.spent()[0] == Spent("teacher", 1, 70, 30)
    assert "30 tokens reused" in shown.getvalue()


def test_a_stage_that_fails_is_timed_and_leaves_nothing_running(clock):
    progress, shown = watched(clock)

    def fail():
        stage = progress.stage
        with stage("training", "training", 2, "steps"), stage("validation", "measuring", 7, "tokens"):
            clock.passes(3)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with progress.clock("saving"):
        clock.passes(4)
    assert progress.spent() == (
        Spent("training", 0), Spent("evaluation", 3), Spent("saving", 4), Spent("other", 0))  # fmt: skip
    assert shown.getvalue() == ""


def test_a_terminal_sees_rate_and_end_of_a_stage_and_of_what_runs_in_it(clock):
    progress, shown = watched(clock, terminal=True)
    with progress.stage("sampling", "sampling answers", 4, "answers") as sampling:
        for _ in range(2):
            clock.passes(1)
            sampling(1, 20)
        with progress.stage("prefix", "reading the prefix", 80, "tokens") as prefix:
            for _ in range(4):
                clock.passes(1)
                prefix(10, 10)
            progress._bars.refresh()
            screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    outer, inner = screen.splitlines()[-2:]
    assert re.search(r"sampling answers .* 2/4 +answers +0:00:06 eta 0:00:02 20 tokens/s", outer)
    assert re.search(r"reading the prefix .* 40/80 +tokens +0:00:04 eta 0:00:04 10 tokens/s", inner)


@pytest.mark.parametrize(("seconds", "lines"), [(4, 1), (6, 2)])
def test_a_stage_within_another_leaves_a_line_when_it_was_long(seconds, lines, clock):
    progress, shown = watched(clock)
    with progress.stage("sampling", "sampling answers", 4, "answers") as sampling:
        with progress.stage("prefix", "reading the prefix", 80, "tokens") as prefix:
            clock.passes(seconds)
            prefix(80, 80)
        sampling(4, 60)
    found = shown.getvalue().splitlines()
    assert len(found) == lines
    assert found[-1] == f"  sampling answers       4 answers in {seconds}.0 s, 1 answers/s, {60 / seconds:.0f} tokens/s"


def test_quiet_keeps_time_and_says_nothing(clock):
    shown = io.StringIO()
    progress = Progress(Verbosity.QUIET, Console(file=shown, force_terminal=True), clock)
    with progress.stage("teacher", "asking the teacher", 1, "tokens") as teacher:
        clock.passes(1)
        teacher(1, 1)
    assert progress.spent() == (Spent("teacher", 1, 1), Spent("other", 0))
    assert shown.getvalue() == ""


def test_whoever_shows_a_stage_elsewhere_is_told_of_every_change():
    seen = []
    with Progress(Verbosity.QUIET).stage("proof", "measuring the proof", None, "answers") as stage:
        stage.on_change = lambda: seen.append((stage.done, stage.total))
        stage.expect(3)
        stage(2)
        stage.tokens_only()(1, 7)
    assert seen == [(0, 3), (2, 3), (2, 3)]
