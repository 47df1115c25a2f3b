"""A forecast is work times rates; two bounds where the number of steps is open."""

import math

import pytest

from bakery.forecast.figures import (
    Memory,
    Pace,
    Range,
    Rates,
    Stage,
    Work,
    longest_of,
    parts_of,
    reading_work,
    sampling_work,
    steps_of,
    training_work,
)

PACE = Pace(views=1, sampled=2, passes=3, read=4, targets=5, trained=6, updates=7)
RATES = Rates(PACE, PACE.times(10))


def test_seconds_are_the_sum_over_all_kinds_of_work():
    assert PACE.seconds(Work(1, 1, 1, 1, 1, 1, 1)) == 1 + 2 + 3 + 4 + 5 + 6 + 7
    assert PACE.seconds(Work(sampled=3) + Work(sampled=2, updates=1)) == 2 * 5 + 7
    assert Stage("gap", Work(read=1), Work(read=1)).seconds(RATES) == 4 + 40


def test_a_slower_machine_is_slower_at_everything_but_training():
    slower = RATES.slower(2).base
    assert (slower.sampled, slower.read, slower.trained, slower.updates) == (4, 8, 6, 7)


def test_processes_share_tokens_and_not_passes():
    shared = RATES.among(4).base
    assert (shared.sampled, shared.read, shared.trained) == (0.5, 1, 1.5)
    assert (shared.passes, shared.updates) == (3, 7)


@pytest.mark.parametrize("count", [1, 4, 100, 10_000])
def test_the_longest_of_many_is_no_shorter_than_the_mean_and_no_longer_than_the_limit(count):
    longest = longest_of(count, 10, 64)
    assert 10 <= longest <= 64
    assert longest >= longest_of(max(1, count // 10), 10, 64)


def test_no_rows_are_no_work():
    assert sampling_work(0, 10, 64, 5) == Work()
    assert reading_work(0, 10, 5, 100) == Work()


def test_sampled_rows_are_read_and_written_and_each_token_of_the_longest_is_a_pass():
    work = sampling_work(4, 64, 64, 5)
    assert (work.sampled, work.read, work.passes) == (4 * 64, 20, 65)


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "most", "steps"),
    [(100, 8, 3, -1, 39), (100, 8, None, 7, 7), (100, 8, 0.5, -1, 7), (1, 8, 1, -1, 1)],
)
def test_steps_are_whole_batches_of_all_epochs_unless_they_are_given(rows, batch, epochs, most, steps):
    assert steps_of(rows, batch, epochs, most) == steps


def _training(steps):
    return [Stage("gap", Work(read=1)), Stage("training", adapted=training_work(steps, 2, 3))]


def test_training_has_two_bounds_where_its_steps_have():
    gap, training = parts_of(_training(1), _training(4), RATES)
    assert gap.seconds == Range(4, 4)
    assert training.seconds == Range(6 * 60 + 70, 4 * (6 * 60 + 70))
    assert training.read == Range(6, 24)


def test_training_ends_when_its_time_is_over_what_comes_before_it_included():
    _, training = parts_of(_training(1), _training(4), RATES, limit_seconds=1000)
    assert training.seconds == Range(430, 996)
    _, training = parts_of(_training(1), _training(4), RATES, limit_seconds=-1)
    assert training.seconds == Range(0, 0)


def test_a_proof_takes_its_share_of_the_bake_and_no_more_than_all_of_it():
    def stages(steps, read):
        return [*_training(steps), Stage("proof", Work(read=read))]

    proof = parts_of(stages(1, 400), stages(4, 400), RATES, proof_share=0.25)[-1]
    assert proof.seconds == Range(430 / 4, 1720 / 4)
    assert proof.read == Range(pytest.approx(400 * 107.5 / 1600), pytest.approx(400 * 430 / 1600))
    whole = parts_of(stages(1, 10), stages(4, 10), RATES, proof_share=0.25)[-1]
    assert (whole.seconds, whole.read) == (Range(40, 40), Range(10, 10))
    assert parts_of(stages(1, 400), stages(4, 400), RATES)[-1].seconds == Range(1600, 1600)


def test_parts_with_nothing_to_do_are_left_out():
    assert parts_of([Stage("teacher")], [Stage("teacher")], RATES) == ()


def test_the_middle_of_a_range_is_as_far_from_both_ends():
    middle = Range(10, 40).middle
    assert math.isclose(middle / 10, 40 / middle)


def test_memory_is_that_of_the_larger_of_sampling_and_training():
    memory = Memory(weights=100, adapter=1, activations=20, keys_values=5, logits=4, signal=2, available=122)
    assert memory.peak == 123
    assert not memory.fits
    assert Memory(100, 1, 20, 50, 4, 2).peak == 156
    assert Memory(100, 1, 20, 50, 4, 2).fits  # nobody tells how much there is
