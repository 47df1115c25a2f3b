"""What a bake does is recorded as it happens, and it stops where it is told to."""

import pytest

from bakery.progress import Verbosity
from bakery.taste.bake_record import (
    MOST_POINTS,
    BakeState,
    Record,
    RecordedProgress,
    Stopped,
    next_answer,
    thinned,
)


@pytest.fixture
def record():
    return Record(BakeState(1, "running", "out", "Who?"))


@pytest.fixture
def progress(record):
    return RecordedProgress(record, Verbosity.QUIET)


def stages(record):
    return [(one.title, one.unit, one.done, one.total, one.running) for one in record.state.stages]


def test_stages_are_recorded_while_they_run_and_when_they_have_ended(record, progress):
    with progress.stage("training", "training", None, "steps") as stage:
        assert stages(record) == [("training", "steps", 0, None, True)]
        stage.expect(5)
        stage(2)
        assert stages(record) == [("training", "steps", 2, 5, True)]
        with progress.stage("validation", "measuring validation", 7, "tokens") as inner:
            inner(7)
            assert stages(record)[1] == ("measuring validation", "tokens", 7, 7, True)
        stage(3)
    with progress.stage("proof", "measuring the proof", 1, "answers"):
        pass
    assert stages(record) == [("training", "steps", 5, 5, False), ("measuring the proof", "answers", 0, 1, False)]


def test_lines_are_recorded_but_for_those_that_tell_the_end_of_a_stage(record, progress):
    progress.say("  the prompt changes the model by 3.5 nats per token")
    with progress.stage("gap", "measuring the gap", 2, "answers") as stage:
        stage(2)
    assert record.state.notes == ("the prompt changes the model by 3.5 nats per token",)


def test_a_stop_is_seen_at_the_next_piece_of_work(record, progress):
    with progress.stage("training", "training", 9, "steps") as stage:
        stage(1)
        record.stop()
        with pytest.raises(Stopped):
            stage(1)
    assert stages(record) == [("training", "steps", 2, 9, False)]
    with pytest.raises(Stopped), progress.stage("proof", "measuring the proof", 1, "answers"):
        pytest.fail("it has begun")


def test_a_stop_is_for_the_bake_what_an_interrupt_is():
    assert issubclass(Stopped, KeyboardInterrupt)


def test_answers_are_ever_further_apart():
    asked = [0]
    while asked[-1] < 100:
        asked.append(next_answer(asked[-1]))
    assert asked == [0, 8, 12, 18, 27, 40, 60, 90, 135]


def test_a_long_curve_is_thinned_and_its_held_out_figures_and_newest_points_stay():
    curve = ()
    for step in range(1, 5 * MOST_POINTS):
        curve = thinned((*curve, {"step": step, "eval_loss" if step % 100 == 0 else "loss": 1.0}))
        assert len(curve) <= MOST_POINTS
        assert curve[-1]["step"] == step
    assert [line["step"] for line in curve if "eval_loss" in line] == list(range(100, 5 * MOST_POINTS, 100))
    assert [line["step"] for line in curve] == sorted(line["step"] for line in curve)
