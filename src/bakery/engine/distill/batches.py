"""The batches of the training loop: the student's views of a few rows laid end to end, and smaller parts of them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor

from bakery.engine.attention.packing import pack, predicting_positions, token_batches


class Batch(TypedDict):
    """B rows of T tokens in all with N targets; a plain dictionary, as transformers' training loop wants it."""

    input_ids: Tensor  # [1, T]
    position_ids: Tensor  # [1, T]
    lengths: Tensor  # [B]
    predicting: Tensor  # [N], packed positions whose hidden states predict the targets
    labels: Tensor  # [N], the targets
    targets: Tensor  # [B], how many of them are each row's
    rows: Tensor  # [B], each row's index among the trainer's view pairs


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
    count = int(targets.sum())
    return {**batch, "predicting": batch["predicting"][:count], "labels": batch["labels"][:count], "targets": targets}


def _rows(batch: Batch, members: Sequence[int]) -> Batch:
    lengths, targets, chosen = batch["lengths"], batch["targets"], list(members)
    ids, positions = (torch.split(batch[name][0], lengths.tolist()) for name in ("input_ids", "position_ids"))
    starts = torch.cumsum(lengths, 0) - lengths
    own = torch.split(batch["predicting"] - torch.repeat_interleave(starts, targets), targets.tolist())
    labels = torch.split(batch["labels"], targets.tolist())
    offsets = torch.cumsum(lengths[chosen], 0) - lengths[chosen]
    return Batch(
        input_ids=torch.cat([ids[row] for row in chosen])[None],
        position_ids=torch.cat([positions[row] for row in chosen])[None],
        lengths=lengths[chosen],
        predicting=torch.cat([own[row] + offset for row, offset in zip(chosen, offsets, strict=True)]),
        labels=torch.cat([labels[row] for row in chosen]),
        targets=targets[chosen],
        rows=batch["rows"][chosen],
    )
