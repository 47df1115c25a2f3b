"""What the student is to match: the teacher's signal at every target, computed once or, for streams, live.

The base model is frozen and the data is fixed, so the teacher's answer never changes. What the divergence needs of it,
about H numbers a token that stand for the exact full-vocabulary distribution, is kept in memory or in the run folder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bakery.chat.views import ViewPair
from bakery.engine.attention.packing import pack, predicting_positions, token_batches
from bakery.engine.distill.cache import Store
from bakery.engine.distill.forward import Paths, target_states
from bakery.engine.distill.objective import DivergenceObjective, TokenDivergence
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.model.loading import adapter_off
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.errors import ResourceError
from bakery.progress import NO_PROGRESS, ProgressCallback

Known = Mapping[tuple[tuple[int, ...], tuple[int, ...]], Tensor]
"""Signals [targets, K] that need not be computed, by `row_key`."""


def row_key(pair: ViewPair) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All that a row's teacher depends on, beside the model: its token ids and where its targets are."""
    return tuple(pair.teacher_ids), tuple(pair.teacher_targets)


@dataclass(frozen=True)
class PerTarget:
    """One vector for every target of every row, in blocks [n, K]: states, or signals of the teacher.

    Args:
        blocks: of a few rows each.
        places: for every row the number of its block and where the row begins in it.
        counts: for every row its number of targets.
    """

    blocks: tuple[Tensor, ...]
    places: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]

    def of(self, rows: Sequence[int]) -> Tensor:
        """Those of these rows, concatenated: [sum of counts, K]."""
        parts = [self.blocks[0][:0]]
        for row in rows:
            block, start = self.places[row]
            parts.append(self.blocks[block][start : start + self.counts[row]])
        return torch.cat(parts)

    def each(self, change: Callable[[Tensor], Tensor]) -> "PerTarget":
        """With other vectors in the place of these: `change` turns [n, K] into [n, L]."""
        return replace(self, blocks=tuple(change(block) for block in self.blocks))

    def with_known(self, known: Sequence[Tensor | None]) -> "PerTarget":
        """With rows that are known ([n, K] each) in their places; these here are the others, in order."""
        blocks, places, counts = list(self.blocks), list[tuple[int, int]](), list[int]()
        others = iter(zip(self.places, self.counts, strict=True))
        for found in known:
            place, count = next(others) if found is None else ((len(blocks), 0), len(found))
            blocks += [] if found is None else [found]
            places.append(place)
            counts.append(count)
        return PerTarget(tuple(blocks), tuple(places), tuple(counts))


@dataclass(frozen=True)
class LiveTeacher:
    """The same answers, computed each time they are asked for: nothing is kept."""

    model: nn.Module
    pairs: Sequence[ViewPair]
    paths: Paths
    measure: DivergenceObjective
    token_budget: int
    prefixes: PrefixCache

    def of(self, rows: Sequence[int]) -> Tensor:
        """Those of these rows, concatenated: [sum of counts, K]."""
        chosen = [self.pairs[row] for row in rows or (0,)]
        found = teacher_signal(self.model, chosen, self.paths, self.measure, self.token_budget, self.prefixes)
        return found.of(range(len(rows)))


Teacher = PerTarget | LiveTeacher


def teacher_signal(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    paths: Paths,
    measure: DivergenceObjective,
    token_budget: int,
    prefixes: PrefixCache,
    on_progress: ProgressCallback = NO_PROGRESS,
    *,
    store: Store | None = None,
    processes: ProcessGroup = SINGLE_PROCESS,
    known: Known | None = None,
) -> PerTarget:
    """Run the teacher (adapter off, full view) over all rows once.

    Args:
        model: carries the adapter that is switched off.
        pairs: the rows.
        paths: the shortcuts this model allows; with `paths.prefix`, rows of one prefix_key share its keys and values.
        measure: says what must be known of the teacher's states.
        token_budget: tokens of one packed pass.
        prefixes: where keys and values of prefixes are kept; of the model with its adapter off.
        on_progress: told of every target token done.
        store: where signals are kept and found again; none: in memory.
        processes: the processes that share the work.
        known: signals that are there already, such as those of sampled answers.

    Raises:
        ResourceError: the store cannot be written, or the processes do not see the same folder.
    """
    found = [(known or {}).get(row_key(pair)) for pair in pairs]
    missing = [pair for pair, signal in zip(pairs, found, strict=True) if signal is None]
    rows = [_Row(pair.teacher_ids, pair.teacher_targets, pair.prefix_key) for pair in missing]
    with adapter_off(model), torch.no_grad():
        computed = _Pass(model, rows, paths, prefixes, on_progress, measure).run(token_budget, store, processes)
    return computed.with_known(found)


