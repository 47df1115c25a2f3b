"""From settings to a bake: one path, checked before torch is imported."""

import warnings

import pytest

from bakery.errors import ConfigError
from bakery.settings.build import build, check_settings
from bakery.settings.documents import dump_yaml
from bakery.settings.reading import Settings, read_command_line
from tests.settings.support import GOOD, checked


def test_settings_of_training_arguments_reach_the_trainer(tmp_path):
    text = dump_yaml(GOOD) + (
        "gradient_accumulation_steps: 4\ngradient_checkpointing: true\nlr_scheduler_kwargs: {num_cycles: 1}\n"
        "optim: adafactor\nreport_to: [tensorboard]\nsave_strategy: epoch\n"
        "save_total_limit: 2\nuse_cpu: true\nbf16: true\n"
        "lr_scheduler_type: polynomial\neval_strategy: epoch\neval_dataset: v.json\nload_best_model_at_end: true\n"
    )
    args = build(checked(tmp_path, text)).bakery
    assert args.gradient_accumulation_steps == 4
    assert args.gradient_checkpointing is True
    assert args.optim == "adafactor"
    assert args.report_to == ["tensorboard"]
    assert args.lr_scheduler_type == "polynomial"
    assert args.bf16
    assert args.load_best_model_at_end
    assert args.metric_for_best_model == "loss"


def test_values_hold_the_defaults_and_the_parts_what_was_given(tmp_path):
    made = checked(tmp_path, dump_yaml({**GOOD, "r": 4}))
    assert made.lora.r == made.values["r"] == 4
    assert made.values["num_trajectories"] == 4
    assert made.context.prefix_messages == GOOD["prefix_messages"]


def test_a_command_with_the_older_name_is_not_warned(tmp_path):
    (tmp_path / "prompt.txt").write_text("Be kind.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for line in ("system_prompt: Be kind.", f"system_prompt_file: {tmp_path / 'prompt.txt'}"):
            made = checked(tmp_path, f"training_prompts: [a]\n{line}")
    assert made.context.system_prompt_file is not None


def test_what_contradicts_itself_is_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match="command line: fp16: at most one of fp16 and bf16"):
        check_settings(read_command_line(["--training_prompts", "a", "--system_prompt", "b", "--fp16", "--bf16"]))
    with pytest.raises(ConfigError, match="nothing to bake: there is no prefix"):
        check_settings(Settings())


def test_what_only_transformers_refuses_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^.*config.yaml: .*dataloader_prefetch_factor") as refused:
        build(checked(tmp_path, dump_yaml({**GOOD, "dataloader_prefetch_factor": 2})))
    assert "\n" not in str(refused.value)
