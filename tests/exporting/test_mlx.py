"""An adapter for MLX adds to every layer exactly what peft adds, read back from the file."""

import json

import pytest
import torch
from safetensors.torch import load_file

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.adapters import acting, lora_layers
from bakery.errors import ModelError
from bakery.exporting.low_rank import LowRankLayer, low_rank_layers
from bakery.exporting.mlx import check_mlx, read_mlx, write_mlx
from tests.exporting.support import adapted


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_the_change_read_back_is_that_of_peft_exactly(strength, tmp_path):
    model = adapted()
    layers = low_rank_layers(model, strength)
    write_mlx(layers, 2, torch.float32, tmp_path)
    with acting(model, [(TRAINED, strength)]):
        changes = [layer.get_delta_weight(TRAINED).detach() for layer in lora_layers(model)]
    by_name = {layer.name: layer.change() for layer in read_mlx(tmp_path)}
    assert all(torch.equal(by_name[own.name], change) for own, change in zip(layers, changes, strict=True))
    check = check_mlx(tmp_path, layers)
    assert (check.layers, check.equal, check.largest_difference) == (4, 4, 0.0)


def test_names_and_shapes_are_those_of_mlx(tmp_path):
    write_mlx(low_rank_layers(adapted(), 0.5), 2, torch.float32, tmp_path)
    weights = load_file(tmp_path / "adapters.safetensors")
    assert weights["model.layers.1.mlp.down_proj.lora_a"].shape == (64, 4)
    assert weights["model.layers.1.mlp.down_proj.lora_b"].shape == (4, 32)
    assert len(weights) == 8
    assert json.loads((tmp_path / "adapter_config.json").read_text()) == {
        "fine_tune_type": "lora",
        "num_layers": 2,
        "lora_parameters": {"rank": 4, "scale": 1.5, "dropout": 0.0, "keys": ["mlp.down_proj", "self_attn.q_proj"]},
    }


def test_patterns_of_ranks_become_one_rank(tmp_path):
    layers = low_rank_layers(adapted(rank_pattern={"q_proj": 2}), 0.5)
    write_mlx(layers, 2, torch.float32, tmp_path)
    described = json.loads((tmp_path / "adapter_config.json").read_text())["lora_parameters"]
    assert (described["rank"], described["scale"]) == (4, 1.0)
    assert check_mlx(tmp_path, layers).largest_difference < 1e-6


def test_what_is_lost_is_seen(tmp_path):
    layers = low_rank_layers(adapted(), 1.0)
    write_mlx(layers, 2, torch.bfloat16, tmp_path)
    assert 1e-6 < check_mlx(tmp_path, layers).largest_difference < 1e-2
    write_mlx(layers[1:], 2, torch.float32, tmp_path)
    with pytest.raises(ModelError, match="is not in both"):
        check_mlx(tmp_path, layers)


def test_other_names_of_layers_are_refused(tmp_path):
    layer = LowRankLayer("transformer.h.0.attn.c_attn", torch.zeros(2, 3), torch.zeros(3, 2), 1.0)
    with pytest.raises(ModelError, match="use --to merged"):
        write_mlx([layer], 1, torch.float32, tmp_path)
