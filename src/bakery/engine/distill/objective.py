"""How far the student is from the teacher, token by token, in nats.

Shapes: N target rows, H hidden width, V vocabulary. `p` is the teacher's distribution, `q` the student's, both
softmax(logits / temperature).

    beta = 0      forward KL   KL(p || q)
    beta = 1      reverse KL   KL(q || p)
    0 < beta < 1  generalised Jensen-Shannon  beta KL(p || m) + (1 - beta) KL(q || m),  m = beta p + (1 - beta) q
                  (Agarwal et al. 2024, "On-Policy Distillation of Language Models", arXiv 2306.13649, eq. 1)

`token_divergence` is the definition. A `DivergenceObjective` gives the same values and gradients from hidden states
without ever holding [N, V], the gradient at once with the value. Forward KL behind a head that is only a matrix goes by
moments (`moments.py`): the teacher's are computed once. Everything else forms both logits, a chunk of rows at a time.
For D of one row and z the student's logits, with g = log(q / p) for reverse KL and (1 - beta) log(q / m) for the
mixture,

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

from bakery.engine.distill.moments import equal_part, log_partition, moments
from bakery.engine.distill.signals import Moments, States, TeacherSignal
from bakery.engine.model.lm_head import IdentityHead, LMHead, at_least_float32
from bakery.engine.tensor_types import Float

_CPU_ELEMENTS, _ACCELERATOR_ELEMENTS = 2**22, 2**27
"""Logits formed at a time: on the CPU few enough to stay near its cache, elsewhere enough to fill the device."""
_FEWEST_ROWS = 64
"""With fewer rows at a time the matmul would do little but read the head's weights."""


class TokenDivergence(NamedTuple):
    """What one pass over the target rows says, float32 or wider. Only `divergence` carries a gradient."""

    divergence: Float[Tensor, "N"]  # nats
    teacher_entropy: Float[Tensor, "N"]  # nats: the floor of the cross-entropy, not of the divergence
    agreement: Float[Tensor, "N"]  # 1.0 where both put most mass on the same token


