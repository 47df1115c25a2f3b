"""Which adapters act: exactly those named, at the strength named, and afterwards everything is as it was."""

import pytest
import torch

from bakery.engine.model.adapters import acting, lora_layers, merged_weights
from bakery.errors import ModelError
from tests.engine_support import adapter_weights, shake, tiny_base, tiny_model

IDS = torch.tensor([[5, 9, 3, 12]])


@pytest.fixture(scope="module")
def model():
    """Two trained adapters, the first of which is active."""
    model = tiny_model(torch.float64, trained=True)
    model.add_adapter("other", model.peft_config["default"])
    model.set_adapter("other")
    shake(model, seed=8)
    model.set_adapter("default")
    return model.eval()


def _logits(model, *adapters):
    with torch.no_grad(), acting(model, adapters):
        return model(IDS).logits


def _state(model):
    layer = lora_layers(model)[0]
    trained = sorted(name for name, p in model.named_parameters() if p.requires_grad)
    return list(model.active_adapters), layer.disable_adapters, dict(layer.scaling), trained, model.training


@pytest.mark.parametrize("training", [False, True])
def test_afterwards_everything_is_as_it_was(model, training):
    model.train(training)
    try:
        before = _state(model)
        for adapters in ((), (("default", 1.0),), (("other", 0.5),), (("default", 0.3), ("other", 2.0))):
            with acting(model, adapters):
                assert not model.training
                assert list(model.active_adapters) == ([name for name, _ in adapters] or ["default"])
            assert _state(model) == before
        with pytest.raises(RuntimeError, match="inside"), acting(model, (("other", 0.5),)):
            raise RuntimeError("inside")
        assert _state(model) == before
    finally:
        model.eval()


def test_no_adapter_is_the_base_and_strength_is_linear_in_one_layer(model):
    torch.testing.assert_close(_logits(model), tiny_base(torch.float64)(IDS).logits.detach())
    torch.testing.assert_close(_logits(model, ("default", 0.0)), _logits(model))
    layer, x = lora_layers(model)[0], torch.randn(3, 32, dtype=torch.float64)

    def out(*adapters):
        with torch.no_grad(), acting(model, adapters):
            return layer(x)

    base, whole, other = out(), out(("default", 1.0)), out(("other", 1.0))
    torch.testing.assert_close(out(("default", 0.25)) - base, 0.25 * (whole - base))
    torch.testing.assert_close(out(("default", 1.0), ("other", -1.0)) - base, whole - other)


def test_blocks_within_one_another_do_not_add_up(model):
    wanted = _logits(model, ("default", 0.5))
    with acting(model, (("default", 0.5),)):
        torch.testing.assert_close(_logits(model, ("default", 0.5)), wanted, rtol=0, atol=0)
        assert (_logits(model) - wanted).abs().max() > 1e-3
        torch.testing.assert_close(model(IDS).logits.detach(), wanted, rtol=0, atol=0)


def test_an_unknown_adapter_or_none_at_all_is_refused(model):
    with pytest.raises(ModelError, match="no adapter 'mine'; it has default, other"), acting(model, (("mine", 1.0),)):
        pass
    with pytest.raises(ModelError, match="carries no adapter"), acting(tiny_base(), ()):
        pass
    with pytest.raises(ModelError, match="only a LoRA"), merged_weights(tiny_base()):
        pass


def test_merged_weights_say_the_same_and_are_taken_apart_bit_for_bit():
    model = tiny_model(trained=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    wanted = _logits(model, ("default", 1.0))
    with merged_weights(model) as lost:
        assert lost < 1e-5
        assert all(layer.merged for layer in lora_layers(model))
        torch.testing.assert_close(_logits(model, ("default", 1.0)), wanted, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert not any(layer.merged for layer in lora_layers(model))
    assert adapter_weights(model)
