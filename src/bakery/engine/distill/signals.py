"""What an objective has to know of the teacher at every target: typed columns, computed once and stored.

Shapes: N targets, H hidden width, V vocabulary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from bakery.engine.tensor_types import Float, Int


@dataclass(frozen=True)
class TeacherSignal:
    """Columns at N targets; every field of a kind of signal is one tensor [N, ...]."""

    @property
    def columns(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, targets: slice) -> Self:
        """Some of the targets; nothing is copied."""
        return type(self)(**{name: column[targets] for name, column in self.columns.items()})

    def split(self, sizes: Sequence[int]) -> list[Self]:
        """Consecutive parts of these sizes; nothing is copied."""
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        return [self[start:end] for start, end in pairwise(ends)]

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return type(self)(**{name: column.to(device) for name, column in self.columns.items()})

    def clone(self) -> Self:
        """A copy that shares no memory with a larger signal it was a part of."""
        return type(self)(**{name: column.clone() for name, column in self.columns.items()})

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """All targets of the parts, of which there is at least one, in order."""
        columns = [part.columns for part in parts]
        return cls(**{name: torch.cat([part[name] for part in columns]) for name in columns[0]})


@dataclass(frozen=True)
class Moments(TeacherSignal):
    """The moments of N distributions over the vocabulary, in float32 or wider (see `moments.py`)."""

    mean: Float[Tensor, "N H"]  # the expected row of the head's weight
    entropy: Float[Tensor, "N"]  # nats
    best: Int[Tensor, "N"]  # the most likely token


@dataclass(frozen=True)
class States(TeacherSignal):
    """Final hidden states, or logits [N, V] of a model whose LM head cannot be taken out."""

    states: Float[Tensor, "N H"]


KINDS: dict[str, type[TeacherSignal]] = {"moments": Moments, "states": States}
"""The kinds of signal by the name under which they are stored."""
