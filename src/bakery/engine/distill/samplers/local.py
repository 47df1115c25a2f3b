"""The model itself as a sampler: trajectories drawn in batches behind shared prefixes, reproducible for any batch size.

Every trajectory draws from its own stream of random numbers, named by (seed, prompt, number), by inverting its
cumulative distribution: the same seed gives the same answers whatever is batched together.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import KeyValues, Layout, RowCache, packed
from bakery.engine.attention.packing import pack
from bakery.engine.distill.conditions import Condition
from bakery.engine.distill.forward import Shortcuts
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.distill.samplers.sampler import (
    SampledToken,
    SamplingPrompt,
    SamplingSettings,
    TokenStream,
    Trajectory,
    collect,
)
from bakery.engine.distill.signals import TeacherSignal
from bakery.engine.model.adapters import acting
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.engine.model.structure import decoder, device_of
from bakery.engine.tensor_types import Float, Int
from bakery.progress import NO_PROGRESS, ProgressCallback

_SHRINK_AT = 0.75
"""Rows that have ended are let go of once no more than this share is still running."""

Row = tuple[int, int]
"""A prompt's index, and which of its answers."""


@runtime_checkable
class _Decoding(Protocol):
    """A batch of rows that grow token by token; `start` and `step` give the states [B, ...] of the next tokens."""

    can_shrink: bool

    @property
    def has_states(self) -> bool: ...

    def start(self) -> Float[Tensor, "B H"]: ...

    def step(self, tokens: Int[Tensor, "B"]) -> Float[Tensor, "B H"]: ...

    def logits(self, states: Float[Tensor, "B H"]) -> Float[Tensor, "B V"]: ...

    def select(self, rows: Int[Tensor, "rows"]) -> None: ...


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
    """

    model: nn.Module
    condition: Condition
    shortcuts: Shortcuts
    prefixes: PrefixCache
    token_budget: int = 65_536
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    processes: ProcessGroup = SINGLE_PROCESS
    signal_of: Callable[[Tensor], TeacherSignal] | None = None

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
        with self._computing():
            trajectories = collect(self.stream(prompts, settings), on_progress)
        mine = frozenset(self.processes.share(range(len(prompts))))
        others = [trajectory for trajectory in trajectories if trajectory.prompt not in mine]
        on_progress(len(others), sum(len(trajectory.ids) for trajectory in others))
        return trajectories

    def stream(self, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> TokenStream:
        """The same token by token. Between two tokens the model may be used under other conditions."""
        trajectories: list[Trajectory] = []
        mine = frozenset(self.processes.share(range(len(prompts))))
        plan = _behind_prefixes if self.shortcuts.prefix else _of_one_length
        for batch in plan(prompts, settings, mine, self.token_budget):
            trajectories.extend((yield from self._decode(batch, settings)))
        trajectories = self.processes.gather(trajectories)
        return sorted(trajectories, key=lambda trajectory: (trajectory.prompt, trajectory.number))

    def _computing(self) -> ExitStack:
        """The model as it computes here; entered within itself it costs nothing."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        stack.enter_context(acting(self.model, self.condition.adapters))
        stack.enter_context(self.autocast())
        stack.enter_context(packed(self.model) if self.shortcuts.prefix else nullcontext())
        return stack

    def _decode(self, batch: "_Batch", settings: SamplingSettings) -> TokenStream:
        """Grow all rows of a batch until each has stopped or is as long as allowed."""
        rows, longest = batch.rows, settings.max_new_tokens
        uniforms = np.stack([np.random.default_rng([settings.seed, *row]).random(longest) for row in rows])
        ids: list[list[int]] = [[] for _ in rows]
        running = list(range(len(rows)))  # rows still wanted
        active = list(range(len(rows)))  # rows still computed
        with self._computing():
            decoding = self._decoding(batch, settings)
            states = decoding.start()
        history = None
        if self.signal_of and decoding.has_states:
            history = torch.empty(len(rows), longest, states.shape[-1], dtype=states.dtype)
        for step in range(longest):
            with self._computing():
                if history is not None:
                    history[active, step] = states.cpu()
                logits = decoding.logits(states)
                draws = torch.as_tensor(uniforms[active, step], device=logits.device)
                tokens = _choose(logits, draws, settings.temperature)
            unfinished = set(running)
            for row, token in zip(active, tokens.tolist(), strict=True):
                if row in unfinished:
                    ids[row].append(token)
                    if token in settings.stop_ids:
                        unfinished.discard(row)
                    yield SampledToken(*rows[row], token, last=row not in unfinished or step + 1 == longest)
            running = [row for row in running if row in unfinished]
            if not running or step + 1 == longest:
                break
            with self._computing():
                if decoding.can_shrink and len(running) <= _SHRINK_AT * len(active):
                    remaining = torch.tensor([at for at, row in enumerate(active) if row in unfinished])
                    remaining = remaining.to(tokens.device)
                    decoding.select(remaining)
                    tokens, active = tokens[remaining], running
                states = decoding.step(tokens)
        signals = self._signals(history, ids, states.device)
        return [
            Trajectory(*row, tuple(own), stopped=bool(own) and own[-1] in settings.stop_ids, signal=signal)
            for row, own, signal in zip(rows, ids, signals, strict=True)
        ]

    def _decoding(self, batch: "_Batch", settings: SamplingSettings) -> _Decoding:
        if not self.shortcuts.prefix:
            return _PlainDecoding(self.model, batch.prompts)
        prefix = self.prefixes.get(batch.shared)
        return _PackedDecoding(self.model, batch.prompts, prefix, settings, self.shortcuts)

    def _signals(
        self, history: Tensor | None, ids: Sequence[Sequence[int]], device: torch.device
    ) -> Sequence[TeacherSignal | None]:
        """What is recorded of every row, of the states [rows, steps, H] that its ids were drawn from."""
        if history is None or self.signal_of is None:
            return [None] * len(ids)
        states = torch.cat([history[row, : len(own)] for row, own in enumerate(ids)])
        with self._computing():
            signal = self.signal_of(states.to(device)).to("cpu")
        # A part of a tensor would travel to other processes as the whole of it.
        return [part.clone() for part in signal.split([len(own) for own in ids])]


