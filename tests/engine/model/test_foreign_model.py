"""Model folders of strangers: pipes, promises that the weights do not hold, rules without end."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from bakery.engine.model.foreign_model import check_model_folder
from bakery.engine.model.loading import load_model, load_tokenizer
from bakery.errors import ModelError, NumericError
from bakery.settings.config import ModelConfig

CONFIGS = {
    "a billion layers": ({"num_hidden_layers": 10**9, "layer_types": None}, "above 10,000"),
    "a large vocabulary": ({"vocab_size": 10**10}, "describes a model of"),
    "wide layers": ({"intermediate_size": 10**9}, "describes a model of"),
    "layers in words": ({"num_hidden_layers": "x"}, "cannot load the model"),
    "heads of nothing": ({"num_attention_heads": 0}, "cannot load the model"),
    "another architecture": ({"model_type": "nope"}, "cannot load the model"),
    "code": ({"auto_map": {"AutoConfig": "planted.X"}, "model_type": "evil"}, "cannot load the model"),
    "an unknown function": ({"hidden_act": "nope"}, "cannot load the model"),
}
RULES = {
    "lengthens": ({"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}] * 12}, "times as long"),
    "backtracks": ({"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""}, "may backtrack"),
    "is no pattern": ({"type": "Replace", "pattern": {"Regex": "("}, "content": ""}, "cannot load the tokenizer"),
    "is unknown": ({"type": "Nope"}, "cannot load the tokenizer"),
}  # fmt: skip


@pytest.fixture
def base(saved_base, tmp_path):
    return shutil.copytree(saved_base, tmp_path / "base")


def change(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def named(folder):
    return ModelConfig(model_name_or_path=str(folder))


@pytest.mark.parametrize(("changes", "says"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_cannot_be_meant_is_one_line(changes, says, base):
    change(base / "config.json", **changes)
    with pytest.raises(ModelError, match=says) as error:
        load_model(named(base))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("rule", "says"), RULES.values(), ids=RULES)
def test_a_tokenizer_whose_rules_have_no_end_is_one_line(rule, says, base):
    change(base / "tokenizer.json", normalizer=rule)
    with pytest.raises(ModelError, match=says):
        load_tokenizer(named(base))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors"]
)
def test_a_pipe_is_not_waited_for(name, base):
    (base / name).unlink(missing_ok=True)
    os.mkfifo(base / name)
    with pytest.raises(ModelError, match="is a pipe or a device"):
        check_model_folder(str(base))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_a_description_that_is_nested_or_long_is_not_read(name, base):
    (base / name).write_text('{"a":' * 5000 + "1" + "}" * 5000)
    with pytest.raises(ModelError, match="nested too deeply"):
        check_model_folder(str(base))
    os.truncate(base / name, 2**30)
    with pytest.raises(ModelError, match="at most 4,000,000 are read"):
        check_model_folder(str(base))


@pytest.mark.parametrize("name", ["/dev/zero", "../other.safetensors", "pytorch_model.bin", 5])
def test_an_index_names_only_weights_beside_it(name, base):
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="is no safetensors file beside it"):
        check_model_folder(str(base))


@pytest.mark.parametrize("promise", ["load_in_8bit", "load_in_4bit"])
def test_weights_that_are_not_quantised_as_promised_are_one_line(promise, base):
    pytest.importorskip("bitsandbytes")
    change(base / "config.json", quantization_config={"quant_method": "bitsandbytes", promise: True})
    with pytest.raises(ModelError, match=r"promises quantised weights \(quantization_config\), and .* has none"):
        load_model(named(base))


@pytest.mark.parametrize("stored", ["load_in_8bit", "load_in_4bit"])
def test_weights_that_are_quantised_as_promised_are_used(stored, saved_base, tmp_path):
    pytest.importorskip("bitsandbytes")
    how = {"quantization_config": BitsAndBytesConfig(**{stored: True}), "device_map": "cpu", "dtype": "bfloat16"}
    AutoModelForCausalLM.from_pretrained(saved_base, **how).save_pretrained(tmp_path)
    with torch.no_grad():
        logits = load_model(named(tmp_path))(torch.arange(8)[None]).logits
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(number, base):
    weights = load_file(base / "model.safetensors")
    last = sorted(weights)[-1]
    weights[last].view(-1)[3] = number
    (base / "model.safetensors").unlink()
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NumericError, match=last.replace(".", r"\.")) as error:
        load_model(named(base))
    assert error.value.exit_code == 6


def test_what_a_tokenizer_cuts_or_fills_up_by_itself_is_not_cut_or_filled_up(base):
    change(base / "tokenizer.json",
           truncation={"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"})  # fmt: skip
    assert len(load_tokenizer(named(base)).backend_tokenizer.encode("The tide turns at noon.").ids) > 1
