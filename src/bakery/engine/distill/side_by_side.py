"""Answers of one model under several conditions that grow in step, every token read under all of these conditions.

Each answer is written under one condition, its author. Whatever token the author draws, every other condition reads it
too, so that at each token it is known what each of them would have said there. Conditions that use the same adapters
are rows of one batch: base, prompted and baked take two passes a token, however many answers there are.

Shapes: A answers, C conditions, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.engine import Engine, sampling_prompts
from bakery.engine.distill.objective import token_divergence
from bakery.engine.distill.samplers.batches import Batch, Part
from bakery.engine.distill.samplers.decoding import Decoding
from bakery.engine.distill.samplers.local import LocalSampler, choose
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings
from bakery.engine.tensor_types import Float


@dataclass(frozen=True)
class Likely:
    """A token with its probability."""

    id: int
    probability: float


@dataclass(frozen=True)
class ReadToken:
    """A token of an answer, and what every condition thought in front of it.

    Args:
        answer: the index of the answer.
        id: the token.
        last: whether the answer ends with it.
        probability: of this token under each condition.
        divergence: of each condition from the reference, KL(reference || condition) at temperature 1 in nats; empty
            without a reference.
        likeliest: the most probable tokens under each condition.
    """

    answer: int
    id: int
    last: bool
    probability: tuple[float, ...]
    divergence: tuple[float, ...]
    likeliest: tuple[tuple[Likely, ...], ...]


@dataclass(frozen=True)
class SideBySide:
    """How several answers are written and read.

    Args:
        engine: asks the model.
        conditions: under which every answer is read.
        reference: the index of the condition that the others are measured from; none: nothing is measured.
        top: how many of the likeliest tokens are told.
    """

    engine: Engine
    conditions: tuple[Condition, ...]
    reference: int | None = None
    top: int = 5

    def stream(
        self,
        prompts: Sequence[PromptPair],
        authors: Sequence[int],
        settings: SamplingSettings,
        shared: tuple[int, ...] = (),
    ) -> Iterator[ReadToken]:
        """Write an answer to each prompt, the condition of its index in `authors` its author; token by token.

        All answers draw by the same random numbers. Between two tokens the model may be used otherwise; a stream that
        is closed computes nothing more.

        Args:
            prompts: what is answered, in both views.
            authors: for each of them an index in `conditions`.
            settings: how tokens are drawn.
            shared: tokens with which the teacher's view of a prompt may begin: read once, also for later calls.
        """
        groups = list(self._groups(prompts, settings, shared))
        uniforms = np.random.default_rng([settings.seed, 0, 0]).random(settings.max_new_tokens)
        tokens: dict[int, int] = {}
        running = list(range(len(prompts)))
        for number in range(settings.max_new_tokens):
            logits = self._logits(groups, tokens, running)
            drawn = self._draw(logits, [authors[answer] for answer in running], uniforms[number], settings)
            tokens = dict(zip(running, drawn, strict=True))
            full = number + 1 == settings.max_new_tokens
            ended = {answer for answer, token in tokens.items() if full or token in settings.stop_ids}
            yield from self._read(logits, tokens, ended)
            running = [answer for answer in running if answer not in ended]
            if not running:
                return

    def _groups(
        self, prompts: Sequence[PromptPair], settings: SamplingSettings, shared: tuple[int, ...]
    ) -> Iterator["_Group"]:
        """What is decoded together: all that is read under the same adapters, or each row alone where none may be."""
        by_adapters: dict[tuple[tuple[str, float], ...], list[int]] = {}
        for number, condition in enumerate(self.conditions):
            by_adapters.setdefault(condition.adapters, []).append(number)
        for adapters, members in by_adapters.items():
            sampler = self.engine.sampler(Condition(adapters))
            asked: list[SamplingPrompt] = []
            rows: list[tuple[int, int]] = []
            parts: dict[tuple[int, ...], list[int]] = {}
            for member in members:
                for answer, prompt in enumerate(sampling_prompts(prompts, self.conditions[member])):
                    begins = sampler.shortcuts.prefix and tuple(prompt.ids[: len(shared)]) == shared
                    parts.setdefault(shared if begins and len(prompt.ids) > len(shared) else (), []).append(len(asked))
                    asked.append(prompt)
                    rows.append((member, answer))
            batches = [Batch(tuple(Part(ids, tuple(own)) for ids, own in parts.items()))]
            if not sampler.shortcuts.prefix:
                batches = [Batch((Part((), (number,)),)) for number in range(len(asked))]
            for batch in batches:
                own = [rows[row] for row, _ in batch.rows(1)]
                yield _Group(sampler, sampler.decoding(batch, asked, settings), own)

    def _logits(
        self, groups: Sequence["_Group"], tokens: dict[int, int], running: Sequence[int]
    ) -> Float[Tensor, "C A V"]:
        """The next token's logits under every condition, of the running answers."""
        at = {answer: number for number, answer in enumerate(running)}
        columns: dict[tuple[int, int], Tensor] = {}
        for group in groups:
            columns |= group.logits(tokens, at)
        return torch.stack(
            [
                torch.stack([columns[condition, answer] for answer in running])
                for condition in range(len(self.conditions))
            ]
        )

    def _draw(
        self, logits: Float[Tensor, "C A V"], authors: Sequence[int], uniform: float, settings: SamplingSettings
    ) -> list[int]:
        """The next token of every running answer, as its author draws it."""
        own = torch.stack([logits[author, at] for at, author in enumerate(authors)])
        alike = own.new_ones(len(authors), dtype=torch.float64)
        drawn: list[int] = choose(own, alike * float(uniform), alike * settings.temperature).tolist()
        return drawn

    def _read(self, logits: Float[Tensor, "C A V"], tokens: dict[int, int], ended: set[int]) -> list[ReadToken]:
        """What is told of the newest token of each running answer (its index and that token in `tokens`)."""
        probability = torch.softmax(logits, dim=-1)
        values, ids = (part.tolist() for part in probability.topk(min(self.top, logits.shape[-1]), dim=-1))
        every = range(len(self.conditions))
        apart: list[list[float]] = []
        if self.reference is not None:
            apart = token_divergence(logits, logits[self.reference].expand_as(logits)).clamp(min=0).tolist()
        return [
            ReadToken(
                answer,
                token,
                answer in ended,
                probability=tuple(probability[:, at, token].tolist()),
                divergence=tuple(own[at] for own in apart),
                likeliest=tuple(tuple(map(Likely, ids[c][at], values[c][at])) for c in every),
            )
            for at, (answer, token) in enumerate(tokens.items())
        ]


@dataclass
class _Group:
    """Rows that are decoded together, each a (condition, answer)."""

    sampler: LocalSampler
    decoding: Decoding
    rows: list[tuple[int, int]]
    device: torch.device | None = None  # once the rows have begun

    def logits(self, tokens: dict[int, int], running: dict[int, int]) -> dict[tuple[int, int], Tensor]:
        """The next token's logits [V] of the rows whose answers are running, once these have taken their tokens."""
        going = [at for at, (_, answer) in enumerate(self.rows) if answer in running]
        if not going:
            return {}
        with self.sampler.computing():
            if self.device is None:
                states = self.decoding.start()
            else:
                if len(going) < len(self.rows):
                    self.decoding.select(going)
                    self.rows = [self.rows[at] for at in going]
                newest = [tokens[answer] for _, answer in self.rows]
                states = self.decoding.step(torch.tensor(newest, device=self.device))
            self.device = states.device
            return dict(zip(self.rows, self.decoding.logits(states).unbind(), strict=True))
