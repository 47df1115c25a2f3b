"""One model with the shortcuts it allows, asked under any condition: what the trainer and the proof both drive."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.distill.cache import Store
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.forward import Paths, find_paths
from bakery.engine.distill.objective import DivergenceObjective, TokenDivergence
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.distill.samplers.local import SamplingSettings, Trajectory, sample
from bakery.engine.distill.teacher import Known, LiveTeacher, Teacher, compare, teacher_signal
from bakery.engine.model.loading import adapter_off, evaluating, stop_ids
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.progress import NO_PROGRESS, ProgressCallback

_CHECKED_ROWS = 3
_SAMPLING_BUDGETS = 8
"""Sampling keeps no activations, so its batches may hold this many times more tokens than a training batch."""


@dataclass(frozen=True)
class Engine:
    """A model with an adapter, the shortcuts it allows and the precision it runs in.

    Args:
        model: the peft model, without parallel wrappers.
        tokenizer: its tokenizer.
        paths: which shortcuts agree with its plain forward pass.
        prefixes: keys and values of prefixes as the model without its adapter computes them.
        token_budget: tokens of one packed pass.
        temperature: softmax temperature of the divergence.
        beta: of the divergence: 0 forward KL, 1 reverse KL.
        autocast: entered around every pass.
        processes: the processes that share all work here; every one of them must ask the same.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    paths: Paths
    prefixes: PrefixCache
    token_budget: int
    temperature: float = 1.0
    beta: float = 0.0
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    processes: ProcessGroup = SINGLE_PROCESS

    @cached_property
    def measure(self) -> DivergenceObjective:
        """What is measured between teacher and student."""
        return DivergenceObjective(self.paths.head, self.temperature, self.beta)

    def answers(
        self,
        condition: Condition,
        prompts: Sequence[PromptPair],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        per_prompt: int = 1,
        seed: int = 0,
        on_progress: ProgressCallback = NO_PROGRESS,
        keep_signal: bool = False,
    ) -> list[Trajectory]:
        """`per_prompt` answers to every prompt, in order; temperature 0 takes the most likely tokens.

        `keep_signal` keeps what `measure` must know of the one who answers, where that is the teacher.
        """
        settings = SamplingSettings(
            stop_ids=stop_ids(self.model, self.tokenizer),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            per_prompt=per_prompt,
            seed=seed,
            token_budget=_SAMPLING_BUDGETS * self.token_budget,
        )
        ids = [prompt.teacher_ids if condition.prompted else prompt.student_ids for prompt in prompts]
        keys = [prompt.prefix_key if condition.prompted else "" for prompt in prompts]
        with self._applied(condition):
            prefixes = PrefixCache(self.model, progress=self.prefixes.progress) if condition.adapters else self.prefixes
            keep = self.measure.signal if keep_signal else None
            return sample(self.model, ids, keys, settings, self.paths, prefixes, on_progress, self.processes, keep)

    def teacher(
        self,
        pairs: Sequence[ViewPair],
        on_progress: ProgressCallback = NO_PROGRESS,
        store: Store | None = None,
        known: Known | None = None,
    ) -> Teacher:
        """The prompted model's signal at the targets of all rows, computed once and kept in memory or in a store."""
        with self.autocast():
            return teacher_signal(
                self.model,
                pairs,
                self.paths,
                self.measure,
                self.token_budget,
                self.prefixes,
                on_progress,
                store=store,
                processes=self.processes,
                known=known,
            )

    def live_teacher(self, pairs: Sequence[ViewPair]) -> Teacher:
        """The same, computed whenever it is asked for."""
        return LiveTeacher(self.model, tuple(pairs), self.paths, self.measure, self.token_budget, self.prefixes)

    def compare(
        self,
        condition: Condition,
        pairs: Sequence[ViewPair],
        teacher: Teacher,
        on_progress: ProgressCallback = NO_PROGRESS,
    ) -> TokenDivergence:
        """How far this condition (BASE or BAKED) is from the teacher, at every target of every row: columns [N]."""
        with self._applied(condition):
            return compare(
                self.model,
                pairs,
                teacher,
                self.paths,
                self.measure,
                self.token_budget,
                processes=self.processes,
                on_progress=on_progress,
            )

    def _applied(self, condition: Condition) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(evaluating(self.model) if condition.adapters else adapter_off(self.model))
        stack.enter_context(self.autocast())
        return stack


def find_paths_on(model: nn.Module, rows: Sequence[ViewPair | PromptPair], prefixes: PrefixCache) -> Paths:
    """Try the shortcuts on a few real rows of the largest group that shares a prefix, adapter off.

    The prefix is left in `prefixes` for the teacher and the sampling.
    """
    groups: dict[str, list[list[int]]] = {}
    for row in rows:
        groups.setdefault(row.prefix_key, []).append(row.teacher_ids)
    largest = max(groups.values(), key=lambda group: len(group))
    chosen = sorted(largest, key=len)[:_CHECKED_ROWS]
    (group,) = group_by_prefix(chosen, [""] * len(chosen), [len(row) - 1 for row in chosen])
    with adapter_off(model):
        return find_paths(model, chosen, len(group.ids), prefixes.get)
