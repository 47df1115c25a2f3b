"""LoRA layers as one node give peft's own values and gradients, and what is more than plain LoRA stays peft's."""

import copy
import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model

from bakery.engine.model.fused_lora import fusable_layers, fused_lora
from tests.engine.architectures import random_rows, tiny


def adapted(dtype=torch.float64, name="llama", **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses transformers' older names
        model = get_peft_model(tiny(name, dtype), LoraConfig(r=4, target_modules="all-linear", **settings))
    generator = torch.Generator().manual_seed(3)
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            parameter.data = torch.randn(parameter.shape, generator=generator).to(parameter.dtype) / 8
    return model.train()


def gradients(model):
    torch.manual_seed(5)  # for dropout
    logits = model(input_ids=torch.tensor(random_rows([9, 9]))).logits
    logits.sin().sum().backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad()
    return logits.detach(), found


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3", "qwen3"])
@pytest.mark.parametrize("settings", [{}, {"lora_dropout": 0.3}, {"use_rslora": True}, {"lora_bias": True},
                                      {"use_dora": True}])  # fmt: skip
def test_values_and_gradients_are_pefts(name, settings, dtype, tolerance):
    if settings.get("lora_bias") and name != "gpt2":
        pytest.skip("peft wants a bias in the base layer for this")
    model = adapted(dtype, name, **settings)
    logits, wanted = gradients(model)
    with fused_lora(fusable_layers(model)):
        lean_logits, found = gradients(model)
    torch.testing.assert_close(lean_logits, logits, rtol=tolerance, atol=tolerance)
    assert found.keys() == wanted.keys()
    for parameter, gradient in wanted.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[parameter], gradient, rtol=tolerance, atol=tolerance * scale)


def swapped(model):
    return sum("forward" in vars(module) for module in model.modules())


def test_plain_layers_are_computed_lean_and_as_before_afterwards():
    model = adapted()
    layers = sum(hasattr(module, "lora_A") for module in model.modules())
    with fused_lora(fusable_layers(model)):
        assert swapped(model) == layers > 0
    assert swapped(model) == 0


@pytest.mark.parametrize("autocast", [False, True])
def test_a_float32_adapter_over_a_bfloat16_base_is_as_close_to_the_truth_as_pefts(autocast):
    model = adapted(torch.bfloat16)
    truth = copy.deepcopy(model).double()
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}
    exact_logits, exact = gradients(truth)

    def errors():
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits, found = gradients(model)
        assert {gradient.dtype for gradient in found.values()} == {torch.float32}
        off = [(found[name] - wanted).norm() / wanted.norm() for name, wanted in exact.items()]
        return float((logits - exact_logits).norm() / exact_logits.norm()), float(torch.stack(off).mean())

    theirs = errors()
    with fused_lora(fusable_layers(model)):
        assert swapped(model)
        ours = errors()
    assert theirs[0] > 1e-4
    assert theirs[1] > 1e-4
    assert ours[0] < 1.25 * theirs[0]
    assert ours[1] < 1.25 * theirs[1]


@pytest.mark.parametrize(("dtype", "settings"), [(torch.float64, {"use_dora": True}), (torch.float16, {})])
def test_what_is_more_than_plain_is_left_alone(dtype, settings):
    """In half precision peft keeps the adapter in float32, and float16 has not the range to follow it."""
    model = adapted(dtype, **settings)
    with fused_lora(fusable_layers(model)):
        assert swapped(model) == 0


def test_hooks_on_the_base_layer_still_run():
    model = adapted()
    seen = []
    base = next(module for module in model.modules() if hasattr(module, "lora_A")).get_base_layer()
    base.register_forward_hook(lambda *_: seen.append(1))
    with fused_lora(fusable_layers(model)):
        gradients(model)
    assert seen


def test_the_adapter_switched_off_inside_is_off():
    model = adapted()
    ids = torch.tensor(random_rows([7]))
    with model.disable_adapter():
        wanted = model(input_ids=ids).logits
    with fused_lora(fusable_layers(model)), model.disable_adapter():
        assert torch.equal(model(input_ids=ids).logits, wanted)


def test_autocast_is_pefts():
    model = adapted(torch.float32)
    ids = torch.tensor(random_rows([7]))
    with torch.autocast("cpu", torch.bfloat16):
        wanted = model(input_ids=ids).logits
        with fused_lora(fusable_layers(model)):
            assert torch.equal(model(input_ids=ids).logits, wanted)
