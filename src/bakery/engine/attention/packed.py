"""Attention over packed rows, behind a prefix that is computed once: one function for every layer.

Rows lie end to end without padding. Each attends causally to itself and, where a prefix is given, to the prefix, whose
keys and values exist once and are copied for no row: the two parts are attended to separately and merged.

Shapes: B rows, T packed tokens, P prefix tokens, h query heads, k key/value heads, d head width.

What one pass does is written in a `Layout`, handed to the model as a keyword argument and from there, by transformers,
to `packed_attention`. Models whose attention needs anything beyond a scale, a soft cap and a sliding window (sinks,
biases) raise `Unpackable` and are served by the padded path.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bakery.engine.attention.packing import row_starts
from bakery.engine.attention.softmax import Rule, attend, attend_grown, attend_rows, merge
from bakery.engine.tensor_types import Float, Int

NAME = "bakery_packed"
_MAX_WASTE = 1.25
# Keyword arguments of transformers' attention interface that change nothing here; anything else that is set is refused.
_HARMLESS = frozenset({"position_ids", "use_cache", "cache_position", "is_causal", "output_hidden_states"})


class Unpackable(Exception):
    """This model's attention cannot be computed over packed rows. Not an error: the padded path serves it."""


@dataclass(frozen=True)
class KeyValues:
    """Keys and values of one sequence, by layer."""

    layers: dict[int, tuple[Float[Tensor, "k P d"], Float[Tensor, "k P v"]]] = field(default_factory=dict)
    on_layer: Callable[[], None] = lambda: None

    def store(self, layer: int, keys: Float[Tensor, "k P d"], values: Float[Tensor, "k P v"]) -> None:
        """One more layer's keys and values."""
        self.layers[layer] = (keys, values)
        self.on_layer()

    @property
    def length(self) -> int:
        """P, the number of tokens; 0 while empty."""
        return next((keys.shape[1] for keys, _ in self.layers.values()), 0)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return sum(t.numel() * t.element_size() for pair in self.layers.values() for t in pair)

    def first(self, tokens: int) -> "KeyValues":
        """Those of the first tokens; nothing is copied."""
        if tokens == self.length:
            return self
        return KeyValues({n: (keys[:, :tokens], values[:, :tokens]) for n, (keys, values) in self.layers.items()})


@dataclass(frozen=True)
class Prefill:
    """Prompts that were read in one pass behind one prefix, and the rows that begin with them.

    Args:
        own: keys and values of the prompts, packed; their prefix left out.
        lengths: tokens of every prompt.
        owners: for every row the prompt it begins with.
        prefix: keys and values that all of these rows attend to first.
    """

    own: KeyValues
    lengths: tuple[int, ...]
    owners: tuple[int, ...]
    prefix: KeyValues | None = None


class RowCache:
    """Keys and values of the B rows that are being sampled, by layer: [B, k, capacity, d], filled from the left.

    `lengths` [B] says how far each row is filled, its prefix left out. Rows behind one prefix lie beside each other and
    share its keys and values; rows behind different prefixes may grow together.
    """

    def __init__(self, parts: Sequence[Prefill], capacity: int) -> None:
        """Spread packed prompts over rows, each with room for `capacity` tokens: its prompt's and its own."""
        self._prefixes = [part.prefix for part in parts]
        self._part_of = [number for number, part in enumerate(parts) for _ in part.owners]
        self._capacity = capacity
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in parts[0].own.layers:
            keys, values = zip(*(part.own.layers[layer] for part in parts), strict=True)
            self.layers[layer] = (self._spread(parts, keys), self._spread(parts, values))
        device = next(iter(self.layers.values()))[0].device
        self.lengths = torch.tensor([part.lengths[own] for part in parts for own in part.owners], device=device)
        self._locate()

    def _spread(self, parts: Sequence[Prefill], packed: Sequence[Tensor]) -> Tensor:
        """Every row's copy of its prompt's keys or values, which are [k, T, d] for each part."""
        heads, _, width = packed[0].shape
        buffer = packed[0].new_zeros(len(self._part_of), heads, self._capacity, width)
        row = 0
        for part, own in zip(parts, packed, strict=True):
            starts = row_starts(part.lengths)
            for owner in part.owners:
                length = part.lengths[owner]
                buffer[row, :, :length] = own[:, starts[owner] : starts[owner] + length]
                row += 1
        return buffer

    def _locate(self) -> None:
        """What follows from which rows there are; `segments` holds the rows of every prefix."""
        self.longest = int(self.lengths.max())
        self.segments: list[tuple[KeyValues | None, slice]] = []
        first: list[int] = []
        for part, rows in groupby(self._part_of):
            prefix, start = self._prefixes[part], len(first)
            first += [prefix.length if prefix else 0 for _ in rows]
            self.segments.append((prefix, slice(start, len(first))))
        self.longest_prefix = max(first)
        self._first_positions = torch.tensor(first, device=self.lengths.device)

    @property
    def positions(self) -> Int[Tensor, "B"]:
        """Of the next token of every row, the prefix counted."""
        return self.lengths + self._first_positions

    def write(
        self, layer: int, key: Float[Tensor, "B k 1 d"], value: Float[Tensor, "B k 1 v"]
    ) -> tuple[Float[Tensor, "B k S d"], Float[Tensor, "B k S v"]]:
        """Put the newest token's key and value at each row's end; returns what is filled."""
        keys, values = self.layers[layer]
        rows = torch.arange(keys.shape[0], device=keys.device)
        keys[rows, :, self.lengths] = key[:, :, 0].to(keys.dtype)
        values[rows, :, self.lengths] = value[:, :, 0].to(values.dtype)
        filled = self.longest + 1
        return keys[:, :, :filled], values[:, :, :filled]

    def advance(self) -> None:
        """Every row has grown by the token just written; a full row, which has ended, writes over its last token."""
        self.lengths = (self.lengths + 1).clamp(max=self._capacity - 1)
        self.longest = min(self.longest + 1, self._capacity - 1)

    def shorten(self, lengths: Sequence[int]) -> None:
        """Forget what lies beyond these lengths [B]."""
        self.lengths = torch.tensor(lengths, device=self.lengths.device)
        self.longest = max(lengths)

    def select(self, rows: Sequence[int]) -> None:
        """Let go of all rows but these (indices, ascending)."""
        index = torch.tensor(rows, device=self.lengths.device)
        self.layers = {layer: (keys[index], values[index]) for layer, (keys, values) in self.layers.items()}
        self.lengths = self.lengths[index]
        self._part_of = [self._part_of[row] for row in rows]
        self._locate()


