"""How far the student is from the teacher, token by token, in nats: pure functions.

Shapes: N target rows, H hidden width, V vocabulary. `p` is the teacher's distribution, `q` the student's, both
softmax(logits / temperature).

    beta = 0      forward KL   KL(p || q)
    beta = 1      reverse KL   KL(q || p)
    0 < beta < 1  generalised Jensen-Shannon  beta KL(p || m) + (1 - beta) KL(q || m),  m = beta p + (1 - beta) q
                  (Agarwal et al. 2024, "On-Policy Distillation of Language Models", arXiv 2306.13649, eq. 1)

`token_divergence` is the definition; `fused_divergence` gives the same values and gradients from hidden states
without ever holding [N, V]: each chunk of rows forms its logits, its divergence and, at once, its gradient. For D of
one row and z the student's logits, with g = log(q / p) for reverse KL and (1 - beta) log(q / m) for the mixture,

    forward KL:  dD/dz = (q - p) / temperature            otherwise:  dD/dz = q (g - sum(q g)) / temperature

and dD/dh follows through the frozen head. (d/dq of the mixture's two terms is (1 - beta)(log(q / m) + 1 - m / m).)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = 2**23
"""Logits formed at a time: 32 MiB in float32, small enough to stay near the cache, large enough for the matmul."""


@dataclass(frozen=True)
class Head:
    """The frozen output head: hidden states [N, H] to logits [N, V], float32.

    logits = softcap * tanh(scale * (hidden @ weight.T + bias) / softcap), each part optional.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.weight.shape[0]

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [N, V] in float32 (float64 stays float64) of final hidden states [N, H]."""
        raw = torch.nn.functional.linear(hidden.to(self.weight.dtype), self.weight, self.bias)
        raw = at_least_float32(raw)
        if self.scale != 1.0:
            raw = raw * self.scale
        if self.softcap is not None:
            raw = self.softcap * torch.tanh(raw / self.softcap)
        return raw

    def pull_back(self, logits: Tensor, logits_gradient: Tensor) -> Tensor:
        """Gradient [N, H] with respect to the hidden states, from the one with respect to `logits` [N, V]."""
        if self.softcap is not None:
            logits_gradient = logits_gradient * (1 - (logits / self.softcap) ** 2)
        if self.scale != 1.0:
            logits_gradient = logits_gradient * self.scale
        return logits_gradient.to(self.weight.dtype) @ self.weight


@dataclass(frozen=True)
class LogitsHead:
    """Stands in for `Head` where the states are the model's own logits [N, V] already: the plain path."""

    vocabulary: int

    def logits(self, states: Tensor) -> Tensor:
        """The states themselves, in float32 or wider."""
        return at_least_float32(states)

    def pull_back(self, logits: Tensor, logits_gradient: Tensor) -> Tensor:
        """The gradient itself."""
        return logits_gradient


class TokenDivergence(NamedTuple):
    """What one pass over the target rows says; each [N], float32 or wider. Only `divergence` carries a gradient."""

    divergence: Tensor  # nats
    teacher_entropy: Tensor  # nats: the floor of the cross-entropy, not of the divergence
    agreement: Tensor  # 1.0 where both put most mass on the same token


def at_least_float32(x: Tensor) -> Tensor:
    """Half precisions become float32; float32 and float64 stay."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def token_divergence(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 1.0, beta: float = 0.0
) -> Tensor:
    """Divergence of every row, by its definition: [..., V], [..., V] -> [...], nats. Differentiable as usual."""
    log_q = torch.log_softmax(at_least_float32(student_logits) / temperature, dim=-1)
    log_p = torch.log_softmax(at_least_float32(teacher_logits) / temperature, dim=-1)
    return _divergence(log_p, log_q, beta)


def compute_kl_divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> Tensor:
    """Mean divergence over the tokens that `mask` selects (all without one): a scalar in nats per token.

    Args:
        student_logits: [..., V].
        teacher_logits: [..., V], of the same shape.
        mask: [...], true or non-zero where a token counts.
        temperature: softmax temperature of both distributions.
        beta: 0 forward KL, 1 reverse KL, between them the generalised Jensen-Shannon divergence.

    Raises:
        ValueError: when the shapes differ or the mask selects nothing (there is no silent zero).
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits {tuple(student_logits.shape)} and teacher logits {tuple(teacher_logits.shape)} "
            "differ in shape"
        )
    per_token = token_divergence(student_logits, teacher_logits, temperature=temperature, beta=beta)
    selected = per_token.reshape(-1) if mask is None else per_token[mask.bool()]
    if selected.numel() == 0:
        raise ValueError("no token is selected: a divergence over nothing has no value")
    return selected.mean()


