"""The model itself as a sampler: trajectories drawn in batches behind shared prefixes, reproducible for any batch size.

Every trajectory draws from its own stream of random numbers, named by (seed, prompt, number), by inverting its
cumulative distribution: the same seed gives the same answers whatever is batched together.

A draft is read in one pass and drawn again at each of its tokens: it holds as far as both are the same, and the answer
goes on from there (speculative decoding, Leviathan et al. 2023, arXiv 2211.17192, with the random numbers fixed).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import packed
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.forward import Shortcuts
from bakery.engine.distill.objective import rows_at_once
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.samplers.batches import Batch, behind_prefixes, of_one_length
from bakery.engine.distill.samplers.decoding import Decoding, PackedDecoding, PlainDecoding
from bakery.engine.distill.samplers.growing import GrowingAnswer
from bakery.engine.distill.samplers.sampler import (
    SamplingPrompt,
    SamplingSettings,
    TokenStream,
    Trajectory,
    collect,
)
from bakery.engine.distill.signals import TeacherSignal
from bakery.engine.model.adapters import acting
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.engine.tensor_types import Float, Int
from bakery.errors import NumericError
from bakery.progress import NO_PROGRESS, ProgressCallback

_SHRINK_AT = 0.75
"""Rows that have ended are let go of once no more than this share is still running."""


@dataclass(frozen=True)
class LocalSampler:
    """Samples from a model under one condition.

    Args:
        model: carries the adapters that the condition names.
        condition: which adapters act; the caller chooses the prompts' view.
        shortcuts: the shortcuts this model allows.
        prefixes: where keys and values of prefixes are cached; of the model under this condition.
        token_budget: tokens of a batch of rows, prompts and answers together.
        autocast: entered around every pass.
        processes: they share the prompts, and every one gets all answers; a stream yields only this process's tokens.
        signal_of: what to record of the states [n, H] that ids are drawn from; models without shortcuts record nothing.
        on_batch: told of the trajectories of every batch of this process, once they are whole.
    """

    model: nn.Module
    condition: Condition
    shortcuts: Shortcuts
    prefixes: PrefixCache
    token_budget: int = 65_536
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    processes: ProcessGroup = SINGLE_PROCESS
    signal_of: Callable[[Tensor], TeacherSignal] | None = None
    on_batch: Callable[[Sequence[Trajectory]], None] | None = None

    @property
    def identity(self) -> str:
        """Local sampling is the same wherever the model is."""
        return "local"

    def sample(
        self,
        prompts: Sequence[SamplingPrompt],
        settings: SamplingSettings,
        on_progress: ProgressCallback = NO_PROGRESS,
    ) -> list[Trajectory]:
        """`per_prompt` trajectories for every prompt, in order; those of other processes are reported too."""
        with self.computing():
            trajectories = collect(self.stream(prompts, settings), on_progress)
        mine = frozenset(self.processes.share(range(len(prompts))))
        others = [trajectory for trajectory in trajectories if trajectory.prompt not in mine]
        on_progress(len(others), sum(len(trajectory.ids) for trajectory in others))
        return trajectories

    def stream(self, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> TokenStream:
        """The same token by token. Between two tokens the model may be used under other conditions."""
        trajectories: list[Trajectory] = []
        mine = frozenset(self.processes.share(range(len(prompts))))
        plan = behind_prefixes if self.shortcuts.prefix else of_one_length
        for batch in plan(prompts, settings, mine, self.token_budget):
            sampled = yield from self._decode(batch, prompts, settings)
            if self.on_batch is not None:
                self.on_batch(sampled)
            trajectories += sampled
        trajectories = self.processes.gather(trajectories)
        return sorted(trajectories, key=lambda trajectory: (trajectory.prompt, trajectory.number))

    def computing(self) -> ExitStack:
        """The model as it computes here; entered within itself it costs nothing."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        stack.enter_context(acting(self.model, self.condition.adapters))
        stack.enter_context(self.autocast())
        stack.enter_context(packed(self.model) if self.shortcuts.prefix else nullcontext())
        return stack

    def _decode(self, batch: Batch, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> TokenStream:
        """Grow all rows of a batch until each has stopped or is as long as allowed."""
        rows = [
            GrowingAnswer.of(prompts[prompt], prompt, number, settings)
            for prompt, number in batch.rows(settings.per_prompt)
        ]
        active = rows  # rows that are computed; some of them may have ended
        with self.computing():
            decoding = self.decoding(batch, prompts, settings)
            states, drafts = decoding.start(), decoding.drafts()
            counts = [len(draft) + 1 for draft in drafts]
            drawn = self._draw(decoding, states, active, counts)
            grown = [row.grow(own, draft) for row, own, draft in zip(rows, drawn, drafts, strict=True)]
            decoding.accept([row.read for row in rows])
        recorded = self.signal_of is not None and decoding.has_states
        by_row = torch.split(states, counts)
        while True:
            for row, own, (tokens, taken) in zip(active, by_row, grown, strict=True):
                if recorded and taken:
                    row.states.append(own[taken].cpu())
                yield from tokens
            running = [at for at, row in enumerate(active) if not row.ended]
            if not running:
                break
            with self.computing():
                if decoding.can_shrink and len(running) <= _SHRINK_AT * len(active):
                    decoding.select(running)
                    active = [active[at] for at in running]
                states = decoding.step(torch.tensor([row.newest for row in active], device=states.device))
                drawn = self._draw(decoding, states, active, [1] * len(active))
                grown = [row.step(*own) for row, own in zip(active, drawn, strict=True)]
            by_row = torch.split(states, 1)
        signals = self._signals(rows, states.device) if recorded else [None] * len(rows)
        return [row.trajectory(signal) for row, signal in zip(rows, signals, strict=True)]

    def decoding(self, batch: Batch, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> Decoding:
        """How the rows of a batch grow; to be asked within `computing`."""
        if not self.shortcuts.prefix:
            return PlainDecoding(self.model, batch, prompts, settings)
        return PackedDecoding(self.model, batch, prompts, self.prefixes, settings, self.shortcuts)

    def _draw(
        self, decoding: Decoding, states: Float[Tensor, "N H"], rows: Sequence[GrowingAnswer], counts: Sequence[int]
    ) -> list[list[int]]:
        """The next tokens of every row, so many of each, from the states that predict them, row after row."""
        uniforms = np.concatenate([row.draws(count) for row, count in zip(rows, counts, strict=True)])
        temperatures = np.repeat([row.temperature for row in rows], counts)
        most = rows_at_once(self.shortcuts.head, states.device)
        tokens: list[int] = []
        for start in range(0, len(states), most):
            part = slice(start, start + most)
            logits = decoding.logits(states[part])
            if not torch.isfinite(logits.amax(-1)).all():
                raise NumericError(
                    "the model's logits are not finite: look into its weights, or use float32 or bfloat16"
                )
            draws = (torch.as_tensor(column[part], device=logits.device) for column in (uniforms, temperatures))
            tokens += choose(logits, *draws).tolist()
        ends = np.cumsum(counts).tolist()
        return [tokens[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def _signals(self, rows: Sequence[GrowingAnswer], device: torch.device) -> Sequence[TeacherSignal]:
        """What is recorded of every row, of the states that its ids were drawn from."""
        assert self.signal_of is not None
        states = torch.cat([states for row in rows for states in row.states])
        with self.computing():
            signal = self.signal_of(states.to(device)).to("cpu")
        # A part of a tensor would travel to other processes as the whole of it.
        return [part.clone() for part in signal.split([len(row.ids) - len(row.forced) for row in rows])]


def choose(
    logits: Float[Tensor, "B V"], uniforms: Float[Tensor, "B"], temperatures: Float[Tensor, "B"]
) -> Int[Tensor, "B"]:
    """The next tokens: at temperature 0 the likeliest, else the first whose cumulative share exceeds the number."""
    tokens = logits.argmax(-1)
    at = temperatures.nonzero()[:, 0]
    if len(at):
        tokens[at] = _sample(logits[at], uniforms[at], temperatures[at])
    return tokens


def _sample(logits: Float[Tensor, "B V"], uniforms: Float[Tensor, "B"], temperatures: Float[Tensor, "B"]) -> Tensor:
    weights = torch.exp((logits - logits.amax(-1, keepdim=True)) / temperatures[:, None])
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    total = cumulative[:, -1:]
    # Rounding may not push the number up to the total: beyond it there is no token.
    wanted = torch.minimum(uniforms.double().unsqueeze(-1) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, wanted, right=True).squeeze(-1)
