"""A merged model is the adapted one, without peft, whatever the adapter holds."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from bakery.engine.distill.conditions import TRAINED
from bakery.engine.model.adapters import acting
from bakery.errors import ModelError
from bakery.exporting.whole import merge, write_model
from tests.engine_support import tiny_base
from tests.exporting.support import adapted

IDS = torch.tensor([[1, 5, 9, 30, 4]])
KINDS = {
    "plain": {},
    "dora": {"use_dora": True},
    "bias": {"bias": "all"},
    "a whole head": {"modules_to_save": ["lm_head"]},
    "a whole embedding": {"modules_to_save": ["embed_tokens"]},
    "low rank on the head": {"target_modules": ["q_proj", "lm_head"]},
    "low rank on the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
}


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Model (with|has) `tie_word_embeddings=True`:UserWarning")
def test_a_merged_model_says_what_the_adapted_one_says(kind, tied, tmp_path):
    shape = {"tie_word_embeddings": tied, "attention_bias": kind == "bias"}
    model = adapted(tiny_base(**shape), **KINDS[kind])
    wanted = logits(model)
    assert (wanted - logits(tiny_base(**shape))).abs().max() > 0.1
    write_model(merge(model, 1.0), torch.float32, tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert (logits(merged) - wanted).abs().max() < 1e-3
    assert merged.dtype == torch.float32


def test_the_strength_is_merged(tmp_path):
    model = adapted()
    with acting(model, [(TRAINED, 0.5)]):
        wanted = logits(model)
    write_model(merge(model, 0.5), torch.float32, tmp_path)
    assert (logits(AutoModelForCausalLM.from_pretrained(tmp_path)) - wanted).abs().max() < 1e-3


def test_rounding_comes_after_merging(tmp_path):
    """The weights are those of float32, each rounded once."""
    whole = merge(adapted(), 1.0)
    wanted = {name: weight.to(torch.bfloat16) for name, weight in whole.state_dict().items()}
    write_model(whole, torch.bfloat16, tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert merged.dtype == torch.bfloat16
    assert all(torch.equal(weight, wanted[name]) for name, weight in merged.state_dict().items())


def test_it_loads_where_there_is_no_peft(tmp_path):
    write_model(merge(adapted(), 1.0), torch.float32, tmp_path)
    code = (
        "import sys; sys.modules['peft'] = None\n"
        "from transformers import AutoModelForCausalLM\n"
        f"print(type(AutoModelForCausalLM.from_pretrained({str(tmp_path)!r})).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Qwen3ForCausalLM", done.stderr


def test_a_generation_config_with_contradictions_is_taken_along(tmp_path):
    base = tiny_base()
    base.generation_config = GenerationConfig(do_sample=False, temperature=0.6, eos_token_id=[2, 7])
    write_model(merge(adapted(base), 1.0), torch.float32, tmp_path)
    saved = GenerationConfig.from_pretrained(tmp_path)
    assert (saved.eos_token_id, saved.temperature) == ([2, 7], 0.6)


def test_an_adapter_that_is_not_finite_is_refused():
    model = adapted()
    with torch.no_grad():
        model.get_parameter("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight").fill_(
            float("nan")
        )
    with pytest.raises(ModelError, match="cannot merge"):
        merge(model, 1.0)
