"""What a softmax head makes of a hidden state, in as few numbers as the forward KL divergence needs.

Shapes: N rows, H hidden width, V vocabulary. W is the head's weight [V, H] and c its scale / temperature.

The distributions q = softmax(c W h) are an exponential family in h. With the mean embedding m_q = sum_v q_v W_v and the
entropy H(q), the log-partition is A(h) = logsumexp(c W h) = c m_q . h + H(q) and its gradient c m_q (Wainwright and
Jordan 2008, "Graphical Models, Exponential Families, and Variational Inference", section 3.6). So for a teacher p and a
student q = q(h)

    KL(p || q) = A(h) - c m_p . h - H(p) = c (m_q - m_p) . h + H(q) - H(p)        dKL/dh = c (m_q - m_p)

and all that a training step has to know of the teacher is m_p and H(p). A state's own moments take one sweep over the
vocabulary, tile by tile with a running maximum, as attention with W for keys and for values (Milakov and Gimelshein
2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135): two matmuls, and no [N, V] anywhere.

Rounding: A(h) is the largest value of c m_q . h + H(q) over all distributions q. What half precision does to the
weights q is therefore felt to second order only, provided that the mean and the entropy are of the same rounded q. The
mean itself is rounded where a matmul gives it in half precision, so each tile's likeliest token is added beside it.
"""

from math import ceil

import torch
from torch import Tensor

from bakery.engine.distill.signals import Moments
from bakery.engine.model.lm_head import at_least_float32
from bakery.engine.tensor_types import Float, Int

_CPU_ELEMENTS, _ACCELERATOR_ELEMENTS = 2**19, 2**24
"""Logits of one tile: on the CPU they stay in its cache, elsewhere there are enough of them to fill the device."""
_NARROWEST, _WIDEST = 1024, 4096
"""Tokens of a tile: fewer make its matmuls slow, more leave more of the mean to be rounded in half precision."""


def moments(
    hidden: Float[Tensor, "N H"], weight: Float[Tensor, "V H"], factor: float, tile: tuple[int, int] | None = None
) -> Moments:
    """The moments of softmax(factor * hidden @ weight.T), without gradient.

    Args:
        hidden: final hidden states.
        weight: of the head.
        factor: c.
        tile: rows and tokens of a tile of logits; by the device when omitted.
    """
    rows, width = tile or _tile(hidden)
    # In the head's own precision: autocast would round the logits of a float32 head, and `addmm_` would not follow it.
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        parts = [_sweep(part, weight, factor, width) for part in torch.split(hidden.to(weight.dtype), rows)]
        return Moments.concatenate(parts)


def log_partition(
    hidden: Float[Tensor, "N H"], weight: Float[Tensor, "V H"], factor: float, tile: tuple[int, int] | None = None
) -> tuple[Float[Tensor, "N"], Int[Tensor, "N"]]:
    """A(h) = logsumexp(factor * hidden @ weight.T) and the likeliest tokens: half the work of moments.

    Rounded logits round A(h) as much: for float32 and wider. The arguments are those of `moments`.
    """
    rows, width = tile or _tile(hidden)
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        parts = [_partition(part, weight, factor, width) for part in torch.split(hidden.to(weight.dtype), rows)]
    sums, tokens = (torch.cat(column) for column in zip(*parts, strict=True))
    return sums, tokens


def equal_part(count: int, most: int) -> int:
    """How large equal parts of `count` are, of at most `most` each: a small rest costs nearly what a full part does."""
    return max(1, ceil(count / max(1, ceil(count / most))))


def _tile(hidden: Tensor) -> tuple[int, int]:
    """All rows if they fit, else equal parts of them, and as wide as may be."""
    elements = _CPU_ELEMENTS if hidden.device.type == "cpu" else _ACCELERATOR_ELEMENTS
    rows = equal_part(len(hidden), elements // _NARROWEST)
    return rows, min(elements // rows, _WIDEST)


def _sweep(hidden: Tensor, weight: Tensor, factor: float, width: int) -> Moments:
    """One sweep over the vocabulary. Of the tiles so far: z = logits - top; total = sum e^z; tilted = sum z e^z."""
    count = hidden.shape[0]
    mean = at_least_float32(torch.zeros_like(hidden))
    top, total, tilted = mean.new_full((count, 1), torch.finfo(mean.dtype).min), *mean.new_zeros(2, count, 1)
    best = torch.zeros(count, 1, dtype=torch.long, device=hidden.device)
    for first in range(0, weight.shape[0], width):
        tile = weight[first : first + width]
        z = at_least_float32(torch.mm(hidden, tile.T))
        if factor != 1.0:
            z.mul_(factor)
        highest, likeliest = z.max(-1, keepdim=True)
        best = torch.where(highest > top, likeliest + first, best)
        raised = torch.maximum(top, highest)
        down = top - raised
        fade = down.exp()
        weights = z.sub_(raised).exp()
        tilted = (tilted + down * total) * fade
        total *= fade
        mean *= fade
        if weight.dtype == mean.dtype:
            mean.addmm_(weights, tile)
        else:
            rounded = weights.to(weight.dtype)
            weights.copy_(rounded)
            mean += weights.gather(1, likeliest) * tile[likeliest[:, 0]]
            mean += rounded.scatter_(1, likeliest, 0.0) @ tile
        total += weights.sum(-1, keepdim=True)
        tilted += z.mul_(weights).sum(-1, keepdim=True)
        top = raised
    entropy = total.log() - tilted / total
    return Moments(mean.div_(total), entropy[:, 0], best[:, 0])


def _partition(hidden: Tensor, weight: Tensor, factor: float, width: int) -> tuple[Tensor, Tensor]:
    """One sweep over the vocabulary: the log-sum-exp and the largest logit of every tile, then of all tiles."""
    sums, highest, likeliest = [], [], []
    for first in range(0, weight.shape[0], width):
        z = at_least_float32(torch.mm(hidden, weight[first : first + width].T)).mul_(factor)
        best, at = z.max(-1)
        sums.append(z.logsumexp(-1))
        highest.append(best)
        likeliest.append(at + first)
    tile = torch.stack(highest).argmax(0, keepdim=True)
    return torch.stack(sums).logsumexp(0), torch.stack(likeliest).gather(0, tile)[0]
