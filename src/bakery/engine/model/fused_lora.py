"""LoRA layers as one node each: peft's values and gradients with fewer passes over memory.

Shapes: T tokens, I and O the widths of a layer, r its rank. With g = dL/dy, d the input as dropout left it, h = d A':

    y = x W' + b + s h B'        dB = s g' h        dh = s g B        dA = dh' d        dx = g W,  dd = dh A

Each product is added where it belongs by the matmul itself (its `alpha` and `beta`), so that neither s h B' nor any
scaled copy of y or g is ever written. Layers that are more than this (quantised, DoRA, a bias of B, a float16 base
under a float32 adapter, hooks on the base layer) are left as they are.

peft keeps the adapter of a bfloat16 base in float32. Its weights are then rounded to bfloat16 for the products and
updated in float32, as mixed precision does it (Micikevicius et al. 2018, arXiv 1710.03740); float16 has not the range.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bakery.engine.model.structure import unwrap


def fusable_layers(model: nn.Module) -> list[nn.Module]:
    """The LoRA layers of `model` that allow to be computed as one node."""
    return [layer for layer in unwrap(model).modules() if type(layer) is Linear and _is_plain(layer)]


@contextmanager
def fused_lora(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Inside the block these `fusable_layers` are computed as one node each."""
    for layer in layers:
        layer.forward = partial(_forward, layer, layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own again


def _active(layer: Any) -> list[str]:
    return [name for name in layer.active_adapters if name in layer.lora_A]


def _is_plain(layer: Any) -> bool:
    base, names = layer.get_base_layer(), _active(layer)
    if len(names) != 1 or type(base) is not nn.Linear or layer.fan_in_fan_out or "forward" in vars(layer):
        return False
    (name,) = names
    parts = (base, layer.lora_A[name], layer.lora_B[name])
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    simple = name not in layer.lora_variant and layer.lora_B[name].bias is None and not base.weight.requires_grad
    kinds, own = {part.weight.dtype for part in parts}, base.weight.dtype
    alike = kinds == {own} or (own == torch.bfloat16 and kinds <= {own, torch.float32})
    alike = alike and base.weight.numel() == base.in_features * base.out_features
    return simple and alike and not hooked and not (base.bias is not None and base.bias.requires_grad)


def _forward(layer: Any, original: Any, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """The formula, or the layer's original `forward` where more than that is needed."""
    base, device = layer.get_base_layer(), x.device.type
    switched = layer.disable_adapters or layer.merged
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    if switched or arguments or named or dtype != base.weight.dtype:
        return original(x, *arguments, **named)  # type: ignore[no-any-return]
    (name,) = _active(layer)
    with torch.autocast(device, enabled=False):
        x = x.to(dtype)
        dropped = layer.lora_dropout[name](x)
        a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
        output = _LowRank.apply(  # type: ignore[no-untyped-call]
            x, None if dropped is x else dropped, a, b, base.weight, base.bias, layer.scaling[name]
        )
    return output  # type: ignore[no-any-return]


class _LowRank(torch.autograd.Function):
    """x [..., I], dropped [..., I] or None where it is x, a [r, I], b [O, r], weight [O, I], bias [O] -> y [..., O]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        dropped: Tensor | None,
        a: Tensor,
        b: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        scale: float,
    ) -> Tensor:
        ctx.kinds = a.dtype, b.dtype
        a, b = a.to(weight.dtype), b.to(weight.dtype)
        flat = x.reshape(-1, x.shape[-1])
        seen = flat if dropped is None else dropped.reshape(flat.shape)
        low = seen @ a.T
        y = nn.functional.linear(flat, weight, bias).addmm_(low, b.T, alpha=scale)
        ctx.save_for_backward(seen, low, a, b, weight)
        ctx.scale, ctx.apart = scale, dropped is not None
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        seen, low, a, b, weight = ctx.saved_tensors
        g = gradient.reshape(-1, gradient.shape[-1])
        low_gradient = (g @ b).mul_(ctx.scale)
        b_gradient = (g.T @ low).mul_(ctx.scale).to(ctx.kinds[1]) if ctx.needs_input_grad[3] else None
        a_gradient = (low_gradient.T @ seen).to(ctx.kinds[0]) if ctx.needs_input_grad[2] else None
        x_gradient = dropped_gradient = None
        if ctx.needs_input_grad[0]:
            x_gradient = g @ weight
            if ctx.apart:
                dropped_gradient = low_gradient @ a
            else:
                x_gradient.addmm_(low_gradient, a)
        shape = (*gradient.shape[:-1], -1)
        given = [part if part is None else part.view(shape) for part in (x_gradient, dropped_gradient)]
        return (*given, a_gradient, b_gradient, None, None, None)