@dataclass(frozen=True)
class _Batch:
    """Rows to decode together: the tokens all prompts begin with, each prompt's others, and who the rows are."""

    shared: tuple[int, ...]
    prompts: list[list[int]]
    rows: list[Row]


def _behind_prefixes(
    prompts: Sequence[SamplingPrompt], settings: SamplingSettings, mine: frozenset[int], token_budget: int
) -> Iterator[_Batch]:
    """Batches of prompts that share a prefix; a prompt's answers are rows beside each other."""
    ids = [prompt.ids for prompt in prompts]
    for group in group_by_prefix(ids, [prompt.prefix_key for prompt in prompts], [len(own) - 1 for own in ids]):
        shared = len(group.ids)
        batch: list[int] = []
        filled = 0
        for prompt in [*sorted(mine.intersection(group.rows), key=lambda row: (len(ids[row]), row)), None]:
            need = 0 if prompt is None else (len(ids[prompt]) - shared + settings.max_new_tokens) * settings.per_prompt
            if batch and (prompt is None or filled + need > token_budget):
                yield _Batch(group.ids, [list(ids[member][shared:]) for member in batch], _rows(batch, settings))
                batch, filled = [], 0
            if prompt is not None:
                batch.append(prompt)
                filled += need


def _of_one_length(
    prompts: Sequence[SamplingPrompt], settings: SamplingSettings, mine: frozenset[int], token_budget: int
) -> Iterator[_Batch]:
    """For models that allow no shortcut: prompts of one length together, so that still nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for prompt in sorted(mine):
        by_length.setdefault(len(prompts[prompt].ids), []).append(prompt)
    for length, members in by_length.items():
        size = max(1, token_budget // ((length + settings.max_new_tokens) * settings.per_prompt))
        for start in range(0, len(members), size):
            batch = members[start : start + size]
            own = [list(prompts[member].ids) for member in batch for _ in range(settings.per_prompt)]
            yield _Batch((), own, _rows(batch, settings))


def _rows(prompts: Sequence[int], settings: SamplingSettings) -> list[Row]:
    return [(prompt, number) for prompt in prompts for number in range(settings.per_prompt)]


def _choose(logits: Float[Tensor, "B V"], uniforms: Float[Tensor, "B"], temperature: float) -> Int[Tensor, "B"]:
    """The next tokens: the first whose cumulative probability exceeds the row's uniform number."""
    if temperature == 0:
        return logits.argmax(-1)
    weights = torch.exp((logits - logits.amax(-1, keepdim=True)) / temperature)
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    total = cumulative[:, -1:]
    # Rounding may not push the number up to the total: beyond it there is no token.
    wanted = torch.minimum(uniforms.double().unsqueeze(-1) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, wanted, right=True).squeeze(-1)


