"""The frozen LM head as a formula: hidden states to logits, and the gradient back.

Shapes: N rows, H hidden width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bakery.engine.model.structure import base_of
from bakery.engine.tensor_types import Float


def at_least_float32(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half precisions become float32; float32 and float64 stay."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


@dataclass(frozen=True)
class LMHead:
    """The frozen output head: hidden states [N, H] to logits [N, V], float32.

    logits = softcap * tanh(scale * (hidden @ weight.T + bias) / softcap), each part optional.
    """

    weight: Float[Tensor, "V H"]
    bias: Float[Tensor, "V"] | None = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.weight.shape[0]

    @property
    def is_matrix(self) -> bool:
        """Whether it is a product with one matrix and a factor."""
        return self.bias is None and self.softcap is None

    def logits(self, hidden: Float[Tensor, "N H"], out: Float[Tensor, "N V"] | None = None) -> Float[Tensor, "N V"]:
        """Logits in float32 (float64 stays float64) of final hidden states, in `out` if given."""
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

    def derivative(self, logits: Float[Tensor, "N V"]) -> Float[Tensor, "N V"] | float:
        """The logits' derivative by hidden @ weight.T, or one number for all."""
        return self.scale if self.softcap is None else self.scale * (1 - (logits / self.softcap) ** 2)

    def vjp(self, gradient: Float[Tensor, "N V"], derivative: Float[Tensor, "N V"] | float) -> Float[Tensor, "N H"]:
        """Gradient with respect to the hidden states, from the one with respect to the logits."""
        gradient = gradient if isinstance(derivative, float) and derivative == 1.0 else gradient * derivative
        return gradient.to(self.weight.dtype) @ self.weight


@dataclass(frozen=True)
class IdentityHead:
    """Stands in for `LMHead` where the states are the model's own logits [N, V] already: the plain path."""

    vocabulary: int

    def logits(self, states: Float[Tensor, "N V"], out: Float[Tensor, "N V"] | None = None) -> Float[Tensor, "N V"]:
        """The states themselves, in float32 or wider."""
        return at_least_float32(states) if out is None else out.copy_(states)

    def derivative(self, logits: Float[Tensor, "N V"]) -> float:
        """They are the logits."""
        return 1.0

    def vjp(self, gradient: Float[Tensor, "N V"], derivative: Tensor | float) -> Float[Tensor, "N V"]:
        """The gradient itself."""
        return gradient


def read_head(model: nn.Module) -> LMHead | None:
    """The LM head as a formula, or None where it is adapted or trained: teacher and student differ there."""
    base = base_of(model)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or any(parameter.requires_grad for parameter in head.parameters()):
        return None
    config = base.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
    return LMHead(
        weight=head.weight.detach(),
        bias=None if head.bias is None else head.bias.detach(),
        scale=float(scale),
        softcap=getattr(config, "final_logit_softcapping", None),
    )
