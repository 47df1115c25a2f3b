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
from torch.nn import functional

_CPU_ELEMENTS, _ACCELERATOR_ELEMENTS = 2**22, 2**27
"""Logits formed at a time: on the CPU few enough to stay near its cache, elsewhere enough to fill the device."""
_FEWEST_ROWS = 64
"""With fewer rows at a time the matmul would do little but read the head's weights."""


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

    def logits(self, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """Logits [N, V] in float32 (float64 stays float64) of final hidden states [N, H], in `out` if given."""
        hidden = hidden.to(self.weight.dtype)
        if out is not None and out.dtype == self.weight.dtype:
            raw = torch.mm(hidden, self.weight.T, out=out)
            raw = raw if self.bias is None else raw.add_(self.bias)
        else:
            raw = functional.linear(hidden, self.weight, self.bias)
            raw = at_least_float32(raw) if out is None else out.copy_(raw)
        if self.scale != 1.0:
            raw = raw * self.scale
        if self.softcap is not None:
            raw = self.softcap * torch.tanh(raw / self.softcap)
        return raw

    def slope(self, logits: Tensor) -> Tensor | float:
        """The logits' derivative by hidden @ weight.T: [N, V], or one number for all."""
        return self.scale if self.softcap is None else self.scale * (1 - (logits / self.softcap) ** 2)

    def pull_back(self, gradient: Tensor, slope: Tensor | float) -> Tensor:
        """Gradient [N, H] with respect to the hidden states, from the one with respect to the logits [N, V]."""
        gradient = gradient if isinstance(slope, float) and slope == 1.0 else gradient * slope
        return gradient.to(self.weight.dtype) @ self.weight


@dataclass(frozen=True)
class LogitsHead:
    """Stands in for `Head` where the states are the model's own logits [N, V] already: the plain path."""

    vocabulary: int

    def logits(self, states: Tensor, out: Tensor | None = None) -> Tensor:
        """The states themselves, in float32 or wider."""
        return at_least_float32(states) if out is None else out.copy_(states)

    def slope(self, logits: Tensor) -> float:
        """They are the logits."""
        return 1.0

    def pull_back(self, gradient: Tensor, slope: Tensor | float) -> Tensor:
        """The gradient itself."""
        return gradient


class TokenDivergence(NamedTuple):
    """What one pass over the target rows says; each [N], float32 or wider. Only `divergence` carries a gradient."""

    divergence: Tensor  # nats
    teacher_entropy: Tensor  # nats: the floor of the cross-entropy, not of the divergence
    agreement: Tensor  # 1.0 where both put most mass on the same token


class Workspace:
    """Room for the logits of one chunk, kept from one call to the next: on the CPU touching fresh memory costs much.

    Elsewhere nothing is kept, since accelerators' allocators do that themselves.
    """

    def __init__(self) -> None:
        self._kept: Tensor | None = None

    def take(self, count: int, shape: tuple[int, int], like: Tensor) -> tuple[Tensor, ...]:
        """`count` tensors of this shape, not initialised, valid until the next call."""
        size = count * shape[0] * shape[1]
        kept = self._kept
        if kept is None or kept.numel() < size or kept.dtype != like.dtype or kept.device != like.device:
            kept = like.new_empty(size)
            self._kept = kept if like.device.type == "cpu" else None
        return kept[:size].view(count, *shape).unbind()


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
    workspace: Workspace | None = None,
) -> TokenDivergence:
    """The divergence of final hidden states [N, H] and [N, H] behind one frozen head, never holding [N, V].

    The gradient flows to `student_hidden` only. Values and gradients equal `token_divergence` on `head.logits`.
    """
    rows = chunk_rows or rows_at_once(head, student_hidden.device)
    fused = _Fused.apply(  # type: ignore[no-untyped-call]
        student_hidden, teacher_hidden, head, temperature, beta, rows, workspace or Workspace()
    )
    return TokenDivergence(*fused)


def rows_at_once(head: Head | LogitsHead, device: torch.device) -> int:
    """Of how many rows the logits should be held at a time."""
    elements = _CPU_ELEMENTS if device.type == "cpu" else _ACCELERATOR_ELEMENTS
    return max(_FEWEST_ROWS, elements // head.vocabulary)


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


def _chunks(count: int, most: int) -> Iterator[slice]:
    """Slices of at most `most` rows, as equal as can be: a matmul of few rows costs nearly what one of many does."""
    rows = -(-count // max(1, -(-count // most)))
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows or 1))


