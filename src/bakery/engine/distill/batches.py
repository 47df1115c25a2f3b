"""The batches of the training loop: the student's views of a few rows laid end to end, and the same in smaller parts.

A batch holds input_ids, position_ids [1, T]; lengths [B]; predicting [N], the packed positions whose hidden states
predict the targets; labels [N], the targets; targets [B], how many of them are each row's; rows [B], each row's number
in the teacher's store.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bakery.engine.attention.packing import pack, predicting_positions, token_batches

Batch = dict[str, Tensor]


def prompt_baking_collator(rows: Sequence[Mapping[str, Any]]) -> Batch:
    """A batch of rows (dictionaries with `row`, `input_ids` and `targets`, the positions of the targets).

    Raises:
        ValueError: when a row has no target.
    """
    if any(not row["targets"] for row in rows):
        raise ValueError("a row without targets has nothing to learn from")
    packed = pack([row["input_ids"] for row in rows])
    return {
        "input_ids": packed.ids,
        "position_ids": packed.positions,
        "lengths": torch.tensor(packed.lengths),
        "predicting": predicting_positions(packed.lengths, [row["targets"] for row in rows]),
        "labels": torch.tensor([row["input_ids"][target] for row in rows for target in row["targets"]]),
        "targets": torch.tensor([len(row["targets"]) for row in rows]),
        "rows": torch.tensor([row["row"] for row in rows]),
    }


def within_budget(batch: Batch, budget: int) -> list[Batch]:
    """The batch in parts of at most `budget` tokens (a longer row stands alone), their rows in the batch's order."""
    lengths = batch["lengths"].tolist()
    if sum(lengths) <= budget:
        return [batch]
    return [_rows(batch, sorted(members)) for members in token_batches(lengths, budget)]


def without_targets_from(batch: Batch, first: int) -> Batch:
    """The batch with nothing to learn in its rows from `first` on; they are computed and count nothing.

    Data-parallel processes need batches of equal number, so the last ones are filled up with rows that were seen.
    """
    targets = batch["targets"].clone()
    targets[first:] = 0
    kept = int(targets.sum())
    return {**batch, "predicting": batch["predicting"][:kept], "labels": batch["labels"][:kept], "targets": targets}


def _rows(batch: Batch, members: Sequence[int]) -> Batch:
    lengths, targets = batch["lengths"].tolist(), batch["targets"].tolist()
    part = {name: batch[name][list(members)] for name in ("lengths", "targets", "rows")}
    for name in ("input_ids", "position_ids"):
        pieces = torch.split(batch[name][0], lengths)
        part[name] = torch.cat([pieces[row] for row in members])[None]
    starts = torch.cumsum(batch["lengths"], 0) - batch["lengths"]
    own = torch.split(batch["predicting"] - torch.repeat_interleave(starts, batch["targets"]), targets)
    labels = torch.split(batch["labels"], targets)
    offsets = torch.cumsum(part["lengths"], 0) - part["lengths"]
    part["predicting"] = torch.cat([own[row] + offset for row, offset in zip(members, offsets, strict=True)])
    part["labels"] = torch.cat([labels[row] for row in members])
    return part
