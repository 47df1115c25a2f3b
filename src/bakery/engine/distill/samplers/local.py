"""Trajectories: answers sampled in batches behind shared prefixes, kept as the token ids that were sampled.

Every trajectory draws from its own stream of random numbers, named by (seed, prompt, number), by inverting its
cumulative distribution: the same seed gives the same answers whatever is batched together.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import KeyValues, Layout, RowCache, packed
from bakery.engine.attention.packing import pack
from bakery.engine.distill.forward import Paths
from bakery.engine.distill.prefix import PrefixCache, group_by_prefix
from bakery.engine.model.loading import decoder, evaluating
from bakery.engine.model.process_group import SINGLE_PROCESS, ProcessGroup
from bakery.progress import NO_PROGRESS, ProgressCallback

_SHRINK_AT = 0.75


Keep = Callable[[Tensor], Tensor]
"""States [n, H] to what is kept of them [n, K]."""


@dataclass(frozen=True)
class SamplingSettings:
    """How answers are drawn. temperature 0 takes the most likely token."""

    stop_ids: frozenset[int]
    max_new_tokens: int
    temperature: float = 1.0
    per_prompt: int = 1
    seed: int = 0
    token_budget: int = 65_536


@dataclass(frozen=True)
class Trajectory:
    """One sampled answer.

    Args:
        prompt: which prompt it answers.
        number: which of that prompt's answers it is.
        ids: what was sampled.
        stopped: the last id is an end-of-turn token the model wrote; else the answer was cut off.
        kept: what was to be kept [ids, K] of the states each id was drawn from, where there are any.
    """

    prompt: int
    number: int
    ids: tuple[int, ...]
    stopped: bool
    kept: Tensor | None = field(default=None, compare=False, repr=False)


def sample(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[str],
    settings: SamplingSettings,
    paths: Paths,
    prefixes: PrefixCache,
    on_progress: ProgressCallback = NO_PROGRESS,
    processes: ProcessGroup = SINGLE_PROCESS,
    keep: Keep | None = None,
) -> list[Trajectory]:
    """Sample `per_prompt` answers to every prompt (token ids ending with the generation prompt), in prompt order.

    Args:
        model: with its adapter as the caller wants it.
        prompts: token ids.
        keys: prompts of one key may share their first tokens' keys and values.
        settings: how to draw.
        paths: the shortcuts this model allows.
        prefixes: where keys and values of prefixes are kept; of the model as it stands.
        on_progress: told of every finished answer and its tokens.
        processes: the processes that share the prompts; every one gets all answers.
        keep: what to keep of the states ids are drawn from (models without shortcuts give none).
    """
    found: list[Trajectory] = []
    mine = frozenset(processes.share(range(len(prompts))))
    with torch.inference_mode(), evaluating(model), packed(model) if paths.prefix else nullcontext():
        for decoding, members in _batches(model, prompts, keys, settings, paths, prefixes, mine):
            found.extend(_run(decoding, members, settings, on_progress, keep))
    found = processes.gather(found)
    others = [trajectory for trajectory in found if trajectory.prompt not in mine]
    on_progress(len(others), sum(len(trajectory.ids) for trajectory in others))
    return sorted(found, key=lambda trajectory: (trajectory.prompt, trajectory.number))


class _Decoding(Protocol):
    """A batch of rows that grow token by token; `start` and `step` give the states [B, ...] of the next tokens."""

    can_shrink: bool

    @property
    def has_states(self) -> bool: ...

    def start(self) -> Tensor: ...

    def step(self, tokens: Tensor) -> Tensor: ...

    def logits(self, states: Tensor) -> Tensor: ...

    def keep(self, rows: Tensor) -> None: ...


def _batches(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[str],
    settings: SamplingSettings,
    paths: Paths,
    prefixes: PrefixCache,
    mine: frozenset[int],
) -> Iterator[tuple[_Decoding, list[tuple[int, int]]]]:
    """Batches of this process's rows, each row a (prompt, number), with what decodes them."""
    if not paths.prefix:
        yield from _plain_batches(model, prompts, settings, mine)
        return
    for group in group_by_prefix(prompts, keys, [len(prompt) - 1 for prompt in prompts]):
        shared = len(group.ids)
        batch: list[int] = []
        room = 0
        for row in [*sorted(mine.intersection(group.rows), key=lambda row: (len(prompts[row]), row)), None]:
            need = 0 if row is None else (len(prompts[row]) - shared + settings.max_new_tokens) * settings.per_prompt
            if batch and (row is None or room + need > settings.token_budget):
                own = [list(prompts[member][shared:]) for member in batch]
                yield _PackedDecoding(model, own, prefixes.get(group.ids), settings, paths), _rows(batch, settings)
                batch, room = [], 0
            if row is not None:
                batch.append(row)
                room += need