def _logits_gradient(log_p: Tensor, log_q: Tensor, beta: float) -> Tensor:
    """The gradient of every row's divergence with respect to the student's logits / temperature: [N, V]."""
    q = log_q.exp()
    if beta == 0.0:
        return q - log_p.exp()
    g = log_q - log_p if beta == 1.0 else (1 - beta) * (log_q - _mixture(log_p, log_q, beta))
    weighted = torch.where(q > 0, q * g, 0.0)
    return weighted - q * weighted.sum(-1, keepdim=True)


class _Chunk(NamedTuple):
    """What is computed of a few rows: the columns of `TokenDivergence` [n], and the student logits' gradient [n, V]."""

    divergence: Tensor
    entropy: Tensor
    agreement: Tensor
    gradient: Tensor | None


def _by_definition(student: Tensor, teacher: Tensor, beta: float, with_gradient: bool) -> _Chunk:
    """Any divergence of logits / temperature, [n, V] each."""
    log_q, log_p = torch.log_softmax(student, dim=-1), torch.log_softmax(teacher, dim=-1)
    return _Chunk(
        _divergence(log_p, log_q, beta),
        -_kl(log_p, torch.zeros_like(log_p)),
        (log_q.argmax(-1) == log_p.argmax(-1)).to(log_q.dtype),
        _logits_gradient(log_p, log_q, beta) if with_gradient else None,
    )


def _forward_kl(student: Tensor, teacher: Tensor, space: Tensor, with_gradient: bool) -> _Chunk:
    """The same for beta = 0, in place: beside the matmuls the time goes into touching memory. Overwrites all three.

    z: the logits less their largest; Z = sum(exp(z)); KL = sum(exp(z_p) (z_p - z_q)) / Z_p - log(Z_p) + log(Z_q).
    """
    (top_q, best_q), (top_p, best_p) = student.max(-1, keepdim=True), teacher.max(-1, keepdim=True)
    z_q, z_p = student.sub_(top_q), teacher.sub_(top_p)
    p = torch.exp(z_p, out=space)
    total_p = p.sum(-1, keepdim=True)
    apart = z_p.sub_(z_q).mul_(p).sum(-1, keepdim=True)
    cross = torch.mul(p, z_q, out=teacher).sum(-1, keepdim=True)
    q = z_q.exp_()
    total_q = q.sum(-1, keepdim=True)
    return _Chunk(
        (apart / total_p - total_p.log() + total_q.log())[:, 0],
        (total_p.log() - (apart + cross) / total_p)[:, 0],
        (best_q == best_p)[:, 0].to(q.dtype),
        q.div_(total_q).addcmul_(p, 1 / total_p, value=-1) if with_gradient else None,
    )


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
        workspace: Workspace,
    ) -> tuple[Tensor, Tensor, Tensor]:
        gradient = torch.empty_like(student_hidden) if student_hidden.requires_grad else None
        empty = at_least_float32(student_hidden.detach()[:0, 0])
        shape = min(chunk_rows, student_hidden.shape[0]), head.vocabulary
        student_space, teacher_space, space = workspace.take(3, shape, empty)
        parts: list[_Chunk] = []
        for rows in _chunks(student_hidden.shape[0], chunk_rows):
            count = rows.stop - rows.start
            student = head.logits(student_hidden[rows], student_space[:count])
            teacher = head.logits(teacher_hidden[rows], teacher_space[:count])
            slope = 1.0 if gradient is None else head.slope(student)
            if temperature != 1.0:
                student, teacher = student / temperature, teacher / temperature
            # An impossible token (minus infinity) cannot be subtracted from another.
            if beta == 0.0 and isinstance(head, Head):
                part = _forward_kl(student, teacher, space[:count], gradient is not None)
            else:
                part = _by_definition(student, teacher, beta, gradient is not None)
            parts.append(part)
            if gradient is not None and part.gradient is not None:
                back = head.pull_back(part.gradient, slope).to(gradient.dtype)
                gradient[rows] = back / temperature if temperature != 1.0 else back
        if gradient is not None:
            ctx.save_for_backward(gradient)
        columns = zip(*(part[:3] for part in parts), strict=True) if parts else ((), (), ())
        divergence, entropy, agreement = (torch.cat([empty, *column]) for column in columns)
        ctx.mark_non_differentiable(entropy, agreement)
        return divergence, entropy, agreement

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, divergence_gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = cast(tuple[Tensor, ...], ctx.saved_tensors)
        return (gradient * divergence_gradient.unsqueeze(-1).to(gradient.dtype), None, None, None, None, None, None)