@dataclass(frozen=True)
class Layout:
    """What one forward pass over packed rows does.

    Args:
        lengths: of the packed rows.
        prefix: keys and values every row attends to first; none: the rows stand alone.
        capture: filled with this pass's own keys and values [k, T, d].
        cache: one new token a row (T = B), attending to the row's own cached tokens and to the prefix it is behind.
    """

    lengths: tuple[int, ...]
    prefix: KeyValues | None = None
    capture: KeyValues | None = None
    cache: RowCache | None = None

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row, its prefix included."""
        if self.cache is not None:
            return self.cache.longest + 1 + self.cache.longest_prefix
        return max(self.lengths) + (self.prefix.length if self.prefix else 0)

    @cached_property
    def groups(self) -> list[tuple[Tensor, int]]:
        """Rows of about the same length, as ([rows, width] packed positions, width).

        Within a group shorter rows are filled up on the right with a repeated position, which causality hides from
        every real token; groups are cut so that at most a quarter of the work is such filling.
        """
        starts = row_starts(self.lengths)
        groups: list[list[int]] = []
        filled = 0
        for row in sorted(range(len(self.lengths)), key=lambda row: -self.lengths[row]):
            filled += self.lengths[row]
            if groups and (len(groups[-1]) + 1) * self.lengths[groups[-1][0]] <= _MAX_WASTE * filled:
                groups[-1].append(row)
            else:
                groups.append([row])
                filled = self.lengths[row]
        result = []
        for rows in groups:
            width = self.lengths[rows[0]]
            steps = torch.arange(width)
            index = torch.stack([starts[row] + steps.clamp(max=self.lengths[row] - 1) for row in rows])
            result.append((index, width))
        return result

    @cached_property
    def back(self) -> Tensor:
        """For every packed position [T] its index in the concatenation of all groups."""
        total = sum(self.lengths)
        back = torch.empty(total, dtype=torch.long)
        offset = 0
        for index, width in self.groups:
            indices = torch.arange(offset, offset + index.numel()).view(-1, width)
            first = torch.ones_like(index, dtype=torch.bool)
            first[:, 1:] = index[:, 1:] != index[:, :-1]  # the filling repeats a row's last position
            back[index[first]] = indices[first]
            offset += index.numel()
        return back


def packed_attention(
    module: nn.Module,
    query: Float[Tensor, "B h T d"],
    key: Float[Tensor, "B k T d"],
    value: Float[Tensor, "B k T v"],
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "B T h v"], None]:
    """transformers' attention interface: B = 1 for packed rows; T = 1 while B rows are sampled token by token.

    Raises:
        Unpackable: when the model asks for something this function does not compute.
    """
    if layout is None:
        raise Unpackable("the model does not pass keyword arguments on to its attention")
    refused = [n for n, given in others.items() if given is not None and given is not False and n not in _HARMLESS]
    if refused or attention_mask is not None:
        raise Unpackable(f"attention uses {', '.join(refused) or 'a mask of its own'}")
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise Unpackable("attention layers carry no index")
    rule = Rule(query.shape[-1] ** -0.5 if scaling is None else scaling, softcap, sliding_window)
    if layout.cache is not None:
        keys, values = layout.cache.write(layer, key, value)
        return _grown(query, keys, values, layout.cache, layer, rule, windowed=not rule.sees_all(layout.longest)), None
    prefix = layout.prefix.layers[layer] if layout.prefix is not None else None
    if layout.capture is not None:
        layout.capture.store(layer, key[0].detach(), value[0].detach())
    if prefix is None:
        return _by_rows(query, key, value, layout, rule, dropout)[None], None
    if torch.is_grad_enabled():
        raise Unpackable("a shared prefix carries no gradient")
    return _behind_prefix(query, key, value, layout, prefix, rule)[None], None


ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Let the model attend through `packed_attention` inside the block, whatever it uses outside.

    Blocks may lie within one another; the inner ones cost nothing.
    """
    if next(map(_implementation, _configs(model)), None) == NAME:
        yield
        return
    configs: dict[int, Any] = {id(config): config for config in _configs(model)}
    before = {key: _implementation(config) for key, config in configs.items()}
    for key, config in configs.items():
        if before[key] is not None:
            config._attn_implementation = NAME
    try:
        yield
    finally:
        for key, config in configs.items():
            if before[key] is not None:
                config._attn_implementation = before[key]