def _plain_batches(
    model: nn.Module, prompts: Sequence[Sequence[int]], settings: SamplingSettings, mine: frozenset[int]
) -> Iterator[tuple[_Decoding, list[tuple[int, int]]]]:
    """For models that allow no shortcut: prompts of one length together, so that still nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for row in sorted(mine):
        by_length.setdefault(len(prompts[row]), []).append(row)
    for length, rows in by_length.items():
        size = max(1, settings.token_budget // ((length + settings.max_new_tokens) * settings.per_prompt))
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            own = [list(prompts[row]) for row in batch for _ in range(settings.per_prompt)]
            yield _PlainDecoding(model, own), _rows(batch, settings)


def _rows(prompts: Sequence[int], settings: SamplingSettings) -> list[tuple[int, int]]:
    return [(prompt, number) for prompt in prompts for number in range(settings.per_prompt)]


def _run(
    decoding: _Decoding,
    rows: list[tuple[int, int]],
    settings: SamplingSettings,
    on_progress: ProgressCallback,
    keep: Keep | None,
) -> list[Trajectory]:
    """Grow all rows of a batch until each has stopped or is as long as allowed."""
    uniforms = np.stack([np.random.default_rng([settings.seed, *row]).random(settings.max_new_tokens) for row in rows])
    written: list[list[int]] = [[] for _ in rows]
    running = list(range(len(rows)))  # rows still wanted
    active = list(range(len(rows)))  # rows still computed
    states = decoding.start()
    seen = None
    if keep and decoding.has_states:
        seen = torch.empty(len(rows), settings.max_new_tokens, states.shape[-1], dtype=states.dtype)
    for step in range(settings.max_new_tokens):
        if seen is not None:
            seen[active, step] = states.cpu()
        logits = decoding.logits(states)
        tokens = _choose(logits, torch.as_tensor(uniforms[active, step], device=logits.device), settings.temperature)
        unfinished = set(running)
        for row, token in zip(active, tokens.tolist(), strict=True):
            if row in unfinished:
                written[row].append(token)
                if token in settings.stop_ids:
                    unfinished.discard(row)
                    on_progress(1, len(written[row]))
        running = [row for row in running if row in unfinished]
        if not running or step + 1 == settings.max_new_tokens:
            break
        if decoding.can_shrink and len(running) <= _SHRINK_AT * len(active):
            kept = torch.tensor([place for place, row in enumerate(active) if row in unfinished], device=tokens.device)
            decoding.keep(kept)
            tokens, active = tokens[kept], running
        states = decoding.step(tokens)
    on_progress(len(running), sum(len(written[row]) for row in running))
    kept_of: Sequence[Tensor | None] = [None] * len(rows)
    if keep and seen is not None:
        drawn_from = torch.cat([seen[row, : len(ids)] for row, ids in enumerate(written)])
        parts = torch.split(keep(drawn_from.to(states.device)).cpu(), [len(ids) for ids in written])
        kept_of = [part.clone() for part in parts]  # a part of a tensor travels to other processes as the whole of it
    return [
        Trajectory(prompt, number, tuple(ids), stopped=bool(ids) and ids[-1] in settings.stop_ids, kept=mine)
        for (prompt, number), ids, mine in zip(rows, written, kept_of, strict=True)
    ]


def _choose(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Next tokens [B] of logits [B, V]: the first whose cumulative probability exceeds the row's uniform number."""
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
    paths: Paths
    can_shrink: bool = True
    _cache: RowCache | None = field(default=None, init=False)

    @property
    def has_states(self) -> bool:
        return not self.paths.states_are_logits

    def start(self) -> Tensor:
        first = self.prefix.length if self.prefix else 0
        batch = pack(self.prompts, first_position=first).to(next(self.model.parameters()).device)
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
        return self.paths.head.logits(states)

    def keep(self, rows: Tensor) -> None:
        assert self._cache is not None
        self._cache.keep(rows)

    def _forward(self, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        arguments: dict[str, Any] = {"input_ids": ids, "position_ids": positions, "layout": layout, "use_cache": False}
        if self.paths.states_are_logits:
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
        return self._forward(torch.tensor(self.prompts, device=next(self.model.parameters()).device))

    def step(self, tokens: Tensor) -> Tensor:
        return self._forward(tokens[:, None])

    def logits(self, states: Tensor) -> Tensor:
        return states

    def keep(self, rows: Tensor) -> None:
        raise NotImplementedError("not every model's own cache can let go of rows")

    def _forward(self, ids: Tensor) -> Tensor:
        output = self.model(input_ids=ids, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[:, -1]  # type: ignore[no-any-return]
