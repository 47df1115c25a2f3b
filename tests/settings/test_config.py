"""The dataclasses: used from Python as from a file, with the same checks and the same defaults."""

import dataclasses
import subprocess
import sys
import warnings

import pytest
from transformers import HfArgumentParser, TrainingArguments

import bakery
from bakery.errors import ConfigError
from bakery.settings.arguments import BakeryConfig
from bakery.settings.catalog import all_fields
from bakery.settings.checks import RANGES
from bakery.settings.config import BakingFields, ContextConfig, DataConfig, LoraConfig, ModelConfig

OWNERS = (BakeryConfig, ContextConfig, ModelConfig, LoraConfig, DataConfig)

PROMISED = {
    "num_trajectories": 4,
    "trajectory_length": 128,
    "sampling_temperature": 0.8,
    "temperature": 1.0,
    "max_seq_length": None,
    "prefix_messages": None,
    "prefix_messages_file": None,
    "system_prompt": None,
    "system_prompt_file": None,
    "student_retained_turns": 0,
    "target_roles": ["assistant"],
    "target_content_pattern": None,
    "model_name_or_path": "Qwen/Qwen3-0.6B",
    "trust_remote_code": False,
    "load_in_4bit": False,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "dataset": None,
    "dataset_split": "train",
    "training_prompts": None,
    "eval_dataset": None,
    "eval_dataset_split": None,
    "eval_file": None,
    "heldout_file": None,
    "corpus_file": None,
    "system_prompt_template": None,
}


def test_the_promised_fields_have_the_promised_defaults():
    known = all_fields()
    assert {name: known[name].default for name in PROMISED} == PROMISED
    assert known["torch_dtype"].aliases == ("dtype",)
    assert {"attn_implementation", "r", "lora_alpha", "target_modules", "lora_dropout", "bias", "corpus_format"} <= set(
        known
    )


def test_no_setting_belongs_to_two_dataclasses():
    names = [item.name for owner in OWNERS for item in dataclasses.fields(owner)]
    assert len(names) == len(set(names))


def test_every_setting_of_ours_says_what_it_is_in_one_sentence():
    for item in all_fields().values():
        if item.group != "training":
            assert 15 < len(item.help) < 160, item.name
            assert item.help.endswith("."), item.name


def test_the_dataclasses_work_with_hf_argument_parser():
    parser = HfArgumentParser(OWNERS)
    config, context, model, lora, data = parser.parse_dict(
        {
            "output_dir": "x",
            "r": 8,
            "prefix_messages": [{"role": "user", "content": "a"}],
            "dataset": "d",
            "temperature": 2.0,
        }
    )
    assert (config.temperature, lora.r, data.dataset, model.dtype) == (2.0, 8, "d", "auto")
    assert context.prefix_messages == [{"role": "user", "content": "a"}]
    parsed = parser.parse_args_into_dataclasses(
        [
            "--r",
            "4",
            "--target_modules",
            "all",
            "--training_prompts",
            "a",
            "b",
            "--dtype",
            "float32",
            "--self_prompts",
            "64",
        ],
        look_for_args_file=False,
    )
    assert (parsed[4].self_prompts, parsed[4].self_anchors) == (64, "auto")
    assert (parsed[3].r, parsed[4].training_prompts, parsed[2].torch_dtype) == (4, ["a", "b"], "float32")
    assert "num_trajectories" in parser.format_help()


def test_a_bake_is_configured_as_training_arguments_are():
    config = BakeryConfig(output_dir="./outputs", num_train_epochs=3, learning_rate=1e-4)
    assert isinstance(config, TrainingArguments)
    assert (config.num_train_epochs, config.learning_rate, config.logging_nan_inf_filter) == (3, 1e-4, False)
    for item in dataclasses.fields(BakingFields):
        assert all_fields()[item.name].default == item.default, item.name


def test_numbers_are_checked_from_python_too():
    for name, allowed in RANGES.items():
        if name in {item.name for item in dataclasses.fields(BakingFields)}:
            outside = allowed.low if allowed.above else allowed.low - 1
            with pytest.raises(ConfigError, match=f"^{name}: must be {allowed}, got"):
                BakeryConfig(**{name: outside})
    for wrong in (
        {"target_content_pattern": "("},
        {"target_roles": []},
        {"prefix_messages": []},
        {"prefix_messages": [1]},
    ):
        with pytest.raises(ConfigError):
            ContextConfig(**wrong)


def test_the_settings_of_one_dataclass_cannot_contradict_each_other():
    prefix = [{"role": "system", "content": "a"}]
    with pytest.raises(ConfigError, match="given twice"):
        ContextConfig(prefix_messages=prefix, prefix_messages_file="x.yaml")
    with pytest.raises(ConfigError, match="nothing to bake"):
        ContextConfig(prefix_messages=prefix, student_retained_turns=1)


@pytest.mark.parametrize("given", [{"system_prompt": "Be kind."}, {"system_prompt_file": "prompt.txt"}])
def test_the_older_name_warns_exactly_once_where_it_is_used(given):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        context = ContextConfig(**given)
        dataclasses.replace(context, target_roles=["user"]) if "system_prompt" in given else None
    assert [warning.category for warning in caught] == [DeprecationWarning]
    assert caught[0].filename == __file__
    if "system_prompt" in given:
        assert context.prefix_messages == [{"role": "system", "content": "Be kind."}]
        assert context.system_prompt is None


def test_the_warning_is_seen_by_somebody_who_runs_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from bakery import ContextConfig\nContextConfig(system_prompt='a')\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.count("DeprecationWarning: system_prompt is the older way") == 1


def test_the_public_names():
    assert sorted(bakery.__all__) == bakery.__all__
    promised = (
        "BakeryConfig ContextConfig ContextBakingTrainer create_dataset prompt_baking_collator DataConfig LoraConfig "
        "load_dataset create_conversational_dataset compute_kl_divergence PromptBakingTrainer bake build_views"
    )
    assert set(promised.split()) <= set(bakery.__all__)
    for name in bakery.__all__:
        assert callable(getattr(bakery, name)), name
    assert set(bakery.__all__) <= set(dir(bakery))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bakery.nothing  # noqa: B018


def test_bake_is_the_function_whatever_is_imported_first():
    code = "import bakery.baking; from bakery import bake; from bakery.baking import bake as same; assert bake is same"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_importing_bakery_or_its_settings_imports_no_torch():
    code = (
        "import sys, bakery, bakery.cli, bakery.settings.reading, bakery.rows.bake_data\n"
        "import bakery.settings.reference\n"
        "from bakery import ContextConfig, DataConfig, create_dataset\n"
        "from bakery.settings.catalog import all_fields; all_fields()\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pyarrow', 'numpy', 'peft'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=60).returncode == 0
