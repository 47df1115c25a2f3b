"""Softmax attention as pure functions: over any keys with its log-sum-exp, and over whole rows with a gradient.

Shapes: B rows, T queries, S keys, h query heads, k key/value heads (h a multiple of k), d head width (v of the values).

Attention over two disjoint sets of keys is exactly the mean of both, weighted by their log-sum-exp (Milakov and
Gimelshein 2018, arXiv 1805.02867); so a prefix that many rows share is attended to once for all of them (Juravsky et
al. 2024, "Hydragen", arXiv 2402.05099).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from bakery.engine.model.lm_head import at_least_float32
from bakery.engine.tensor_types import Float, Int

_QUERY_CHUNK = 256
_SHORT_ON_CPU = 256
"""Up to this many tokens torch's fused attention is slower on the CPU than two matmuls, most of all backwards."""


@dataclass(frozen=True)
class Rule:
    """How a layer turns scores into weights.

    Args:
        scale: factor of the scores.
        softcap: scores become softcap * tanh(score / softcap).
        window: a query sees only keys less than this many positions back.
    """

    scale: float
    softcap: float | None = None
    window: int | None = None

    def sees_all(self, longest: int) -> bool:
        """Whether the window hides nothing in a sequence of this length."""
        return self.window is None or longest <= self.window


def attend(
    query: Float[Tensor, "B h T d"],
    key: Float[Tensor, "B k S d"],
    value: Float[Tensor, "B k S v"],
    rule: Rule,
    *,
    causal: bool = False,
    positions: Int[Tensor, "T"] | None = None,
) -> tuple[Float[Tensor, "B h T v"], Float[Tensor, "B h T"]]:
    """Attention and its log-sum-exp in float32 or wider. No gradient.

    Args:
        query, key, value: see above.
        rule: of the layer.
        causal: query t sees keys up to t (T = S).
        positions: [T], the position of every query where key s has position s; needed only where a window hides keys.
    """
    batch, heads, length, width = query.shape
    shared = heads // key.shape[1]
    windowed = positions is not None and rule.window is not None
    if causal or windowed:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    else:  # heads that share keys are folded into the queries: no key is repeated
        query = query.reshape(batch, key.shape[1], shared * length, width)
    simple = rule.softcap is None and not windowed and (not causal or rule.sees_all(length))
    if simple and query.device.type == "cpu" and value.shape[-1] == width and not torch.is_autocast_enabled("cpu"):
        operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, lse = operator(query, key.to(query.dtype), value.to(query.dtype), 0.0, causal, scale=rule.scale)
        if lse.shape != out.shape[:3]:
            lse = lse.transpose(1, 2)
    else:
        positions = torch.arange(length, device=query.device) if causal else positions
        out, lse = _by_definition(query, key, value, rule, positions)
    return out.reshape(batch, heads, length, -1), at_least_float32(lse).reshape(batch, heads, length)


def attend_rows(
    query: Float[Tensor, "B h T d"],
    key: Float[Tensor, "B k T d"],
    value: Float[Tensor, "B k T v"],
    rule: Rule,
    dropout: float,
) -> Float[Tensor, "B h T v"]:
    """Every row attends causally to itself. Differentiable."""
    length, shared = query.shape[2], query.shape[1] // key.shape[1]
    short = query.device.type == "cpu" and length <= _SHORT_ON_CPU and not torch.is_autocast_enabled("cpu")
    if short and rule.softcap is None and not dropout:
        output = _ShortRows.apply(query, key.to(query.dtype), value.to(query.dtype), rule)  # type: ignore[no-untyped-call]
        return output  # type: ignore[no-any-return]
    if shared > 1:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    if rule.softcap is None and rule.sees_all(length):
        return functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=rule.scale
        )
    parts = []
    every = torch.arange(length, device=query.device)
    for start in range(0, length, _QUERY_CHUNK):
        own = every[start : start + _QUERY_CHUNK]
        first = 0 if rule.window is None else max(0, start + 1 - rule.window)
        seen = slice(first, start + len(own))
        scores = _scores(query[:, :, start : start + len(own)], key[:, :, seen], rule)
        scores = scores + _hidden(own, every[seen], rule, scores.dtype)
        weights = functional.dropout(scores.softmax(-1), dropout).to(value.dtype)
        parts.append(weights @ value[:, :, seen])
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


