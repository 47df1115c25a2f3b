"""The model under one condition, read at the targets of many rows: planned in blocks behind shared prefixes."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bakery.chat.views import ViewPair
from bakery.engine.attention.packing import pack, predicting_positions, token_batches
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.forward import Shortcuts, target_states
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.model.adapters import acting
from bakery.engine.tensor_types import Float


@dataclass(frozen=True)
class TargetRow:
    """Token ids, where the targets are, and with whom the row may share its first tokens."""

    ids: list[int]
    targets: list[int]
    prefix_key: str


@dataclass(frozen=True)
class Block:
    """Rows (indices) that are run in one pass, behind the first tokens they share."""

    shared: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class TargetPass:
    """Reads a model at targets, without gradient.

    Args:
        model: carries the adapters that the condition names.
        condition: which adapters act, and which view of a row is read.
        shortcuts: those this model allows.
        prefixes: where keys and values of prefixes are cached; of the model under this condition.
        token_budget: tokens of one packed pass.
        autocast: entered around every pass.
    """

    model: nn.Module
    condition: Condition
    shortcuts: Shortcuts
    prefixes: PrefixCache
    token_budget: int
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def row(self, pair: ViewPair) -> TargetRow:
        """The view of a row that this condition reads."""
        if self.condition.prompted:
            return TargetRow(pair.teacher_ids, pair.teacher_targets, pair.prefix_key)
        return TargetRow(pair.student_ids, pair.student_targets, "student")

    def plan(self, rows: Sequence[TargetRow]) -> list[Block]:
        """All rows in blocks of at most `token_budget` tokens beside the shared ones (a longer row stands alone)."""
        # A state that predicts a target must be the row's own: everything before it may be shared.
        limits = [row.targets[0] - 1 for row in rows]
        blocks = []
        for group in group_by_prefix([row.ids for row in rows], [row.prefix_key for row in rows], limits):
            shared = group.ids if self.shortcuts.prefix else ()
            lengths = [len(rows[row].ids) - len(shared) for row in group.rows]
            for members in token_batches(lengths, self.token_budget):
                blocks.append(Block(shared, tuple(group.rows[member] for member in members)))
        return blocks

    def states(self, rows: Sequence[TargetRow], block: Block) -> Float[Tensor, "N H"]:
        """What the LM head turns into logits, at the targets of the block's rows, row after row (or logits [N, V])."""
        skip = len(block.shared)
        members = [rows[row] for row in block.rows]
        batch = pack([row.ids[skip:] for row in members], first_position=skip)
        positions = predicting_positions(batch.lengths, [[target - skip for target in row.targets] for row in members])
        with torch.no_grad(), acting(self.model, self.condition.adapters), self.autocast():
            prefix = self.prefixes.get(block.shared)
            return target_states(self.model, batch, positions, self.shortcuts, prefix=prefix)

    def all_states(self, pairs: Sequence[ViewPair]) -> Float[Tensor, "N H"]:
        """The states at all targets of these rows, row after row in their order."""
        rows = [self.row(pair) for pair in pairs]
        parts: dict[int, Tensor] = {}
        with acting(self.model, self.condition.adapters):
            for block in self.plan(rows):
                sizes = [len(rows[row].targets) for row in block.rows]
                parts |= zip(block.rows, torch.split(self.states(rows, block), sizes), strict=True)
        return torch.cat([parts[row] for row in range(len(rows))])
