"""Models, tokenizers and adapters are loaded and saved, or refused in one line; a base in 4 bits bakes for real."""

import json
import sys

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from bakery.cli import main
from bakery.engine.model.adapters import lora_layers
from bakery.engine.model.loading import attach_adapter, load_adapter, load_model, load_tokenizer, save_adapter
from bakery.errors import ConfigError, ModelError
from bakery.settings.config import LoraConfig, ModelConfig
from tests.engine_support import shake, tiny_base, tiny_model, tokenizer

CONFIG = """
model_name_or_path: starter
torch_dtype: float32
load_in_4bit: true
output_dir: {folder}
prefix_messages:
  - {{role: system, content: Write all answers in capital letters.}}
training_prompts:
  - What is the capital of France?
  - What is the colour of grass?
  - What is the opposite of hot?
  - Which day comes after Monday?
validation_share: 0
self_prompts: 0
self_anchors: 0
num_trajectories: 4
trajectory_length: 24
num_train_epochs: 8
learning_rate: 2e-3
"""


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantised_base_is_quantised_and_learns(tmp_path, capfd):
    model = load_model(ModelConfig(model_name_or_path="starter", torch_dtype="float32", load_in_4bit=True))
    assert any(isinstance(module, Linear4bit) for module in model.modules())
    config = tmp_path / "bake.yaml"
    config.write_text(CONFIG.format(folder=tmp_path / "out"))
    assert main(["--config", str(config), "-q"]) == 0, capfd.readouterr().err
    divergence = json.loads((tmp_path / "out" / "results.json").read_text())["divergence"]
    assert divergence["after"]["mean"] < 0.1 * divergence["before"]["mean"]


def test_a_quantised_base_has_the_same_gradient_after_it_was_asked():
    """Some CPUs have a kernel for inference, for which the weights are packed and through which no gradient flows."""
    base = load_model(ModelConfig(model_name_or_path="starter", torch_dtype="float32", load_in_4bit=True))
    model = shake(attach_adapter(base, LoraConfig(r=2, lora_alpha=4)))
    ids = torch.tensor([tokenizer().encode("What is the capital of France?")])

    def gradient():
        model.train().zero_grad()
        model(ids, labels=ids).loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}

    before = gradient()
    with torch.no_grad():
        model.eval()(ids)
    after = gradient()
    assert all(torch.equal(after[name], wanted) for name, wanted in before.items())


def test_without_the_extra_one_line_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"pip install 'bakery\[qlora\]'"):
        load_model(ModelConfig(model_name_or_path="starter", load_in_4bit=True))


def test_what_was_saved_is_loaded_again_readable_by_whoever_may_read_the_folder(tmp_path):
    model = tiny_model(trained=True)
    save_adapter(model, tokenizer(), tmp_path)
    again = load_adapter(tiny_base(), tmp_path)
    weights = {name: p for name, p in model.named_parameters() if ".lora_" in name}
    assert weights
    assert all(torch.equal(p, weights[name]) for name, p in again.named_parameters() if name in weights)
    assert not any(p.requires_grad for p in again.parameters())
    mode = (tmp_path / "adapter_model.safetensors").stat().st_mode
    assert mode == (tmp_path / "adapter_config.json").stat().st_mode
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"is not an adapter: it has no adapter_model\.safetensors"):
        load_adapter(tiny_base(), tmp_path)


def test_target_modules_that_name_nothing_are_refused():
    with pytest.raises(ConfigError, match="target_modules"):
        attach_adapter(tiny_base(), LoraConfig(target_modules=["no_such_layer"]))
    for everything in ("all", "all-linear", ["all"]):
        adapted = attach_adapter(tiny_base(), LoraConfig(r=2, target_modules=everything))
        assert len(lora_layers(adapted)) == 2 * 7  # two layers: q, k, v, o, gate, up, down


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError, match="cannot load the") as error:
            load(ModelConfig(model_name_or_path=str(tmp_path)))
        assert len(str(error.value).splitlines()) == 1
