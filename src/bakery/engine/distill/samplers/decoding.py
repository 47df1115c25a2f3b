"""Rows that grow token by token: packed behind their prefixes, or through the model's own cache."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from bakery.engine.attention.packed import KeyValues, Layout, Prefill, RowCache
from bakery.engine.attention.packing import pack
from bakery.engine.distill.forward import Shortcuts
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.samplers.batches import Batch
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings
from bakery.engine.model.structure import decoder, device_of
from bakery.engine.tensor_types import Float, Int


@runtime_checkable
class Decoding(Protocol):
    """A batch of B rows: read with their drafts, told how far these hold, then grown by a token at a time."""

    can_shrink: bool  # whether `select` can be asked for

    @property
    def has_states(self) -> bool:
        """Whether states are hidden states, not logits."""
        ...

    def drafts(self) -> list[tuple[int, ...]]:
        """What of every row's draft `start` reads."""
        ...

    def start(self) -> Float[Tensor, "N H"]:
        """The states that predict each row's draft and the token after it, row after row."""
        ...

    def accept(self, counts: Sequence[int]) -> None:
        """So many tokens of every draft hold; the others are forgotten."""
        ...

    def step(self, tokens: Int[Tensor, "B"]) -> Float[Tensor, "B H"]:
        """Add every row's newest token; the states that predict the next ones."""
        ...

    def logits(self, states: Float[Tensor, "N H"]) -> Float[Tensor, "N V"]:
        """Of the tokens that these states predict."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these (indices, ascending)."""
        ...


@dataclass
class PackedDecoding:
    """Rows behind shared prefixes; a prompt's answers share its prefill."""

    model: nn.Module
    batch: Batch
    prompts: Sequence[SamplingPrompt]
    prefixes: PrefixCache
    settings: SamplingSettings
    shortcuts: Shortcuts
    can_shrink: bool = True
    _cache: RowCache | None = field(default=None, init=False)

    @property
    def has_states(self) -> bool:
        """False where the head cannot be taken out of the model."""
        return not self.shortcuts.states_are_logits

    def drafts(self) -> list[tuple[int, ...]]:
        """What of every row's draft `start` reads."""
        return [draft for part in self.batch.parts for draft in self._drafts(part.prompts) * self.settings.per_prompt]

    def start(self) -> Tensor:
        """The states that predict each row's draft and the token after it, row after row."""
        per_prompt, longest = self.settings.per_prompt, self.settings.longest
        prefills, states, widest = [], [], 0
        for part in self.batch.parts:
            prefix = self.prefixes.get(part.shared)
            own = [list(self.prompts[prompt].ids[len(part.shared) :]) for prompt in part.prompts]
            drafts = self._drafts(part.prompts)
            batch = pack(
                [[*ids, *draft] for ids, draft in zip(own, drafts, strict=True)],
                first_position=prefix.length if prefix else 0,
            ).to(device_of(self.model))
            capture = KeyValues()
            states_of_part = self._forward(
                batch.ids, batch.positions, Layout(batch.lengths, prefix=prefix, capture=capture)
            )[0]
            ends = torch.tensor(batch.lengths).cumsum(0)
            predicting = [
                torch.arange(int(end) - 1 - len(draft), int(end))
                for end, draft in zip(ends, drafts, strict=True)
                for _ in range(per_prompt)
            ]
            states.append(states_of_part[torch.cat(predicting).to(states_of_part.device)])
            owners = tuple(owner for owner in range(len(own)) for _ in range(per_prompt))
            prefills.append(Prefill(capture, batch.lengths, owners, prefix))
            widest = max(widest, *map(len, own))
        self._cache = RowCache(prefills, widest + longest)
        return torch.cat(states)

    def accept(self, counts: Sequence[int]) -> None:
        """So many tokens of every draft hold; the others are forgotten."""
        assert self._cache is not None
        drafts = self.drafts()
        if any(drafts):
            read = self._cache.lengths.tolist()
            held = zip(read, drafts, counts, strict=True)
            self._cache.shorten([length - len(draft) + count for length, draft, count in held])

    def step(self, tokens: Tensor) -> Tensor:
        """Add every row's newest token; the states that predict the next ones."""
        assert self._cache is not None
        layout = Layout((1,) * len(tokens), cache=self._cache)
        states = self._forward(tokens[:, None], self._cache.positions[:, None], layout)
        self._cache.advance()
        return states[:, 0]

    def logits(self, states: Tensor) -> Tensor:
        """Of the tokens that these states predict."""
        return self.shortcuts.head.logits(states)

    def select(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these (indices, ascending)."""
        assert self._cache is not None
        self._cache.select(rows)

    def _drafts(self, prompts: Sequence[int]) -> list[tuple[int, ...]]:
        """What is read ahead: never a last token, behind which nothing has to be predicted."""
        if self.settings.per_prompt > 1:
            return [()] * len(prompts)
        stops, most = self.settings.stop_ids, self.settings.longest - 1
        drafts = [self.prompts[prompt].draft[:most] for prompt in prompts]
        return [draft[:-1] if draft and draft[-1] in stops else draft for draft in drafts]

    def _forward(self, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        arguments: dict[str, Any] = {"input_ids": ids, "position_ids": positions, "layout": layout, "use_cache": False}
        if self.shortcuts.states_are_logits:
            return self.model(**arguments).logits  # type: ignore[no-any-return]
        return decoder(self.model)(**arguments).last_hidden_state  # type: ignore[no-any-return]


@dataclass
class PlainDecoding:
    """Rows of one length through the model's own cache; drafts are not read."""

    model: nn.Module
    batch: Batch
    prompts: Sequence[SamplingPrompt]
    settings: SamplingSettings
    can_shrink: bool = False
    has_states: bool = False
    _cache: Any = field(default=None, init=False)

    def drafts(self) -> list[tuple[int, ...]]:
        """What of every row's draft `start` reads."""
        return [()] * len(self._rows)

    def start(self) -> Tensor:
        """The states that predict each row's draft and the token after it, row after row."""
        return self._forward(torch.tensor(self._rows, device=device_of(self.model)))

    def accept(self, counts: Sequence[int]) -> None:
        """So many tokens of every draft hold; the others are forgotten."""

    def step(self, tokens: Tensor) -> Tensor:
        """Add every row's newest token; the states that predict the next ones."""
        return self._forward(tokens[:, None])

    def logits(self, states: Tensor) -> Tensor:
        """Of the tokens that these states predict."""
        return states

    def select(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these (indices, ascending)."""
        raise NotImplementedError("not every model's own cache can let go of rows")

    @property
    def _rows(self) -> list[list[int]]:
        return [list(self.prompts[prompt].ids) for prompt, _ in self.batch.rows(self.settings.per_prompt)]

    def _forward(self, ids: Tensor) -> Tensor:
        output = self.model(input_ids=ids, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[:, -1]  # type: ignore[no-any-return]
