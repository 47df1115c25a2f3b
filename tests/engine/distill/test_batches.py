"""A batch in parts is the same batch, and rows that only fill it up teach nothing."""

import pytest
import torch

from bakery.engine.distill.batches import prompt_baking_collator, within_budget, without_targets_from


def _batch():
    rows = [
        {"row": 10 + row, "input_ids": list(range(100 * row, 100 * row + length)), "targets": list(range(2, length, 2))}
        for row, length in enumerate([5, 9, 3, 8])
    ]
    return rows, prompt_baking_collator(rows)


@pytest.mark.parametrize("budget", [1, 8, 12, 17, 24, 25])
def test_a_batch_in_parts_is_the_same_batch(budget):
    rows, batch = _batch()
    parts = within_budget(batch, budget)
    assert sorted(row for part in parts for row in part["rows"].tolist()) == [10, 11, 12, 13]
    for part in parts:
        wanted = prompt_baking_collator([rows[row - 10] for row in part["rows"].tolist()])
        assert all(torch.equal(part[name], wanted[name]) for name in wanted)
        assert part["input_ids"].shape[1] <= budget or len(part["rows"]) == 1


def test_rows_that_only_fill_up_a_batch_have_no_targets():
    _, batch = _batch()
    filled = without_targets_from(batch, 2)
    assert filled["targets"].tolist() == [2, 4, 0, 0]
    assert filled["labels"].tolist() == batch["labels"][:6].tolist()
    assert filled["predicting"].tolist() == batch["predicting"][:6].tolist()
    assert filled["input_ids"].shape == batch["input_ids"].shape
    assert without_targets_from(batch, 0)["labels"].numel() == 0


def test_labels_are_the_tokens_that_the_predicting_positions_come_before():
    _, batch = _batch()
    assert torch.equal(batch["labels"], batch["input_ids"][0, batch["predicting"] + 1])


def test_a_row_without_targets_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        prompt_baking_collator([{"row": 0, "input_ids": [1, 2], "targets": []}])
