"""Attention over packed rows, behind a prefix that is computed once: one function for every layer.

Rows lie end to end without padding. Each attends causally to itself and, where a prefix is given, to all of the prefix,
whose keys and values exist once and are copied for no row: the two parts are attended to separately and merged by
their log-sum-exp, which is exact (Milakov & Gimelshein 2018, arXiv 1805.02867; behind a shared prefix: Juravsky et al.
2024, "Hydragen", arXiv 2402.05099).

Shapes: B rows, T packed tokens, P prefix tokens, h query heads, k key/value heads, d head width.

What one pass does is written in a `Layout`, handed to the model as a keyword argument and from there, by transformers,
to `packed_attention`. Models whose attention needs anything else (soft-capping, sinks, a window shorter than the row)
raise `Unpackable` and are served by the padded path.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bakery.divergence import at_least_float32
from bakery.packing import row_starts

NAME = "bakery_packed"
_QUERY_CHUNK = 256
_MAX_WASTE = 1.25
# Keyword arguments of transformers' attention interface that change nothing here; anything else that is set is refused.
_HARMLESS = frozenset({"position_ids", "use_cache", "cache_position", "is_causal", "output_hidden_states"})


class Unpackable(Exception):
    """This model's attention cannot be computed over packed rows. Not an error: the padded path serves it."""


@dataclass(frozen=True)
class KeyValues:
    """Keys and values of one sequence, by layer: {layer: ([k, P, d], [k, P, d])}."""

    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """P, the number of tokens; 0 while empty."""
        return next((keys.shape[1] for keys, _ in self.layers.values()), 0)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return sum(t.numel() * t.element_size() for pair in self.layers.values() for t in pair)