class _ShortRows(torch.autograd.Function):
    """Rows that attend to themselves in one node: [B, h, T, d], [B, k, T, d] twice, a rule without soft cap.

    Heads that share keys are folded into the queries. For backward only the weights P are stored; with O = P V and
    S the scaled scores, dV = P' dO, dP = dO V', dS = P (dP - sum(P dP)), dQ = s dS K, dK = s dS' Q.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, rule: Rule) -> Tensor:
        batch, groups, length, width = key.shape
        folded = query.reshape(batch, groups, -1, width)
        scores = at_least_float32(folded @ key.transpose(-1, -2)).mul_(rule.scale)
        every = torch.arange(length, device=query.device)
        scores.view(batch, -1, length, length).add_(_hidden(every, every, rule, scores.dtype))
        weights = scores.softmax(-1).to(value.dtype)
        ctx.save_for_backward(folded, key, value, weights)
        ctx.scale, ctx.shape = rule.scale, query.shape
        return (weights @ value).view(*query.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        folded, key, value, weights = ctx.saved_tensors
        gradient = gradient.reshape(*folded.shape[:-1], -1)
        by_weights = gradient @ value.transpose(-1, -2)
        by_scores = torch.ops.aten._softmax_backward_data(by_weights, weights, -1, weights.dtype).mul_(ctx.scale)
        return (
            (by_scores @ key).view(ctx.shape),
            by_scores.transpose(-1, -2) @ folded,
            weights.transpose(-1, -2) @ gradient,
            None,
        )


def merge(
    first: Float[Tensor, "*rows v"],
    first_lse: Float[Tensor, "*rows"],
    second: Float[Tensor, "*rows v"],
    second_lse: Float[Tensor, "*rows"],
) -> Float[Tensor, "*rows v"]:
    """Attention over two disjoint sets of keys from the attention over each and its log-sum-exp."""
    weight = torch.sigmoid(first_lse - second_lse).unsqueeze(-1)
    return (first * weight + second * (1 - weight)).to(first.dtype)


def attend_grown(
    query: Float[Tensor, "B h 1 d"],
    key: Float[Tensor, "B k S d"],
    value: Float[Tensor, "B k S v"],
    lengths: Int[Tensor, "B"],
    rule: Rule,
) -> tuple[Float[Tensor, "B h v"], Float[Tensor, "B h"]]:
    """One query a row, over the first `lengths` of its keys: attention and its log-sum-exp."""
    batch, heads, _, width = query.shape
    grouped = query.reshape(batch, key.shape[1], heads // key.shape[1], width)
    scores = _scores(grouped, key, rule)  # [B, k, h/k, S]
    positions = torch.arange(key.shape[2], device=key.device)[None]
    hidden = positions >= lengths[:, None]
    if rule.window is not None:
        hidden |= positions < (lengths - rule.window)[:, None]
    scores = scores.masked_fill(hidden[:, None, None], float("-inf"))
    lse = scores.logsumexp(-1)
    out = (scores - lse.unsqueeze(-1)).exp().to(query.dtype) @ value.to(query.dtype)
    return out.reshape(batch, heads, -1), lse.reshape(batch, heads)


def _by_definition(
    query: Tensor, key: Tensor, value: Tensor, rule: Rule, positions: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`attend` as it is written in books, a chunk of queries at a time; as many key heads as query heads.

    A query that sees no key gets zeros and a log-sum-exp of minus infinity, so that it weighs nothing in `merge`.
    """
    outs, lses = [], []
    every = torch.arange(key.shape[2], device=key.device)
    for start in range(0, query.shape[2], _QUERY_CHUNK):
        part = query[:, :, start : start + _QUERY_CHUNK]
        scores = _scores(part, key, rule)
        if positions is not None:
            scores = scores + _hidden(positions[start : start + part.shape[2]], every, rule, scores.dtype)
        lses.append(scores.logsumexp(-1))
        weights = (scores - lses[-1].unsqueeze(-1)).exp().nan_to_num(0.0)
        outs.append(weights.to(part.dtype) @ value.to(part.dtype))
    return torch.cat(outs, 2), torch.cat(lses, 2)


def _scores(query: Tensor, key: Tensor, rule: Rule) -> Tensor:
    """Scaled, capped scores in float32 or wider: [..., T, S]."""
    scores = at_least_float32(query @ key.to(query.dtype).transpose(-1, -2)) * rule.scale
    return scores if rule.softcap is None else rule.softcap * torch.tanh(scores / rule.softcap)


def _hidden(query_positions: Tensor, key_positions: Tensor, rule: Rule, dtype: torch.dtype) -> Tensor:
    """0 where a query sees a key, minus infinity where it does not: [T, S]."""
    back = query_positions[:, None] - key_positions[None, :]
    hidden = back < 0
    if rule.window is not None:
        hidden |= back >= rule.window
    return torch.zeros(back.shape, dtype=dtype, device=back.device).masked_fill(hidden, float("-inf"))
