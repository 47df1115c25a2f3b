"""One model with its shortcuts, asked in any of its voices: what the trainer and the proof both drive.

voice       adapter   sees the context
BASE        off       no                 the model as it was
PROMPTED    off       yes                the teacher
BAKED       on        no                 the student
BOTH        on        yes                a baked model that is prompted all the same
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair, ViewPair
from bakery.engine.crew import ALONE, Crew
from bakery.engine.divergence import Measure, TokenDivergence
from bakery.engine.forward import Paths, find_paths
from bakery.engine.models import adapter_off, evaluating, stop_ids
from bakery.engine.prefix import PrefixCache, group_by_prefix
from bakery.engine.sampling import SamplingSettings, Trajectory, sample
from bakery.engine.store import Store
from bakery.engine.teacher import Known, LiveTeacher, Teacher, compare, teacher_signal
from bakery.progress import UNWATCHED, Watch

_CHECKED_ROWS = 3
_SAMPLING_BUDGETS = 8
"""Sampling keeps no activations, so its batches may hold this many times more tokens than a training batch."""


class Voice(Enum):
    """Who answers: (adapter on, context seen)."""

    BASE = (False, False)
    PROMPTED = (False, True)
    BAKED = (True, False)
    BOTH = (True, True)

    @property
    def adapter(self) -> bool:
        """Whether the adapter is on."""
        return self.value[0]

    @property
    def prompted(self) -> bool:
        """Whether it sees the context."""
        return self.value[1]


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
        crew: the processes that share all work here; every one of them must ask the same.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    paths: Paths
    prefixes: PrefixCache
    token_budget: int
    temperature: float = 1.0
    beta: float = 0.0
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    crew: Crew = ALONE

    @cached_property
    def measure(self) -> Measure:
        """What is measured between teacher and student."""
        return Measure(self.paths.head, self.temperature, self.beta)

    def answers(
        self,
        voice: Voice,
        prompts: Sequence[PromptPair],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        per_prompt: int = 1,
        seed: int = 0,
        advance: Watch = UNWATCHED,
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
        ids = [prompt.teacher_ids if voice.prompted else prompt.student_ids for prompt in prompts]
        keys = [prompt.prefix_key if voice.prompted else "" for prompt in prompts]
        with self._speaking(voice):
            prefixes = PrefixCache(self.model, progress=self.prefixes.progress) if voice.adapter else self.prefixes
            keep = self.measure.signal if keep_signal else None
            return sample(self.model, ids, keys, settings, self.paths, prefixes, advance, self.crew, keep)

    def teacher(
        self,
        pairs: Sequence[ViewPair],
        advance: Watch = UNWATCHED,
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
                advance,
                store=store,
                crew=self.crew,
                known=known,
            )

    def live_teacher(self, pairs: Sequence[ViewPair]) -> Teacher:
        """The same, computed whenever it is asked for."""
        return LiveTeacher(self.model, tuple(pairs), self.paths, self.measure, self.token_budget, self.prefixes)

    def compare(
        self, voice: Voice, pairs: Sequence[ViewPair], teacher: Teacher, advance: Watch = UNWATCHED
    ) -> TokenDivergence:
        """How far this voice (BASE or BAKED) is from the teacher, at every target of every row: columns [N]."""
        with self._speaking(voice):
            return compare(
                self.model,
                pairs,
                teacher,
                self.paths,
                self.measure,
                self.token_budget,
                crew=self.crew,
                advance=advance,
            )

    def _speaking(self, voice: Voice) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(evaluating(self.model) if voice.adapter else adapter_off(self.model))
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