class RowCache:
    """Keys and values of the B rows that are being sampled, by layer: [B, k, capacity, d], filled from the left.

    `lengths` [B] says how far each row is filled. Rows share nothing here; what they share is the prefix.
    """

    def __init__(self, prompts: KeyValues, prompt_lengths: Sequence[int], owners: Sequence[int], new: int) -> None:
        """Spread packed prompts over rows: row i starts as a copy of prompt `owners[i]`, with room for `new` tokens."""
        capacity = max(prompt_lengths) + new
        starts = row_starts(prompt_lengths)
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        for layer, pair in prompts.layers.items():
            buffers = []
            for packed in pair:
                heads, _, width = packed.shape
                buffer = packed.new_zeros(len(owners), heads, capacity, width)
                for row, owner in enumerate(owners):
                    start, length = starts[owner], prompt_lengths[owner]
                    buffer[row, :, :length] = packed[:, start : start + length]
                buffers.append(buffer)
            self.layers[layer] = (buffers[0], buffers[1])
        device = next(iter(self.layers.values()))[0].device
        self.lengths = torch.tensor([prompt_lengths[owner] for owner in owners], device=device)
        self.longest = int(self.lengths.max())

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put the newest token's key and value [B, k, 1, d] at each row's end; returns what is filled."""
        keys, values = self.layers[layer]
        rows = torch.arange(keys.shape[0], device=keys.device)
        keys[rows, :, self.lengths] = key[:, :, 0].to(keys.dtype)
        values[rows, :, self.lengths] = value[:, :, 0].to(values.dtype)
        filled = self.longest + 1
        return keys[:, :, :filled], values[:, :, :filled]

    def advance(self) -> None:
        """Every row has grown by the token just written."""
        self.lengths = self.lengths + 1
        self.longest += 1

    def keep(self, rows: Tensor) -> None:
        """Let go of all rows but these (indices)."""
        self.layers = {layer: (keys[rows], values[rows]) for layer, (keys, values) in self.layers.items()}
        self.lengths = self.lengths[rows]
        self.longest = int(self.lengths.max())


@dataclass(frozen=True)
class Layout:
    """What one forward pass over packed rows does.

    Args:
        lengths: of the packed rows.
        prefix: keys and values every row attends to first; none: the rows stand alone.
        capture: filled with this pass's own keys and values [k, T, d].
        cache: one new token a row (T = B), attending to the row's own cached tokens.
    """

    lengths: tuple[int, ...]
    prefix: KeyValues | None = None
    capture: KeyValues | None = None
    cache: RowCache | None = None

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row, its prefix included."""
        own = max(self.lengths) if self.cache is None else self.cache.longest + 1
        return own + (self.prefix.length if self.prefix else 0)

    @cached_property
    def groups(self) -> list[tuple[Tensor, int]]:
        """Rows of about the same length, as ([rows, width] packed positions, width).

        Within a group shorter rows are filled up on the right with a repeated position, which causality hides from
        every real token; groups are cut so that at most a quarter of the work is such filling.
        """
        starts = row_starts(self.lengths)
        order = sorted(range(len(self.lengths)), key=lambda row: -self.lengths[row])
        groups: list[list[int]] = []
        for row in order:
            if groups:
                rows = [*groups[-1], row]
                if len(rows) * self.lengths[rows[0]] <= _MAX_WASTE * sum(self.lengths[r] for r in rows):
                    groups[-1] = rows
                    continue
            groups.append([row])
        result = []
        for rows in groups:
            width = self.lengths[rows[0]]
            steps = torch.arange(width)
            index = torch.stack([starts[row] + steps.clamp(max=self.lengths[row] - 1) for row in rows])
            result.append((index, width))
        return result

    @cached_property
    def back(self) -> Tensor:
        """For every packed position [T] its place in the concatenation of all groups."""
        total = sum(self.lengths)
        place = torch.empty(total, dtype=torch.long)
        offset = 0
        for index, width in self.groups:
            places = torch.arange(offset, offset + index.numel()).view(-1, width)
            first = torch.ones_like(index, dtype=torch.bool)
            first[:, 1:] = index[:, 1:] != index[:, :-1]  # the filling repeats a row's last position
            place[index[first]] = places[first]
            offset += index.numel()
        return place


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface: query [1, h, T, d], key and value [1, k, T, d] -> [1, T, h, d].

    While sampling, query is [B, h, 1, d] and the result [B, 1, h, d].

    Raises:
        Unpackable: when the model asks for something this function does not compute.
    """
    if layout is None:
        raise Unpackable("the model does not pass keyword arguments on to its attention")
    refused = [n for n, given in others.items() if given is not None and given is not False and n not in _HARMLESS]
    if refused or attention_mask is not None:
        raise Unpackable(f"attention uses {', '.join(refused) or 'a mask of its own'}")
    if sliding_window is not None and layout.longest > sliding_window:
        raise Unpackable(f"a row of {layout.longest} tokens is longer than the sliding window of {sliding_window}")
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise Unpackable("attention layers carry no index")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    prefix = layout.prefix.layers[layer] if layout.prefix is not None else None

    if layout.cache is not None:
        keys, values = layout.cache.write(layer, key, value)
        return _attend_cached(query, keys, values, layout.cache.lengths + 1, prefix, scale), None
    if layout.capture is not None:
        layout.capture.layers[layer] = (key[0].detach(), value[0].detach())
    if prefix is None:
        return _attend_rows(query, key, value, layout, scale, dropout)[None], None
    if torch.is_grad_enabled():
        raise Unpackable("a shared prefix carries no gradient")
    own, own_lse = _attend_rows_with_lse(query, key, value, layout, scale)
    common, common_lse = attend(query, prefix[0][None], prefix[1][None], scale)
    return merge(own, own_lse, common[0].transpose(0, 1), common_lse[0].transpose(0, 1))[None], None


ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Let the model attend through `packed_attention` inside the block, whatever it uses outside."""
    configs: dict[int, Any] = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}
    before = {key: getattr(config, "_attn_implementation", None) for key, config in configs.items()}
    for key, config in configs.items():
        if before[key] is not None:
            config._attn_implementation = NAME
    try:
        yield
    finally:
        for key, config in configs.items():
            if before[key] is not None:
                config._attn_implementation = before[key]


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool = False) -> tuple[Tensor, Tensor]:
    """Softmax attention and its log-sum-exp: [B, h, T, d] over [B, k, S, d] -> [B, h, T, d], [B, h, T] (float32).

    No gradient. Query heads that share a key/value head are folded into its queries, so no key is repeated, unless
    causality ties a query's place to its key's.
    """
    batch, heads, length, width = query.shape
    shared = heads // key.shape[1]
    if causal:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    else:
        query = query.reshape(batch, key.shape[1], shared * length, width)
    if query.device.type == "cpu" and value.shape[-1] == width and not torch.is_autocast_enabled("cpu"):
        operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        key, value = key.to(query.dtype), value.to(query.dtype)
        out, lse = operator(query, key, value, 0.0, causal, scale=scale)
        if lse.shape != out.shape[:3]:
            lse = lse.transpose(1, 2)
    else:
        out, lse = _attend_plainly(query, key, value, scale, causal)
    return out.reshape(batch, heads, length, -1), at_least_float32(lse).reshape(batch, heads, length)


