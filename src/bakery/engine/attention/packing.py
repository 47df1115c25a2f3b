"""Padding-free batches: token sequences laid end to end, and groups of them under a token budget. Pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bakery.engine.tensor_types import Int

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """Sequences laid end to end. T is the sum of `lengths`; nothing is padded."""

    ids: Int[Tensor, "1 T"]
    positions: Int[Tensor, "1 T"]  # counted anew in every row, from the row's first position
    lengths: tuple[int, ...]

    def to(self, device: torch.device) -> "Packed":
        """The same batch on another device."""
        return Packed(self.ids.to(device), self.positions.to(device), self.lengths)


def pack(sequences: Sequence[Sequence[int]], first_position: int = 0) -> Packed:
    """Lay token sequences end to end; each counts its positions from `first_position` (the length of a shared prefix).

    Raises:
        ValueError: when there is no sequence or one is empty.
    """
    if not sequences or not all(sequences):
        raise ValueError("only non-empty sequences can be packed")
    lengths = tuple(len(sequence) for sequence in sequences)
    ids = torch.tensor([token for sequence in sequences for token in sequence])
    positions = torch.cat([torch.arange(first_position, first_position + length) for length in lengths])
    return Packed(ids[None], positions[None], lengths)


def row_starts(lengths: Sequence[int]) -> list[int]:
    """Where each row begins in the packed sequence: [0, l0, l0 + l1, ...], one entry a row."""
    starts, total = [], 0
    for length in lengths:
        starts.append(total)
        total += length
    return starts


def predicting_positions(lengths: Sequence[int], targets: Sequence[Sequence[int]]) -> Int[Tensor, "N"]:
    """Packed positions of the hidden states that predict the targets: one before each target.

    Args:
        lengths: the packed rows' lengths.
        targets: for every row the positions of its target tokens within the row.

    Raises:
        ValueError: when a target is the row's first token, which nothing predicts, or lies outside the row.
    """
    positions: list[int] = []
    for start, length, row in zip(row_starts(lengths), lengths, targets, strict=True):
        if any(not 0 < target < length for target in row):
            raise ValueError(f"targets {list(row)} do not lie within 1..{length - 1}")
        positions.extend(start + target - 1 for target in row)
    return torch.tensor(positions, dtype=torch.long)


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of rows in groups whose token sum stays within `budget`, longest rows first.

    A row longer than the budget stands alone: it is never cut and never dropped.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batch: list[int] = []
    filled = 0
    for index in order:
        if batch and filled + lengths[index] > budget:
            yield batch
            batch, filled = [], 0
        batch.append(index)
        filled += lengths[index]
    if batch:
        yield batch


def pad_right(sequences: Sequence[Sequence[int]], fill: int) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
    """The padded form, for models that cannot be packed: ids and mask (1 where a token is real)."""
    width = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), width), fill)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask
