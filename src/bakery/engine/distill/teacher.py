"""The teacher: asked with rows, it answers with its signal at their targets, computed once for every row or each time.

A teacher is a model under a fixed condition, so its answer to a row never changes. What the divergence needs of it,
about H numbers a token that stand for the exact full-vocabulary distribution, is held in memory or in the run folder.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from bakery.chat.views import ViewPair
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.objective import DivergenceObjective
from bakery.engine.distill.signals import TeacherSignal
from bakery.engine.distill.target_pass import Block, TargetPass, TargetRow
from bakery.engine.model.adapters import acting
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.errors import NumericError, ResourceError
from bakery.progress import NO_PROGRESS, ProgressCallback

RowKey = bytes
KnownSignals = Mapping[RowKey, TeacherSignal]
"""Signals at the targets of rows that need not be computed, by `row_key`."""


def row_key(pair: ViewPair) -> RowKey:
    """All that a row's signal depends on beside the teacher itself: its token ids and where its targets are."""
    ids, targets = array("q", pair.teacher_ids), array("q", pair.teacher_targets)
    return hashlib.blake2b(ids.tobytes() + b"|" + targets.tobytes(), digest_size=16).digest()


def _is_finite(signal: TeacherSignal) -> bool:
    return all(bool(torch.isfinite(column).all()) for column in signal.columns.values())


@runtime_checkable
class Teacher(Protocol):
    """Answers to any row with its signal."""

    def signal(self, pairs: Sequence[ViewPair]) -> TeacherSignal:
        """The signal at all targets of these rows (at least one), row after row."""
        ...


@dataclass(frozen=True)
class LiveTeacher:
    """Computes the signal each time it is asked; nothing is stored."""

    target_pass: TargetPass
    objective: DivergenceObjective

    def signal(self, pairs: Sequence[ViewPair]) -> TeacherSignal:
        """The signal at all targets of these rows (at least one), row after row."""
        return CachedTeacher(self, pairs).signal(pairs)

    def compute(self, rows: Sequence[TargetRow], block: Block) -> TeacherSignal:
        """The signal at the targets of a block's rows, in the block's order.

        Raises:
            NumericError: it is not finite; the message names the row.
        """
        signal = self.objective.signal(self.target_pass.states(rows, block))
        if not _is_finite(signal):
            parts = signal.split([len(rows[row].targets) for row in block.rows])
            row = next(row for row, part in zip(block.rows, parts, strict=True) if not _is_finite(part))
            raise NumericError(
                f"the teacher's answer to row {row + 1} of {len(rows)} is not finite: "
                "look into the model's weights, or use float32 or bfloat16"
            )
        return signal


class CachedTeacher:
    """Reads every row once and remembers what it said; a row that it has not met is read when it is asked about.

    Args:
        live: who computes what is missing.
        pairs: rows to read now, in large blocks.
        on_progress: told of every target token done.
        cache: where signals are stored and read again; none: in memory.
        processes: they share the reading of these rows, the same in each; what it meets later a process reads itself.
        known: signals that are there already, such as those of sampled answers.

    Raises:
        ResourceError: the cache cannot be written, or the processes do not see the same folder.
    """

    def __init__(
        self,
        live: LiveTeacher,
        pairs: Sequence[ViewPair],
        on_progress: ProgressCallback = NO_PROGRESS,
        *,
        cache: Cache | None = None,
        processes: ProcessGroup = SINGLE_PROCESS,
        known: KnownSignals | None = None,
    ) -> None:
        self._live, self._cache, self._processes = live, cache, processes
        # Of every row the signal of its block, and where the row begins and ends in it.
        self._rows = {key: (signal, 0, len(signal)) for key, signal in (known or {}).items()}
        self.read(pairs, on_progress)

    def read(self, pairs: Sequence[ViewPair], on_progress: ProgressCallback = NO_PROGRESS) -> None:
        """Ask about the rows that were not met before, in large blocks; every process must ask about the same."""
        self._read(pairs, on_progress, self._processes)

    def signal(self, pairs: Sequence[ViewPair]) -> TeacherSignal:
        """The signal at all targets of these rows (at least one), row after row."""
        self._read(pairs, NO_PROGRESS, SINGLE_PROCESS)
        parts = [signal[start:end] for signal, start, end in (self._rows[row_key(pair)] for pair in pairs)]
        return type(parts[0]).concatenate(parts)

    def _read(self, pairs: Sequence[ViewPair], on_progress: ProgressCallback, processes: ProcessGroup) -> None:
        """Ask about the rows that were not met before."""
        missing = {key: pair for pair in pairs if (key := row_key(pair)) not in self._rows}
        if not missing:
            return
        keys, rows = list(missing), [self._live.target_pass.row(pair) for pair in missing.values()]
        with acting(self._live.target_pass.model, self._live.target_pass.condition.adapters):
            for block, signal in self._signals(rows, on_progress, processes):
                start = 0
                for row in block.rows:
                    end = start + len(rows[row].targets)
                    self._rows[keys[row]] = signal, start, end
                    start = end

    def _signals(
        self, rows: Sequence[TargetRow], on_progress: ProgressCallback, processes: ProcessGroup
    ) -> Iterator[tuple[Block, TeacherSignal]]:
        """All rows in blocks, each computed by one of the processes; exchanged through the cache where there is one."""
        plan = self._live.target_pass.plan(rows)
        tokens = [sum(len(rows[row].targets) for row in block.rows) for block in plan]
        signals: dict[int, TeacherSignal] = {}
        reused: list[int] = []
        for number in processes.share(range(len(plan))):
            signals[number], computed = self._one(rows, plan[number])
            on_progress(tokens[number], tokens[number], reused=not computed)
            reused += [] if computed else [number]
        if processes.size > 1:
            reused = processes.gather(reused)  # a meeting: now all processes have written
            others = set(range(len(plan))).difference(signals)
            if self._cache is None:
                signals = dict(processes.gather([(number, signal.to("cpu")) for number, signal in signals.items()]))
            for number in others:
                signals[number] = signals[number] if self._cache is None else self._of_another(rows, plan[number])
                on_progress(tokens[number], tokens[number], reused=number in reused)
        return ((block, signals[number]) for number, block in enumerate(plan))

    def _one(self, rows: Sequence[TargetRow], block: Block) -> tuple[TeacherSignal, bool]:
        """The signal of a block, read from the cache where it is there; and whether it was computed now."""
        if self._cache is None:
            return self._live.compute(rows, block), True
        key = self._key(rows, block)
        signal = self._cache.read_signal(key)
        if signal is not None:
            return signal, False
        self._cache.write_signal(key, self._live.compute(rows, block).to("cpu"))
        signal = self._cache.read_signal(key)
        if signal is None:
            raise ResourceError(f"{self._cache.folder}: what was just written there cannot be read; set teacher: live")
        return signal, True

    def _of_another(self, rows: Sequence[TargetRow], block: Block) -> TeacherSignal:
        """The signal of a block that another process has written to the cache."""
        assert self._cache is not None
        signal = self._cache.read_signal(self._key(rows, block))
        if signal is None:
            raise ResourceError(
                f"{self._cache.folder}: what another process wrote cannot be read here; "
                "give all processes the same output_dir, or set teacher: live"
            )
        return signal

    def _key(self, rows: Sequence[TargetRow], block: Block) -> str:
        assert self._cache is not None
        return self._cache.key(
            "signal", self._live.objective.signal_name, [(rows[row].ids, rows[row].targets) for row in block.rows]
        )
