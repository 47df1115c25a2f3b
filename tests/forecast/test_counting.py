"""The work of a bake grows with its rows, its answers and its steps, and every part holds what it does."""

from dataclasses import replace

import pytest

from bakery.evaluation.proving import GAP_ROWS, GAP_TOKENS
from bakery.forecast.counting import (
    ProofSizes,
    Rules,
    TrainingRows,
    gap_stage,
    measurements_within,
    proof_stage,
    sampling_stage,
    teacher_stage,
    training_stage,
)
from bakery.forecast.sizes import Sizes

RULES = Rules(trajectories=4, longest=32, proof_longest=16, answer=10, budget=2048, batch=8)
ASKED = Sizes(rows=20, teacher=12, student=12, shared=90)
GIVEN = Sizes(rows=20, answered=20, teacher=30, student=30, targets=15, shared=90)
NONE = Sizes()


def _rows(train=ASKED, anchors=NONE, validation=NONE):
    return TrainingRows(train, anchors, validation)


def test_missing_answers_are_sampled_and_given_ones_are_read_by_the_teacher():
    sampled = sampling_stage(_rows(anchors=ASKED), RULES).base
    assert sampled.sampled == 2 * 20 * 4 * 10
    assert sampled.targets == sampled.sampled  # the teacher's signal at their tokens
    assert teacher_stage(_rows(), RULES).base.read == 0
    assert teacher_stage(_rows(GIVEN), RULES).base.read == 20 * 30 + 90
    assert sampling_stage(_rows(GIVEN), RULES).sampled == 0


def test_training_reads_whole_batches_of_rows_with_their_answers():
    training = training_stage(_rows(), RULES, steps=5, measurements=0)
    assert training.adapted.trained == 5 * 8 * (12 + 10)
    assert training.adapted.updates == 5
    assert training.base.read == 0


def test_a_live_teacher_reads_at_every_step_and_nothing_before():
    live = replace(RULES, live=True)
    assert teacher_stage(_rows(GIVEN), live).base.read == 0
    assert training_stage(_rows(GIVEN), live, 5, 0).base.read == 5 * 8 * 30


def test_validation_is_answered_once_and_read_at_every_measurement():
    rows = _rows(validation=ASKED)
    once, often = (training_stage(rows, RULES, 5, count) for count in (1, 10))
    assert once.base == often.base
    assert once.base.sampled == 20 * 4 * 10
    assert often.adapted.read == 10 * once.adapted.read == 10 * 20 * 4 * (12 + 10)


def _proof(count=20):
    own = replace(ASKED, rows=count)
    return ProofSizes({"heldout": own}, "heldout", own, [own], [own])


def test_the_gap_is_known_from_a_few_short_answers():
    gap = gap_stage(_proof(), RULES)
    assert gap.adapted.sampled == 0
    assert gap.base.sampled == 16 * 10
    assert gap_stage(_proof(40), RULES).sampled == gap.sampled
    assert gap_stage(_proof(5), RULES).base.sampled == 5 * 10
    longer = replace(RULES, answer=100, proof_longest=100)
    assert gap_stage(_proof(), longer).base.sampled == GAP_ROWS * GAP_TOKENS


def test_the_proof_asks_the_base_and_the_baked_model():
    proof = proof_stage(_proof(), RULES)
    assert proof.base.sampled == (2 + 2 + 3) * 20 * 10  # both, the teacher's noise, and answers to compare along
    assert proof.adapted.sampled == 2 * 20 * 10


def test_more_rows_and_longer_answers_are_more_work():
    work = proof_stage(_proof(), RULES)
    assert proof_stage(_proof(40), RULES).sampled == 2 * work.sampled
    assert proof_stage(_proof(), replace(RULES, answer=12)).read > work.read
    assert proof_stage(_proof(), replace(RULES, answer=100)).sampled == 1.6 * work.sampled  # cut at proof_longest


def test_measurements_of_an_open_end_are_ever_further_apart():
    assert measurements_within(1, 20, 1.15) == 2
    first, second = (measurements_within(steps, 20, 1.15) for steps in (40, 80))
    assert second - first == pytest.approx(first - 2)
