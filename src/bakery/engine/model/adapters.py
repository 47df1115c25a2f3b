"""Adapters of a loaded model: which of them act and how strongly, and what merging them into the base does."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import nn

from bakery.engine.model.structure import evaluating, unwrap
from bakery.errors import ModelError


@contextmanager
def acting(model: nn.Module, adapters: Sequence[tuple[str, float]]) -> Iterator[None]:
    """The model in evaluation mode with exactly these adapters (names with strengths) inside the block; none: the base.

    What was set before is set again afterwards, what is trained included. Blocks may lie within one another; an inner
    one that changes nothing costs nothing.

    Raises:
        ModelError: the model carries no adapter, or none of a name; or a strength other than 1 of what is not a LoRA.
    """
    inner = unwrap(model)
    if not isinstance(inner, PeftModel):
        raise ModelError("the model carries no adapter, so the base cannot be told from what is trained; attach one")
    with ExitStack() as stack:
        stack.enter_context(evaluating(inner))
        if not adapters:
            stack.enter_context(_disabled(inner))
        else:
            stack.enter_context(_active(inner, [name for name, _ in adapters]))
            if any(strength != 1 for _, strength in adapters):
                stack.enter_context(_scaled(inner, adapters))
        yield


@contextmanager
def _disabled(model: PeftModel) -> Iterator[None]:
    first = next((module for module in model.modules() if isinstance(module, LoraLayer)), None)
    if first is not None and first.disable_adapters:
        yield
        return
    with model.disable_adapter():
        yield


@contextmanager
def _active(model: PeftModel, names: list[str]) -> Iterator[None]:
    before = list(model.active_adapters)
    if before == names:
        yield
        return
    if unknown := [name for name in names if name not in model.peft_config]:
        raise ModelError(f"the model has no adapter {unknown[0]!r}; it has {', '.join(model.peft_config)}")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.base_model.set_adapter(names)
    try:
        yield
    finally:
        model.base_model.set_adapter(before)
        model.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _scaled(model: PeftModel, adapters: Sequence[tuple[str, float]]) -> Iterator[None]:
    """Strengths are of the trained scale, not of what another block has made of it."""
    layers = lora_layers(model)
    if not layers:
        raise ModelError("only a LoRA adapter can be made stronger or weaker; use strength 1")
    before = [dict(layer.scaling) for layer in layers]
    try:
        for layer in layers:
            for name, strength in adapters:
                layer.set_scale(name, strength)
        yield
    finally:
        for layer, scales in zip(layers, before, strict=True):
            layer.scaling.update(scales)


@contextmanager
def merged_weights(model: nn.Module) -> Iterator[float | None]:
    """The model with its adapter merged into the base weights inside the block; afterwards exactly as before.

    Yields:
        The share of the adapter's change that rounding to the base's number format has lost (0: none, 1: as large an
        error as the change itself); None where the base is quantised and its weights cannot be compared.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    layers = lora_layers(model)
    if not layers:
        raise ModelError("only a LoRA adapter can be merged")
    weights = [layer.get_base_layer().weight for layer in layers]
    copies = [weight.data.clone() for weight in weights]
    wanted, lost, comparable = 0.0, 0.0, all(weight.is_floating_point() for weight in copies)
    try:
        for layer, copy in zip(layers, copies, strict=True):
            change = sum(layer.get_delta_weight(name).detach().float() for name in layer.active_adapters)
            layer.merge()
            if comparable:
                made = layer.get_base_layer().weight.data.float() - copy.float()
                wanted += float((change**2).sum())
                lost += float(((made - change) ** 2).sum())
        yield (lost / wanted) ** 0.5 if comparable and wanted > 0 else 0.0 if comparable else None
    finally:
        # peft's own unmerging subtracts, which leaves rounding errors, and a quantised weight becomes another object.
        for layer, weight, copy in zip(layers, weights, copies, strict=True):
            layer.get_base_layer().weight = weight
            weight.data = copy
            layer.merged_adapters.clear()


def lora_layers(model: nn.Module) -> list[Any]:
    """peft's LoRA layers."""
    return [module for module in unwrap(model).modules() if isinstance(module, LoraLayer)]


def is_adapter_weight(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter rather than to the base model."""
    return ".lora_" in name or ".modules_to_save." in name
