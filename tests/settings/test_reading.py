"""Settings files and command lines: every spelling means the same, and nothing is swallowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import ConfigError
from bakery.settings.reading import find_field, read_command_line, read_settings_file
from tests.settings.support import refusal, values, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("learning_rate: 1e-4", 1e-4),
        ("learning_rate: 5E-05", 5e-5),
        ("learning_rate: .5", 0.5),
        ("learning_rate: 1", 1.0),
        ("learning_rate: 0x10", 16.0),
        ("max_steps: 1e3", 1000),
        ("max_steps: -1", -1),
        ("max_steps: 012", 12),
        ("save_strategy: no", "no"),
        ("eval_strategy: 'no'", "no"),
        ("bf16: true", True),
        ("max_seq_length: null", None),
        ("max_seq_length: ~", None),
        ("run_name: 2024-01-01", "2024-01-01"),
        ("run_name: 1:30", "1:30"),
        ("run_name: on", "on"),
        ("run_name: ${HOME}", "${HOME}"),
        ("resume_from_checkpoint: true", True),
        ("resume_from_checkpoint: outputs/checkpoint-5", "outputs/checkpoint-5"),
        ("target_modules: all-linear", "all-linear"),
        ("target_modules: [q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("training_prompts: [What is AI?, Why?]", ["What is AI?", "Why?"]),
        ("lr_scheduler_kwargs: {num_cycles: 2}", {"num_cycles": 2}),
    ],
)
def test_a_value_in_a_file_means_what_it_looks_like(text, value, tmp_path):
    (read,) = values(read_settings_file(write(tmp_path, text))).values()
    assert read == value
    assert type(read) is type(value)


def test_json_and_yaml_and_a_byte_order_mark_are_the_same(tmp_path):
    yaml_file = write(tmp_path, "r: 8\nlearning_rate: 1e-4\nbias: none\n")
    json_file = write(tmp_path, '{"r": 8,\n "learning_rate": 1e-4, "bias": "none"}', "config.json")
    marked = write(tmp_path, "\ufeffr: 8\r\nlearning_rate: 1e-4\r\nbias: none\r\n", "marked.yml")
    assert (
        values(read_settings_file(yaml_file))
        == values(read_settings_file(json_file))
        == values(read_settings_file(marked))
    )
    assert read_settings_file(json_file).at("learning_rate") == f"{json_file} line 2: learning_rate"


@pytest.mark.parametrize(
    "spelling", ["--{key} {value}", "--{key}={value}", "--{hyphens} {value}", "--{hyphens}={value}"]
)
@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("num_train_epochs", "5", 5.0),
        ("learning_rate", "5e-5", 5e-5),
        ("max_steps", "-1", -1),
        ("bf16", "true", True),
        ("load_in_4bit", "False", False),
        ("max_seq_length", "null", None),
        ("run_name", "5", "5"),
        ("run_name", "a=b", "a=b"),
        ("save_strategy", "no", "no"),
        ("attn_implementation", "null", None),
        ("lr_scheduler_kwargs", "{num_cycles: 1}", {"num_cycles": 1}),
        ("chat_template_kwargs", "{enable_thinking: false}", {"enable_thinking": False}),
        ("target_modules", "all-linear", "all-linear"),
        ("target_roles", "user", ["user"]),
        ("training_prompts", "[]", []),
        ("resume_from_checkpoint", "true", True),
        ("resume_from_checkpoint", "runs/checkpoint-3", "runs/checkpoint-3"),
        ("report_to", "tensorboard", "tensorboard"),
    ],
)
def test_all_four_spellings_are_the_same(spelling, key, word, value):
    parts = spelling.partition("=" if "=" in spelling else " ")
    option = parts[0].format(key=key, hyphens=key.replace("_", "-"))
    words = [f"{option}={word}"] if parts[1] == "=" else [option, word]
    assert values(read_command_line(words)) == {key: value}


def test_lists_switches_and_the_alias_on_the_command_line():
    words = ["--target-modules", "q_proj", "v_proj", "--bf16", "--no-load-in-4bit", "--dtype=float32", "--r", "8"]
    words += ["--training_prompts", "What is AI?", "Why?", "--prefix_messages", "[{role: user, content: hi}]"]
    assert values(read_command_line(words)) == {
        "target_modules": ["q_proj", "v_proj"],
        "bf16": True,
        "load_in_4bit": False,
        "torch_dtype": "float32",
        "r": 8,
        "training_prompts": ["What is AI?", "Why?"],
        "prefix_messages": [{"role": "user", "content": "hi"}],
    }


def test_the_command_line_wins_over_the_file_and_replaces_its_prefix_and_rows(tmp_path):
    file = read_settings_file(
        write(tmp_path, "r: 8\nseed: 1\ncorpus_file: a\nsystem_prompt_template: x\ntraining_prompts: [b]\n")
    )
    words = ["--seed", "2", "--prefix_messages_file", "p.yaml", "--dataset", "d.json"]
    assert values(file.overridden_by(read_command_line(words))) == {
        "r": 8,
        "seed": 2,
        "prefix_messages_file": "p.yaml",
        "dataset": "d.json",
    }


@given(
    st.lists(
        st.sampled_from(
            ["--r", "8", "--bf16", "--seed=1", "x", "--", "-q", "--no-bf16", "[a", "--target_modules", "--="]
        )
    )
)
def test_no_command_line_breaks_the_reader(words):
    problem = refusal(lambda: read_command_line(words))
    assert problem.startswith("command line: ") or not problem


def test_an_unknown_key_far_from_all_gets_no_suggestion():
    with pytest.raises(ConfigError, match=r"here: unknown key 'zzzzzzzz'; `bakery schema` lists every key$"):
        find_field("zzzzzzzz", "here")


@pytest.mark.parametrize(
    ("key", "name"), [("lora_r", "r"), ("lr", "learning_rate"), ("evaluation_strategy", "eval_strategy")]
)
def test_the_name_that_other_tools_use_is_told(key, name):
    with pytest.raises(ConfigError, match=rf"unknown key '{key}'; did you mean {name}\?"):
        find_field(key, "here")


def test_an_unknown_key_of_any_length_is_one_short_line():
    assert len(refusal(lambda: find_field("x" * 5000, "here"))) < 200