def student_states(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    paths: Paths,
    token_budget: int,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> PerTarget:
    """The student's states over all rows, without gradient: the model as it stands, on the student's views."""
    rows = [_Row(pair.student_ids, pair.student_targets, "student") for pair in pairs]
    with torch.no_grad():
        return _Pass(model, rows, paths, PrefixCache(model), on_progress).run(token_budget, None, SINGLE_PROCESS)


def compare(
    model: nn.Module,
    pairs: Sequence[ViewPair],
    teacher: Teacher,
    paths: Paths,
    measure: DivergenceObjective,
    token_budget: int,
    *,
    processes: ProcessGroup = SINGLE_PROCESS,
    on_progress: ProgressCallback = NO_PROGRESS,
) -> TokenDivergence:
    """How far the model as it stands (student's views, no gradient) is from the teacher: every target of every row.

    Returns columns [N], row after row in the order of `pairs`.
    """
    parts: list[tuple[int, tuple[Tensor, ...]]] = []
    for members in processes.share(list(token_batches([len(pair.student_ids) for pair in pairs], token_budget))):
        chosen = [pairs[member] for member in members]
        student = student_states(model, chosen, paths, token_budget).of(range(len(chosen)))
        with torch.no_grad():
            found = measure.between(student, teacher.of(members).to(student.device))
        sizes = [len(pair.student_targets) for pair in chosen]
        columns = [torch.split(column.cpu() if processes.size > 1 else column, sizes) for column in found]
        parts.extend(zip(members, zip(*columns, strict=True), strict=True))
        on_progress(sum(sizes), sum(sizes))
    mine = {member for member, _ in parts}
    parts = processes.gather(parts)
    others = sum(len(pairs[member].student_targets) for member, _ in parts if member not in mine)
    on_progress(others, others)
    rows = [row for _, row in sorted(parts, key=lambda part: part[0])]
    return TokenDivergence(*(torch.cat(column) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class _Row:
    """Token ids, where states are wanted (one before each target), and with whom the row may share its beginning."""

    ids: list[int]
    targets: list[int]
    prefix_key: str


@dataclass(frozen=True)
class _Block:
    """Rows (numbers) that are run in one pass, behind the first tokens they share."""

    shared: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Pass:
    """One pass of the model, as it stands, over many rows."""

    model: nn.Module
    rows: Sequence[_Row]
    paths: Paths
    prefixes: PrefixCache
    on_progress: ProgressCallback
    measure: DivergenceObjective | None = None  # whose signals are wanted; none: the states themselves

    def run(self, token_budget: int, store: Store | None, processes: ProcessGroup) -> PerTarget:
        """All that is wanted, each block by one of the processes."""
        plan = self._plan(token_budget)
        if store is None:
            mine = [(number, self._compute(plan[number])) for number in processes.share(range(len(plan)))]
            if processes.size > 1:
                mine = processes.gather([(number, states.cpu()) for number, states in mine])
            blocks = dict(mine)
            self._tell_of_others(plan, processes)
        else:
            blocks = self._through(store, plan, processes)
        places: dict[int, tuple[int, int]] = {}
        for number, block in enumerate(plan):
            start = 0
            for row in block.rows:
                places[row] = number, start
                start += len(self.rows[row].targets)
        return PerTarget(
            blocks=tuple(blocks[number] for number in range(len(plan))),
            places=tuple(places[row] for row in range(len(self.rows))),
            counts=tuple(len(row.targets) for row in self.rows),
        )

    def _plan(self, token_budget: int) -> list[_Block]:
        # A state that predicts a target must be the row's own: everything before it may be shared.
        limits = [row.targets[0] - 1 for row in self.rows]
        groups = group_by_prefix([row.ids for row in self.rows], [row.prefix_key for row in self.rows], limits)
        plan = []
        for group in groups:
            shared = group.ids if self.paths.prefix else ()
            lengths = [len(self.rows[row].ids) - len(shared) for row in group.rows]
            for members in token_batches(lengths, token_budget):
                plan.append(_Block(shared, tuple(group.rows[member] for member in members)))
        return plan

    def _compute(self, block: _Block) -> Tensor:
        """What is wanted at the targets of the block's rows, one row after another: [n, K]."""
        skip = len(block.shared)
        rows = [self.rows[row] for row in block.rows]
        batch = pack([row.ids[skip:] for row in rows], first_position=skip)
        positions = predicting_positions(batch.lengths, [[target - skip for target in row.targets] for row in rows])
        states = target_states(self.model, batch, positions, self.paths, prefix=self.prefixes.get(block.shared))
        found = states if self.measure is None else self.measure.signal(states)
        self.on_progress(len(positions), len(positions))
        return found

    def _tell_of_others(self, plan: list[_Block], processes: ProcessGroup, found: Sequence[int] = ()) -> None:
        mine = processes.share(range(len(plan)))
        for number in set(range(len(plan))).difference(mine):
            tokens = sum(len(self.rows[row].targets) for row in plan[number].rows)
            self.on_progress(tokens, tokens, found=number in found)

    def _through(self, store: Store, plan: list[_Block], processes: ProcessGroup) -> dict[int, Tensor]:
        """The same by way of a store: what is there is read, what is not is computed and written."""
        kind = "states" if self.measure is None else self.measure.kind
        keys = [store.key(kind, [(self.rows[row].ids, self.rows[row].targets) for row in b.rows]) for b in plan]
        blocks: dict[int, Tensor] = {}
        for number in processes.share(range(len(plan))):
            found = store.read_signal(keys[number])
            if found is None:
                store.write_signal(keys[number], self._compute(plan[number]).cpu())
            else:
                blocks[number] = found
                self.on_progress(found.shape[0], found.shape[0], found=True)
        self._tell_of_others(plan, processes, found=processes.gather(list(blocks)))  # a meeting: now all have written
        for number, key in enumerate(keys):
            if number not in blocks:
                found = store.read_signal(key)
                if found is None:
                    raise ResourceError(f"{store.folder}: what another process wrote cannot be read here; "
                                        "give all processes the same output_dir, or set teacher: live")  # fmt: skip
                blocks[number] = found
        return blocks
