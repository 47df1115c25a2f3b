"""One model with the shortcuts it allows, asked under any condition: what the trainer and the proof both drive."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.distill.cache import Cache
from bakery.engine.distill.conditions import BAKED, PROMPTED, Condition
from bakery.engine.distill.forward import Shortcuts
from bakery.engine.distill.objective import DivergenceObjective, TokenDivergence
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.samplers.local import LocalSampler
from bakery.engine.distill.samplers.sampler import (
    SamplingPrompt,
    SamplingSettings,
    ThinkingBound,
    Trajectory,
)
from bakery.engine.distill.target_pass import TargetPass
from bakery.engine.distill.teacher import CachedTeacher, KnownSignals, LiveTeacher, Teacher
from bakery.engine.model.adapters import acting
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.engine.model.structure import stop_ids
from bakery.engine.tensor_types import Float
from bakery.progress import NO_PROGRESS, ProgressCallback

SAMPLING_BUDGETS = 8
"""Sampling holds no activations, so its batches may hold this many times more tokens than a training batch."""


@dataclass(frozen=True)
class Engine:
    """A model with adapters, the shortcuts it allows and the precision it runs in.

    Args:
        model: the peft model, without parallel wrappers.
        tokenizer: its tokenizer.
        shortcuts: those that agree with its plain forward pass.
        prefixes: keys and values of prefixes, of the model under the teacher's adapters.
        token_budget: tokens of one packed pass.
        temperature: softmax temperature of the divergence.
        beta: of the divergence: 0 forward KL, 1 reverse KL.
        autocast: entered around every pass.
        processes: they share all work here; every one of them must ask the same.
        teacher_condition: under which the teacher answers.
        student_condition: under which the student does.
        remembered: keys and values of prefixes under other adapters than the teacher's, by adapters, for as long as
            these are not trained; none: they are computed anew each time.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    shortcuts: Shortcuts
    prefixes: PrefixCache
    token_budget: int
    temperature: float = 1.0
    beta: float = 0.0
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    processes: ProcessGroup = SINGLE_PROCESS
    teacher_condition: Condition = PROMPTED
    student_condition: Condition = BAKED
    remembered: dict[tuple[tuple[str, float], ...], PrefixCache] | None = None

    @cached_property
    def objective(self) -> DivergenceObjective:
        """The divergence between teacher and student."""
        return DivergenceObjective(self.shortcuts.head, self.temperature, self.beta)

    def sampler(
        self,
        condition: Condition,
        *,
        record_signal: bool = False,
        on_batch: Callable[[Sequence[Trajectory]], None] | None = None,
    ) -> LocalSampler:
        """The model as a sampler; `record_signal`: what the objective has to know of it goes with its trajectories."""
        return LocalSampler(
            model=self.model,
            condition=condition,
            shortcuts=self.shortcuts,
            prefixes=self._prefixes(condition),
            token_budget=SAMPLING_BUDGETS * self.token_budget,
            autocast=self.autocast,
            processes=self.processes,
            signal_of=self.objective.signal if record_signal else None,
            on_batch=on_batch,
        )

    def sampling_settings(
        self,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        per_prompt: int = 1,
        seed: int = 0,
        thinking: ThinkingBound | None = None,
    ) -> SamplingSettings:
        """Settings with this model's stop tokens; temperature 0 takes the most likely tokens."""
        stops = stop_ids(self.model, self.tokenizer)
        return SamplingSettings(stops, max_new_tokens, temperature, per_prompt, seed, thinking)

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
    ) -> list[Trajectory]:
        """`per_prompt` answers to every prompt, in order, of the model under a condition."""
        settings = self.sampling_settings(
            max_new_tokens=max_new_tokens, temperature=temperature, per_prompt=per_prompt, seed=seed
        )
        return self.sampler(condition).sample(sampling_prompts(prompts, condition), settings, on_progress)

    def teacher(
        self,
        pairs: Sequence[ViewPair],
        on_progress: ProgressCallback = NO_PROGRESS,
        cache: Cache | None = None,
        known: KnownSignals | None = None,
    ) -> CachedTeacher:
        """The teacher that has read these rows once, and remembers what it said in memory or in a cache."""
        return CachedTeacher(
            self.live_teacher(), pairs, on_progress, cache=cache, processes=self.processes, known=known
        )

    def live_teacher(self) -> LiveTeacher:
        """The teacher that reads a row whenever it is asked about it."""
        return LiveTeacher(self._pass(self.teacher_condition), self.objective)

    def compare(
        self,
        condition: Condition,
        pairs: Sequence[ViewPair],
        teacher: Teacher,
        on_progress: ProgressCallback = NO_PROGRESS,
    ) -> TokenDivergence:
        """The divergence of the model under a condition from the teacher, at every target of every row: columns [N]."""
        target_pass = self._pass(condition)
        rows = [target_pass.row(pair) for pair in pairs]
        parts: list[tuple[int, tuple[Tensor, ...]]] = []
        with acting(self.model, condition.adapters):
            for block in self.processes.share(target_pass.plan(rows)):
                states = target_pass.states(rows, block)
                signal = teacher.signal([pairs[row] for row in block.rows]).to(states.device)
                with torch.no_grad(), self.autocast():
                    divergence = self.objective.divergence(states, signal)
                sizes = [len(rows[row].targets) for row in block.rows]
                columns = (column.cpu() if self.processes.size > 1 else column for column in divergence)
                by_row = zip(*(torch.split(column, sizes) for column in columns), strict=True)
                parts += zip(block.rows, by_row, strict=True)
                on_progress(sum(sizes), sum(sizes))
        own = {row for row, _ in parts}
        parts = sorted(self.processes.gather(parts), key=lambda part: part[0])
        others = sum(len(rows[row].targets) for row, _ in parts if row not in own)
        on_progress(others, others)
        return TokenDivergence(*(torch.cat(column) for column in zip(*(columns for _, columns in parts), strict=True)))

    def states(self, condition: Condition, pairs: Sequence[ViewPair]) -> Float[Tensor, "N H"]:
        """What the LM head turns into logits, at all targets under a condition; without gradient."""
        return self._pass(condition).all_states(pairs)

    def _pass(self, condition: Condition) -> TargetPass:
        prefixes = self._prefixes(condition)
        return TargetPass(self.model, condition, self.shortcuts, prefixes, self.token_budget, self.autocast)

    def _prefixes(self, condition: Condition) -> PrefixCache:
        """Under the teacher's adapters, which are frozen, keys and values stay valid; of others see `remembered`."""
        if condition.adapters == self.teacher_condition.adapters:
            return self.prefixes
        fresh = PrefixCache(self.model, progress=self.prefixes.progress)
        return fresh if self.remembered is None else self.remembered.setdefault(condition.adapters, fresh)


def sampling_prompts(prompts: Sequence[PromptPair], condition: Condition) -> list[SamplingPrompt]:
    """The view of each prompt that a condition reads."""
    if condition.prompted:
        return [SamplingPrompt(prompt.teacher_ids, prompt.prefix_key) for prompt in prompts]
    return [SamplingPrompt(prompt.student_ids) for prompt in prompts]
