"""What the student is to match: the teacher's states at target positions, computed once or, for streams, live.

The base model is frozen and the data is fixed, so the teacher's answer never changes. Its final hidden states are kept,
H numbers a token; the head turns them into the exact full-vocabulary distribution again whenever it is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bakery.divergence import TokenDivergence, fused_divergence
from bakery.forward import Paths, target_states
from bakery.models import adapter_off
from bakery.packing import pack, predicting_positions, token_batches
from bakery.prefix import PrefixCache, group_by_prefix
from bakery.views import ViewPair


@dataclass(frozen=True)
class TargetStates:
    """The teacher's states [N, H] of all rows' targets, one row after another; row i begins at `starts[i]`."""

    states_NH: Tensor
    starts: tuple[int, ...]
    counts: tuple[int, ...]

    def states(self, rows: Sequence[int]) -> Tensor:
        """The states of these rows' targets, concatenated: [sum of counts, H]."""
        return torch.cat([self.states_NH[self.starts[row] : self.starts[row] + self.counts[row]] for row in rows])


@dataclass(frozen=True)
class LiveTeacher:
    """The same answers, computed each time they are asked for: nothing is kept."""

    model: nn.Module
    pairs: Sequence[ViewPair]
    paths: Paths
    token_budget: int

    def states(self, rows: Sequence[int]) -> Tensor:
        """The states of these rows' targets, concatenated: [sum of counts, H]."""
        chosen = [self.pairs[row] for row in rows]
        return teacher_states(self.model, chosen, self.paths, self.token_budget).states(range(len(chosen)))


Teacher = TargetStates | LiveTeacher


def teacher_states(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    paths: Paths,
    token_budget: int,
    advance: Callable[[int], None] = lambda _: None,
) -> TargetStates:
    """Run the teacher (adapter off, full view) over all rows once.

    Args:
        model: carries the adapter that is switched off.
        pairs: the rows.
        paths: the shortcuts this model allows; with `paths.prefix`, rows of one prefix_key share its keys and values.
        token_budget: tokens of one packed pass.
        advance: told of every target token done.
    """
    with adapter_off(model), torch.no_grad():
        return _store(
            model,
            [(pair.teacher_ids, pair.teacher_targets, pair.prefix_key) for pair in pairs],
            paths,
            token_budget,
            advance,
        )


def student_states(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    paths: Paths,
    token_budget: int,
    advance: Callable[[int], None] = lambda _: None,
) -> TargetStates:
    """The student's states over all rows, without gradient: the model as it stands, on the student's views."""
    with torch.no_grad():
        return _store(
            model,
            [(pair.student_ids, pair.student_targets, "student") for pair in pairs],
            paths,
            token_budget,
            advance,
        )


def _store(
    model: nn.Module,
    rows: Sequence[tuple[list[int], list[int], str]],
    paths: Paths,
    token_budget: int,
    advance: Callable[[int], None],
) -> TargetStates:
    """States at the targets of (ids, targets, prefix key) rows, in the rows' order."""
    counts = tuple(len(targets) for _, targets, _ in rows)
    found: dict[int, Tensor] = {}
    # A state that predicts a target must be the row's own: everything before it may be shared.
    groups = group_by_prefix([ids for ids, _, _ in rows], [key for *_, key in rows], [t[0] - 1 for _, t, _ in rows])
    prefixes = PrefixCache(model)
    for group in groups:
        shared = len(group.ids) if paths.prefix else 0
        prefix = prefixes.get(group.ids[:shared])
        own = [rows[row][0][shared:] for row in group.rows]
        targets = [[target - shared for target in rows[row][1]] for row in group.rows]
        for members in token_batches([len(ids) for ids in own], token_budget):
            batch = pack([own[member] for member in members], first_position=shared)
            positions = predicting_positions(batch.lengths, [targets[member] for member in members])
            states = target_states(model, batch, positions, paths, prefix=prefix)
            sizes = [len(targets[member]) for member in members]
            for member, part in zip(members, torch.split(states, sizes), strict=True):
                found[group.rows[member]] = part
            advance(sum(sizes))
    starts, total = [], 0
    for count in counts:
        starts.append(total)
        total += count
    return TargetStates(torch.cat([found[row] for row in range(len(rows))]), tuple(starts), counts)


def compare(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    teacher: Teacher,
    paths: Paths,
    token_budget: int,
    *,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> TokenDivergence:
    """How far the model as it stands (student's views, no gradient) is from the teacher: every target of every row.

    Returns columns [N], row after row in the order of `pairs`.
    """
    parts: list[tuple[int, tuple[Tensor, ...]]] = []
    for members in token_batches([len(pair.student_ids) for pair in pairs], token_budget):
        chosen = [pairs[member] for member in members]
        student = student_states(model, chosen, paths, token_budget).states_NH
        with torch.no_grad():
            found = fused_divergence(
                student, teacher.states(members).to(student), paths.head, temperature=temperature, beta=beta
            )
        sizes = [len(pair.student_targets) for pair in chosen]
        parts.extend(zip(members, zip(*(torch.split(column, sizes) for column in found), strict=True), strict=True))
    rows = [row for _, row in sorted(parts, key=lambda part: part[0])]
    return TokenDivergence(*(torch.cat(column) for column in zip(*rows, strict=True)))
