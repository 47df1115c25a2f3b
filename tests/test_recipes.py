"""Every recipe is valid, says the sizes that are counted, and fits its model's architecture and chat template."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bakery import build_views
from bakery.engine.model.adapters import lora_layers
from bakery.engine.model.loading import attach_adapter
from bakery.settings.build import check_settings
from bakery.settings.reading import read_settings_file
from tests.templates.support import OWN, REAL, make_tokenizer

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "examples" / "recipes"
sys.path.insert(0, str(RECIPES))
import sizes  # noqa: E402

MODELS = sizes.models()
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 97, "max_position_embeddings": 256, "pad_token_id": 0,
         "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
QUESTION = {"role": "user", "content": "When do you open?"}
ANSWER = "We open at 9:40."
PHI_4 = (  # Phi-4's turns, written from its model card
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + "
    "'<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)


def test_there_are_ten_and_every_one_is_described():
    assert len(MODELS) == 10
    assert sorted(MODELS) == sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert all(f"`{name}`" in (ROOT / "docs" / "recipes.md").read_text("utf-8") for name in MODELS)


@pytest.fixture(scope="module", params=MODELS)
def recipe(request):
    """A recipe's name, what is known of its model, its settings as given, and as they are checked."""
    return request.param, MODELS[request.param], sizes.recipe(request.param)


def test_its_settings_are_valid(recipe):
    name, _, settings = recipe
    checked = check_settings(read_settings_file(RECIPES / f"{name}.yaml"))
    assert checked.values["output_dir"] == f"outputs/recipes/{name}"
    assert checked.model.torch_dtype == "bfloat16"
    assert settings["target_modules"] == "all-linear"


def test_its_header_and_the_table_say_what_is_counted_from_the_configuration(recipe):
    name, model, settings = recipe
    counted = sizes.sizes(model, settings)
    assert counted.parameters / 1e9 == pytest.approx(model["billions"], rel=0.015)
    assert sizes.header(counted, settings) in (RECIPES / f"{name}.yaml").read_text("utf-8")
    (line,) = [line for line in (ROOT / "docs/recipes.md").read_text("utf-8").splitlines() if f"| `{name}` |" in line]
    for figure in (f"{counted.weights:.1f} GB", f"{counted.adapter:.2f} GB", f"{counted.keys_values:.2f} GB"):
        assert figure in line


def test_its_adapter_fits_every_linear_layer_of_its_architecture(recipe):
    name, model, _ = recipe
    checked = check_settings(read_settings_file(RECIPES / f"{name}.yaml"))
    base = sizes.build(model, **SMALL)
    head = base.get_output_embeddings()
    linear = [one for one in base.modules() if isinstance(one, nn.Linear) and one is not head]
    adapted = attach_adapter(base, checked.lora)
    assert len(lora_layers(adapted)) == len(linear) >= 4 * SMALL["num_hidden_layers"]
    ids = torch.tensor([[5, 6, 7]])
    assert adapted(input_ids=ids).logits.shape == (1, 3, SMALL["vocab_size"])


def templates(model):
    own = PHI_4 if model["template"] == "phi-4" else (OWN / "common" / f"{model['template']}.jinja").read_text("utf-8")
    published = REAL / f"{model['published']}.jinja"
    return [own, *([published.read_text("utf-8")] if published.is_file() else [])]


def test_both_views_hold_its_answer_under_its_chat_template(recipe):
    _, model, settings = recipe
    prefix = [{"role": "system", "content": settings["system_prompt"]}]
    for template in templates(model):
        tokenizer = make_tokenizer(template, "bytes")
        for kwargs in ({}, settings.get("chat_template_kwargs") or {}):
            answer = {"role": "assistant", "content": ANSWER}
            (pair,) = build_views(tokenizer, [QUESTION, answer], prefix_messages=prefix, chat_template_kwargs=kwargs)
            targets = [pair.teacher_ids[at] for at in pair.teacher_targets]
            assert targets == [pair.student_ids[at] for at in pair.student_targets]
            assert ANSWER in tokenizer.decode(targets)
            assert len(pair.teacher_ids) > len(pair.student_ids)
            assert "Brightwater" in tokenizer.decode(pair.teacher_ids)
            assert "Brightwater" not in tokenizer.decode(pair.student_ids)
