"""The strength is in the weights: whoever reads rank and alpha alone applies the adapter as peft does."""

import json

import pytest
import torch
from safetensors.torch import load_file

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.adapters import acting, lora_layers
from bakery.engine.model.loading import load_adapter
from bakery.errors import ModelError
from bakery.exporting.low_rank import low_rank_layers, of_one_rank, write_adapter
from tests.engine_support import tiny_base
from tests.exporting.support import adapted

IDS = torch.tensor([[1, 5, 9, 30, 4]])
KINDS = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 3}},
}


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_written_adapter_is_the_adapter_at_its_strength(kind, strength, tmp_path):
    model = adapted(**KINDS[kind])
    with acting(model, [(TRAINED, strength)]), torch.no_grad():
        wanted = model(IDS).logits
        changes = [layer.get_delta_weight(TRAINED) for layer in lora_layers(model)]
    layers = low_rank_layers(model, strength)
    assert all(torch.equal(layer.change(), change) for layer, change in zip(layers, changes, strict=True))
    write_adapter(layers, model.peft_config[TRAINED], "a/base", torch.float32, tmp_path)
    with torch.no_grad():
        got = load_adapter(tiny_base(), tmp_path)(IDS).logits
    assert (got - wanted).abs().max() < 1e-4
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    assert described["r"] == described["lora_alpha"] == 4
    assert (described["rank_pattern"], described["alpha_pattern"], described["use_rslora"]) == ({}, {}, False)
    assert described["base_model_name_or_path"] == "a/base"
    assert {
        tensor.shape[0] for key, tensor in load_file(tmp_path / "adapter_model.safetensors").items() if "_A" in key
    } == {4}
    assert model.peft_config[TRAINED].base_model_name_or_path != "a/base"


def test_strengths_differ_and_zero_is_the_base():
    model = adapted()
    none, half, whole = (low_rank_layers(model, strength)[0].change() for strength in (0.0, 0.5, 1.0))
    assert none.abs().max() == 0
    assert torch.equal(half * 2, whole)


def test_one_rank_changes_no_change():
    layers = low_rank_layers(adapted(**KINDS["patterns"]), 0.7)
    assert {layer.rank for layer in layers} == {2, 4}
    for layer, same in zip(layers, of_one_rank(layers), strict=True):
        assert (same.rank, same.scale) == (4, 1.0)
        assert (layer.change() - same.change()).abs().max() < 1e-6


def test_what_is_no_linear_layer_is_refused():
    with pytest.raises(ModelError, match=r"embed_tokens.*use --to merged"):
        low_rank_layers(adapted(target_modules=["embed_tokens"]), 1.0)
