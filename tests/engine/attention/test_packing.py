"""Nothing is padded, nothing is cut, nothing is lost: packing and its inverse."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.attention.packing import pack, pad_right, predicting_positions, row_starts, token_batches

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)
sequences = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=20), min_size=1, max_size=8)


@settings(deadline=None)
@given(rows=sequences, first=st.integers(0, 50))
def test_packed_rows_can_be_taken_apart_again(rows, first):
    batch = pack(rows, first_position=first)
    assert [part.tolist() for part in torch.split(batch.ids[0], list(batch.lengths))] == rows
    for part, row in zip(torch.split(batch.positions[0], list(batch.lengths)), rows, strict=True):
        assert part.tolist() == list(range(first, first + len(row)))
    assert [batch.ids[0, start].item() for start in row_starts(batch.lengths)] == [row[0] for row in rows]


@pytest.mark.parametrize("rows", [[], [[1], []]])
def test_nothing_cannot_be_packed(rows):
    with pytest.raises(ValueError, match="non-empty"):
        pack(rows)


@settings(deadline=None)
@given(rows=sequences)
def test_padding_keeps_every_token_and_marks_the_rest(rows):
    ids, mask = pad_right(rows, fill=7)
    assert ids[mask.bool()].tolist() == [token for row in rows for token in row]
    assert mask.sum(1).tolist() == [len(row) for row in rows]
    assert (ids[~mask.bool()] == 7).all()


@settings(deadline=None)
@given(lengths=lengths, data=st.data())
def test_the_state_before_every_target_predicts_it(lengths, data):
    targets = [sorted(data.draw(st.sets(st.integers(1, length - 1)))) if length > 1 else [] for length in lengths]
    positions = predicting_positions(lengths, targets).tolist()
    wanted = [(row, target - 1) for row, chosen in enumerate(targets) for target in chosen]
    starts = row_starts(lengths)
    assert positions == [starts[row] + place for row, place in wanted]


@pytest.mark.parametrize("target", [0, 5, -1])
def test_a_target_that_nothing_predicts_is_refused(target):
    with pytest.raises(ValueError, match="do not lie within"):
        predicting_positions([5], [[target]])


@settings(deadline=None)
@given(lengths=lengths, budget=st.integers(1, 80))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = list(token_batches(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[row] for row in batch) <= budget
    # Longest first: two neighbouring batches would never fit into one.
    for one, other in pairwise(batches):
        assert sum(lengths[row] for row in one) + lengths[other[0]] > budget