@dataclass
class _PackedDecoding:
    """Rows behind one shared prefix; a prompt's answers share its prefill."""

    model: nn.Module
    prompts: list[list[int]]
    prefix: KeyValues | None
    settings: SamplingSettings
    shortcuts: Shortcuts
    can_shrink: bool = True
    _cache: RowCache | None = field(default=None, init=False)

    @property
    def has_states(self) -> bool:
        return not self.shortcuts.states_are_logits

    def start(self) -> Tensor:
        first = self.prefix.length if self.prefix else 0
        batch = pack(self.prompts, first_position=first).to(device_of(self.model))
        capture = KeyValues()
        layout = Layout(batch.lengths, prefix=self.prefix, capture=capture)
        ends = torch.tensor(batch.lengths).cumsum(0) - 1
        states = self._forward(batch.ids, batch.positions, layout)[0, ends.to(batch.ids.device)]
        owners = [owner for owner in range(len(self.prompts)) for _ in range(self.settings.per_prompt)]
        self._cache = RowCache(capture, batch.lengths, owners, self.settings.max_new_tokens)
        return states[torch.tensor(owners, device=states.device)]

    def step(self, tokens: Tensor) -> Tensor:
        assert self._cache is not None
        first = self.prefix.length if self.prefix else 0
        layout = Layout((1,) * len(tokens), prefix=self.prefix, cache=self._cache)
        states = self._forward(tokens[:, None], self._cache.lengths[:, None] + first, layout)
        self._cache.advance()
        return states[:, 0]

    def logits(self, states: Tensor) -> Tensor:
        return self.shortcuts.head.logits(states)

    def select(self, rows: Tensor) -> None:
        assert self._cache is not None
        self._cache.select(rows)

    def _forward(self, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        arguments: dict[str, Any] = {"input_ids": ids, "position_ids": positions, "layout": layout, "use_cache": False}
        if self.shortcuts.states_are_logits:
            return self.model(**arguments).logits  # type: ignore[no-any-return]
        return decoder(self.model)(**arguments).last_hidden_state  # type: ignore[no-any-return]


@dataclass
class _PlainDecoding:
    """Rows of one length through the model's own cache."""

    model: nn.Module
    prompts: list[list[int]]
    can_shrink: bool = False
    has_states: bool = False
    _cache: Any = field(default=None, init=False)

    def start(self) -> Tensor:
        return self._forward(torch.tensor(self.prompts, device=device_of(self.model)))

    def step(self, tokens: Tensor) -> Tensor:
        return self._forward(tokens[:, None])

    def logits(self, states: Tensor) -> Tensor:
        return states

    def select(self, rows: Tensor) -> None:
        raise NotImplementedError("not every model's own cache can let go of rows")

    def _forward(self, ids: Tensor) -> Tensor:
        output = self.model(input_ids=ids, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[:, -1]  # type: ignore[no-any-return]