def token_divergence(
    student_logits: Float[Tensor, "*rows V"],
    teacher_logits: Float[Tensor, "*rows V"],
    *,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> Float[Tensor, "*rows"]:
    """Divergence of every row in nats, by its definition. Differentiable as usual."""
    log_q = torch.log_softmax(at_least_float32(student_logits) / temperature, dim=-1)
    log_p = torch.log_softmax(at_least_float32(teacher_logits) / temperature, dim=-1)
    return _divergence(log_p, log_q, beta)


def compute_kl_divergence(
    student_logits: Float[Tensor, "..."],
    teacher_logits: Float[Tensor, "..."],
    mask: Tensor | None = None,
    temperature: float = 1.0,
    beta: float = 0.0,
) -> Float[Tensor, ""]:
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


@dataclass(frozen=True)
class DivergenceObjective:
    """The divergence of student from teacher behind one frozen LM head, from their hidden states.

    Args:
        head: turns states into logits.
        temperature: softmax temperature of both distributions.
        beta: 0 forward KL, 1 reverse KL, between them the generalised Jensen-Shannon divergence.
        chunk_rows: rows whose logits are held at a time, where they are; by the device when omitted.
    """

    head: LMHead | IdentityHead
    temperature: float = 1.0
    beta: float = 0.0
    chunk_rows: int | None = None

    @property
    def by_moments(self) -> bool:
        """Whether the teacher's moments are all that is needed of it."""
        return self.beta == 0.0 and isinstance(self.head, LMHead) and self.head.is_matrix

    @property
    def signal_name(self) -> str:
        """What a signal is, in words: one under another name cannot stand for it."""
        return f"moments at temperature {self.temperature}" if self.by_moments else "states"

    @property
    def signal_bytes(self) -> int:
        """Memory of the signal at one target, at most."""
        if isinstance(self.head, IdentityHead):
            return 4 * self.head.vocabulary
        width = self.head.weight.shape[1]
        return 4 * width + 12 if self.by_moments else 4 * width

    def signal(self, teacher_states: Float[Tensor, "N H"]) -> TeacherSignal:
        """What has to be known of the teacher's states at every step."""
        return self._moments(teacher_states) if self.by_moments else States(teacher_states)

    def divergence(self, student_states: Float[Tensor, "N H"], signal: TeacherSignal) -> TokenDivergence:
        """The divergence of student states from the teacher. The gradient flows to the student's states only.

        Values and gradients equal `token_divergence` on `head.logits`.
        """
        wanted = student_states.requires_grad and torch.is_grad_enabled()
        with torch.no_grad():
            if isinstance(signal, Moments):
                measured, gradient = self._from_moments(student_states, signal, wanted)
            else:
                measured, gradient = self._from_logits(student_states, cast(States, signal).states, wanted)
        if gradient is None:
            return measured
        divergence = _WithGradient.apply(student_states, measured.divergence, gradient)  # type: ignore[no-untyped-call]
        return measured._replace(divergence=divergence)

    @property
    def _factor(self) -> float:
        """Of the head's product in the softmax."""
        return cast(LMHead, self.head).scale / self.temperature

    def _moments(self, states: Tensor) -> Moments:
        return moments(states, cast(LMHead, self.head).weight, self._factor)

    def _from_moments(
        self, student_states: Tensor, p: Moments, with_gradient: bool
    ) -> tuple[TokenDivergence, Tensor | None]:
        weight = cast(LMHead, self.head).weight
        if not with_gradient and weight.dtype == at_least_float32(weight[:0]).dtype:
            hidden = student_states.to(weight.dtype)
            partition, best = log_partition(hidden, weight, self._factor)
            divergence = partition - self._factor * (p.mean * hidden).sum(-1) - p.entropy
            return TokenDivergence(divergence, p.entropy, (p.best == best).to(divergence.dtype)), None
        # In half precision the logits of the log-partition would be rounded, which moments feel to second order only.
        q = self._moments(student_states)
        gradient = (q.mean - p.mean).mul_(self._factor)
        measured = TokenDivergence(
            (gradient * student_states).sum(-1) + (q.entropy - p.entropy),
            p.entropy,
            (p.best == q.best).to(gradient.dtype),
        )
        return measured, gradient.to(student_states.dtype)

    def _from_logits(
        self, student_states: Tensor, teacher_states: Tensor, with_gradient: bool
    ) -> tuple[TokenDivergence, Tensor | None]:
        head, temperature = self.head, self.temperature
        most = self.chunk_rows or rows_at_once(head, student_states.device)
        empty = at_least_float32(student_states[:0, 0])
        # Every chunk is computed in the same memory: on the CPU touching fresh memory costs much.
        buffers = empty.new_empty(3, min(most, len(student_states)), head.vocabulary)
        gradient = torch.empty_like(student_states) if with_gradient else None
        parts: list[_Chunk] = []
        for rows in _chunks(len(student_states), most):
            student_buffer, teacher_buffer, spare = buffers[:, : rows.stop - rows.start]
            student = head.logits(student_states[rows], student_buffer)
            teacher = head.logits(teacher_states[rows], teacher_buffer)
            derivative = head.derivative(student) if with_gradient else 1.0
            if temperature != 1.0:
                student, teacher = student / temperature, teacher / temperature
            # An impossible token (minus infinity) cannot be subtracted from another.
            if self.beta == 0.0 and isinstance(head, LMHead):
                part = _forward_kl(student, teacher, spare, with_gradient)
            else:
                part = _by_definition(student, teacher, self.beta, with_gradient)
            parts.append(part)
            if gradient is not None and part.gradient is not None:
                gradient[rows] = head.vjp(part.gradient, derivative) / temperature
        columns = zip(*(part[:3] for part in parts), strict=True) if parts else ((), (), ())
        return TokenDivergence(*(torch.cat([empty, *column]) for column in columns)), gradient


class _WithGradient(torch.autograd.Function):
    """Values [N] of states [N, H] whose gradient [N, H] is known already."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, values: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = cast(tuple[Tensor, ...], ctx.saved_tensors)
        return gradient * upstream.unsqueeze(-1).to(gradient.dtype), None, None


def rows_at_once(head: LMHead | IdentityHead, device: torch.device) -> int:
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
    """Slices of at most `most` rows, as equal as can be."""
    rows = equal_part(count, most)
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))


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