def merge(first: Tensor, first_lse: Tensor, second: Tensor, second_lse: Tensor) -> Tensor:
    """Attention over two disjoint sets of keys from the attention over each: [..., d], [...] twice -> [..., d]."""
    weight = torch.sigmoid(first_lse - second_lse).unsqueeze(-1)
    return (first * weight + second * (1 - weight)).to(first.dtype)


def _attend_plainly(query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool) -> tuple[Tensor, Tensor]:
    """`attend` by its definition, a chunk of queries at a time: [B, k, T, d] over [B, k, S, d]."""
    outs, lses = [], []
    places = torch.arange(key.shape[2], device=key.device)
    for start in range(0, query.shape[2], _QUERY_CHUNK):
        part = query[:, :, start : start + _QUERY_CHUNK]
        scores = at_least_float32(part @ key.to(part.dtype).transpose(-1, -2)) * scale
        if causal:
            own = torch.arange(start, start + part.shape[2], device=key.device)
            scores = scores.masked_fill(places[None, :] > own[:, None], float("-inf"))
        lses.append(scores.logsumexp(-1))
        outs.append((scores - lses[-1].unsqueeze(-1)).exp().to(part.dtype) @ value.to(part.dtype))
    return torch.cat(outs, 2), torch.cat(lses, 2)


def _gather(packed_states: Tensor, index: Tensor) -> Tensor:
    """[1, heads, T, d] -> [rows, heads, width, d], the rows of one group."""
    rows, width = index.shape
    _, heads, _, size = packed_states.shape
    picked = packed_states[0].index_select(1, index.reshape(-1).to(packed_states.device))
    return picked.view(heads, rows, width, size).transpose(0, 1)


def _attend_rows(query: Tensor, key: Tensor, value: Tensor, layout: Layout, scale: float, dropout: float) -> Tensor:
    """Each row attends causally to itself: [1, h, T, d] -> [T, h, d]. Differentiable."""
    shared = query.shape[1] // key.shape[1]
    parts = []
    for index, _ in layout.groups:
        q, k, v = (_gather(states, index) for states in (query, key, value))
        if shared > 1:
            k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        out = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scale)
        parts.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).index_select(0, layout.back.to(query.device))


def _attend_rows_with_lse(
    query: Tensor, key: Tensor, value: Tensor, layout: Layout, scale: float
) -> tuple[Tensor, Tensor]:
    """Each row attends causally to itself, and says how much it found: [T, h, d] and log-sum-exp [T, h]."""
    outs, lses = [], []
    for index, _ in layout.groups:
        q, k, v = (_gather(states, index) for states in (query, key, value))
        out, lse = attend(q, k, v, scale, causal=True)
        outs.append(out.transpose(1, 2).flatten(0, 1))
        lses.append(lse.transpose(1, 2).flatten(0, 1))
    back = layout.back.to(query.device)
    return torch.cat(outs).index_select(0, back), torch.cat(lses).index_select(0, back)


def _attend_cached(
    query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, prefix: tuple[Tensor, Tensor] | None, scale: float
) -> Tensor:
    """One new token a row [B, h, 1, d] over its cached keys [B, k, S, d] and the prefix -> [B, 1, h, d]."""
    batch, heads, _, width = query.shape
    grouped = query.reshape(batch, keys.shape[1], heads // keys.shape[1], width)
    scores = at_least_float32(grouped @ keys.to(query.dtype).transpose(-1, -2)) * scale  # [B, k, h/k, S]
    beyond = torch.arange(keys.shape[2], device=keys.device)[None] >= lengths[:, None]
    scores = scores.masked_fill(beyond[:, None, None], float("-inf"))
    lse = scores.logsumexp(-1)
    own = (scores - lse.unsqueeze(-1)).exp().to(query.dtype) @ values.to(query.dtype)
    own, lse = own.reshape(batch, heads, -1), lse.reshape(batch, heads)
    if prefix is None:
        return own[:, None]
    # All rows ask the same keys: one matrix product with the rows in the place of the queries.
    common, common_lse = attend(query[:, :, 0].transpose(0, 1)[None], prefix[0][None], prefix[1][None], scale)
    return merge(own, lse, common[0].transpose(0, 1), common_lse[0].transpose(0, 1))[:, None]
