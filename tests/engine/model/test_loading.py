"""Models, tokenizers and adapters are loaded and saved, or refused in one line; a base in 4 bits bakes for real."""

import json
import sys

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from bakery.cli import main
from bakery.engine.model.adapters import acting, lora_layers
from bakery.engine.model.loading import (
    attach_adapter,
    load_adapter,
    load_further_adapter,
    load_model,
    load_tokenizer,
    save_adapter,
)
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
    with pytest.raises(ConfigError, match=r"pip install 'bakery-lora\[qlora\]'"):
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


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            ["no_such_layer"],
            "no layer is called 'no_such_layer'; allowed are q_proj, k_proj, .*all-linear takes them all",
        ),
        ("q_prj", "no layer is called 'q_prj'; .*; did you mean q_proj?"),
        (["v_proj", "q_prj"], "no layer is called 'q_prj'; .*; did you mean q_proj?"),
        (
            "foo.*",
            r"'foo\.\*' matches no whole name of a layer, such as model\.layers\.0\..*; .*a list of q_proj, k_proj, ",
        ),
        ("q_proj(", "target_modules: .*"),
    ],
)
def test_target_modules_that_name_no_layer_are_refused_with_the_names_there_are(given, says):
    with pytest.raises(ConfigError, match=says) as error:
        attach_adapter(tiny_base(tie_word_embeddings=False), LoraConfig(target_modules=given))
    assert "lm_head" not in str(error.value)


def test_target_modules_take_all_linear_layers_or_those_that_a_pattern_matches():
    pattern = LoraConfig(r=2, target_modules=r".*layers\.0.*q_proj")
    assert len(lora_layers(attach_adapter(tiny_base(), pattern))) == 1
    assert len(lora_layers(attach_adapter(tiny_base(), LoraConfig(r=2, target_modules="q_proj")))) == 2
    for everything in ("all", "all-linear", ["all"]):
        adapted = attach_adapter(tiny_base(), LoraConfig(r=2, target_modules=everything))
        assert len(lora_layers(adapted)) == 2 * 7  # two layers: q, k, v, o, gate, up, down


def test_a_rank_that_no_layer_can_use_is_refused():
    attach_adapter(tiny_base(hidden_size=32), LoraConfig(r=32))
    with pytest.raises(ConfigError, match=r"^r: 33 is more than .* at most 32"):
        attach_adapter(tiny_base(hidden_size=32), LoraConfig(r=33))


def test_a_further_adapter_answers_as_it_does_alone_and_leaves_the_first_as_it_is(tmp_path):
    folders = [tmp_path / "first", tmp_path / "further"]
    attached = [tiny_model(trained=True, r=4), attach_adapter(tiny_base(), LoraConfig(r=2, target_modules=["q_proj"]))]
    shake(attached[1], seed=8)
    ids = torch.tensor([[5, 9, 3, 12]])
    with torch.no_grad():
        alone = [model.eval()(ids).logits for model in attached]
        base = tiny_base()(ids).logits
    for model, folder in zip(attached, folders, strict=True):
        save_adapter(model, tokenizer(), folder)
    together = load_adapter(tiny_base(), folders[0])
    load_further_adapter(together, folders[1], "further")
    assert list(together.active_adapters) == ["default"]
    assert not together.training
    assert not any(parameter.requires_grad for parameter in together.parameters())
    for adapters, expected in (((("default", 1.0),), alone[0]), ((("further", 1.0),), alone[1]), ((), base)):
        with torch.no_grad(), acting(together, adapters):
            torch.testing.assert_close(together(ids).logits, expected)


def test_a_further_adapter_that_does_not_fit_is_one_line(tmp_path):
    model = tiny_model(trained=True)
    save_adapter(model, tokenizer(), tmp_path)
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    for changes, says in (({"r": 3}, "does not fit this base model"), ({"bias": "all"}, "has trained biases")):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**described, **changes}))
        with pytest.raises(ModelError, match=says) as error:
            load_further_adapter(tiny_model(), tmp_path, "further")
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ModelError, match="is not an adapter: it has no adapter_config"):
        load_further_adapter(model, tmp_path / "nowhere", "further")


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_a_hub_that_cannot_be_reached_says_what_works_without_it(load):
    says = r"^a/b: the \w+ is not in the cache, .* \(HF_HUB_OFFLINE is set\); give a local folder, or starter, "
    with pytest.raises(ModelError, match=says):
        load(ModelConfig(model_name_or_path="a/b"))


def test_weights_in_a_half_precision_that_the_cpu_does_not_have_become_float32(monkeypatch):
    monkeypatch.setattr("bakery.engine.model.loading.is_slow_here", lambda dtype: dtype == torch.bfloat16)
    assert load_model(ModelConfig(model_name_or_path="starter")).dtype == torch.float32
    assert load_model(ModelConfig(model_name_or_path="starter", torch_dtype="bfloat16")).dtype == torch.bfloat16


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for load in (load_model, load_tokenizer):
        with pytest.raises(ModelError, match="cannot load the") as error:
            load(ModelConfig(model_name_or_path=str(tmp_path)))
        assert len(str(error.value).splitlines()) == 1