def _configs(model: nn.Module) -> Iterator[Any]:
    """The configuration every part of the model reads, from the outside in."""
    return (vars(module)["config"] for module in model.modules() if "config" in vars(module))


def _implementation(config: Any) -> str | None:
    return getattr(config, "_attn_implementation", None)


def _gather(packed_states: Tensor, index: Tensor) -> Tensor:
    """[1, heads, T, d] -> [rows, heads, width, d], the rows of one group."""
    rows, width = index.shape
    _, heads, _, size = packed_states.shape
    picked = packed_states[0].index_select(1, index.reshape(-1).to(packed_states.device))
    return picked.view(heads, rows, width, size).transpose(0, 1)


def _by_rows(query: Tensor, key: Tensor, value: Tensor, layout: Layout, rule: Rule, dropout: float) -> Tensor:
    """Each row attends causally to itself: [1, h, T, d] -> [T, h, d]. Differentiable."""
    parts = []
    for index, _ in layout.groups:
        q, k, v = (_gather(states, index) for states in (query, key, value))
        parts.append(attend_rows(q, k, v, rule, dropout).transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).index_select(0, layout.back.to(query.device))


def _behind_prefix(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, prefix: tuple[Tensor, Tensor], rule: Rule
) -> Tensor:
    """Each row attends causally to itself and to the shared prefix before it: [1, h, T, d] -> [T, h, d]."""
    outs, lses = [], []
    for index, _ in layout.groups:
        q, k, v = (_gather(states, index) for states in (query, key, value))
        out, lse = attend(q, k, v, rule, causal=True)
        outs.append(out.transpose(1, 2).flatten(0, 1))
        lses.append(lse.transpose(1, 2).flatten(0, 1))
    back = layout.back.to(query.device)
    own, own_lse = torch.cat(outs).index_select(0, back), torch.cat(lses).index_select(0, back)
    length = prefix[0].shape[1]
    positions = None
    if not rule.sees_all(layout.longest):
        positions = torch.cat([torch.arange(length, length + row) for row in layout.lengths]).to(query.device)
    common, common_lse = attend(query, prefix[0][None], prefix[1][None], rule, positions=positions)
    return merge(own, own_lse, common[0].transpose(0, 1), common_lse[0].transpose(0, 1))


def _grown(
    query: Tensor, keys: Tensor, values: Tensor, cache: RowCache, layer: int, rule: Rule, *, windowed: bool
) -> Tensor:
    """One new token a row [B, h, 1, d] over its cached keys [B, k, S, d] and its prefix -> [B, 1, h, d]."""
    own, lse = attend_grown(query, keys, values, cache.lengths + 1, rule)
    parts = []
    for prefix, rows in cache.segments:
        if prefix is None:
            parts.append(own[rows])
            continue
        prefix_keys, prefix_values = prefix.layers[layer]
        # Rows behind one prefix ask the same keys: one matrix product with the rows as its queries.
        together = query[rows, :, 0].transpose(0, 1)[None]
        absolute = cache.positions[rows] if windowed else None
        common, common_lse = attend(together, prefix_keys[None], prefix_values[None], rule, positions=absolute)
        parts.append(merge(own[rows], lse[rows], common[0].transpose(0, 1), common_lse[0].transpose(0, 1)))
    return torch.cat(parts)[:, None]