def fused_divergence(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    head: Head | LogitsHead,
    *,
    temperature: float = 1.0,
    beta: float = 0.0,
    chunk_rows: int | None = None,
) -> TokenDivergence:
    """The divergence of final hidden states [N, H] and [N, H] behind one frozen head, never holding [N, V].

    The gradient flows to `student_hidden` only. Values and gradients equal `token_divergence` on `head.logits`.
    """
    rows = chunk_rows or max(1, CHUNK_ELEMENTS // head.vocabulary)
    fused = _Fused.apply(student_hidden, teacher_hidden, head, temperature, beta, rows)  # type: ignore[no-untyped-call]
    return TokenDivergence(*fused)


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) over the last axis. A token of probability zero adds nothing, also where b is zero."""
    a = log_a.exp()
    return torch.where(a > 0, a * (log_a - log_b), 0.0).sum(-1)


def _mixture(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    return torch.logaddexp(log_p + log(beta), log_q + log(1 - beta))


def _divergence(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    """[..., V], [..., V] -> [...]: the divergence the module's first lines define."""
    if beta == 0.0:
        return _kl(log_p, log_q)
    if beta == 1.0:
        return _kl(log_q, log_p)
    log_m = _mixture(log_p, log_q, beta)
    return beta * _kl(log_p, log_m) + (1 - beta) * _kl(log_q, log_m)


def _chunks(count: int, rows: int) -> Iterator[slice]:
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


def _logits_gradient(log_p: Tensor, log_q: Tensor, temperature: float, beta: float) -> Tensor:
    """The gradient of every row's divergence with respect to the student's logits: [N, V]."""
    q = log_q.exp()
    if beta == 0.0:
        return (q - log_p.exp()) / temperature
    g = log_q - log_p if beta == 1.0 else (1 - beta) * (log_q - _mixture(log_p, log_q, beta))
    weighted = torch.where(q > 0, q * g, 0.0)
    return (weighted - q * weighted.sum(-1, keepdim=True)) / temperature


class _Fused(torch.autograd.Function):
    """Head and divergence in one node; the gradient is formed in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        student_hidden: Tensor,
        teacher_hidden: Tensor,
        head: Head | LogitsHead,
        temperature: float,
        beta: float,
        chunk_rows: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        gradient = torch.empty_like(student_hidden) if student_hidden.requires_grad else None
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for rows in _chunks(student_hidden.shape[0], chunk_rows):
            student_logits = head.logits(student_hidden[rows])
            log_q = torch.log_softmax(student_logits / temperature, dim=-1)
            log_p = torch.log_softmax(head.logits(teacher_hidden[rows]) / temperature, dim=-1)
            agreement = (log_q.argmax(-1) == log_p.argmax(-1)).to(log_q.dtype)
            entropy = -_kl(log_p, torch.zeros_like(log_p))
            parts.append((_divergence(log_p, log_q, beta), entropy, agreement))
            if gradient is not None:
                logits_gradient = _logits_gradient(log_p, log_q, temperature, beta)
                gradient[rows] = head.pull_back(student_logits, logits_gradient).to(gradient.dtype)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        empty = at_least_float32(student_hidden.new_empty(0))
        columns = [torch.cat([empty, *column]) for column in (zip(*parts, strict=True) if parts else ((), (), ()))]
        divergence, entropy, agreement = columns
        ctx.mark_non_differentiable(entropy, agreement)
        return divergence, entropy, agreement

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, divergence_gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = cast(tuple[Tensor, ...], ctx.saved_tensors)
        return (gradient * divergence_gradient.unsqueeze(-1).to(gradient.dtype), None, None, None, None, None)
