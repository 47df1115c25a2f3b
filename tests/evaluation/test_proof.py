"""What the figures of a proof say by themselves: when there is no gap, and which figure is called drift."""

import pytest

from tests.proof_support import made_proof, nats


@pytest.mark.parametrize(
    ("mean", "largest_row", "is_none"),
    [(0.009, 0.09, True), (0.01, 0.09, False), (0.009, 0.1, False), (1.0, 2.0, False)],
)
def test_there_is_no_gap_where_neither_the_mean_nor_any_row_moves(mean, largest_row, is_none):
    gap = made_proof(gap=mean, largest_row=largest_row).gap
    assert gap.is_none == is_none


def test_drift_is_the_largest_change_over_the_sets_of_rows():
    neutral, own = nats(0.2), nats(0.1)
    both = made_proof(side_effects={"neutral": neutral, "anchor_file": own})
    assert (both.drift, both.drifted_on) == (neutral, "neutral")
    assert made_proof(side_effects={"anchor_file": own}).drift == own
    without = made_proof(side_effects={})
    assert (without.drift, without.drifted_on) == (None, None)


def test_the_main_set_is_the_questions_of_the_measured_rows():
    proof = made_proof(measured_on="validation")
    assert proof.main_set is proof.sets["validation"]
