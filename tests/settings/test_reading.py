"""Settings files and command lines: every spelling means the same, nothing is swallowed, what is saved runs again."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import ConfigError
from bakery.settings.config import all_fields
from bakery.settings.documents import dump_yaml, parse_json, parse_yaml
from bakery.settings.fields import read_annotation, training_fields
from bakery.settings.reading import (
    build,
    find_field,
    plain_parts,
    read_command_line,
    read_settings_file,
    resolve,
    to_yaml,
)

GOOD = {"prefix_messages": [{"role": "system", "content": "Speak like a pirate."}], "training_prompts": ["What is AI?"]}


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def values(settings):
    return {name: entry.value for name, entry in settings.entries.items()}


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
    (found,) = values(read_settings_file(write(tmp_path, text))).values()
    assert found == value
    assert type(found) is type(value)


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


def test_every_field_of_training_arguments_is_known_with_its_default(monkeypatch):
    import dataclasses

    from transformers import TrainingArguments

    known = all_fields()
    for item in dataclasses.fields(TrainingArguments):
        if not item.init:
            continue
        assert item.name in known, item.name
        ours = known[item.name]
        assert ours.help, item.name
        if ours.group == "training" and item.default is not dataclasses.MISSING and repr(ours.default)[0] != "(":
            assert ours.default == item.default, item.name
        assert ours.kinds, item.name


def test_every_field_of_training_arguments_can_be_given(tmp_path):
    awkward = {
        "deepspeed", "fsdp", "fsdp_config", "parallelism_config", "accelerator_config", "local_rank",
        "use_liger_kernel", "torch_compile", "torch_compile_backend", "torch_compile_mode", "tf32",
        "gradient_checkpointing_kwargs", "gradient_checkpointing",
    }  # fmt: skip
    words = []
    for item in training_fields():
        if item.name in awkward or not isinstance(item.default, str | int | float):
            continue
        words += [f"--{item.name}", str(item.default).lower() if isinstance(item.default, bool) else str(item.default)]
    settings = read_command_line(words)
    assert len(settings.entries) > 60
    defaults = {item.name: item.default for item in training_fields()}
    for name, entry in settings.entries.items():
        assert entry.value == defaults[name], name


def test_settings_of_training_arguments_reach_the_trainer(tmp_path):
    text = dump_yaml(GOOD) + (
        "gradient_accumulation_steps: 4\ngradient_checkpointing: true\nlr_scheduler_kwargs: {num_cycles: 1}\n"
        "optim: adafactor\nreport_to: [tensorboard]\nsave_strategy: epoch\n"
        "save_total_limit: 2\nuse_cpu: true\nbf16: true\n"
        "lr_scheduler_type: polynomial\neval_strategy: epoch\neval_dataset: v.json\nload_best_model_at_end: true\n"
    )
    args = build(read_settings_file(write(tmp_path, text))).bakery
    assert args.gradient_accumulation_steps == 4
    assert args.gradient_checkpointing is True
    assert args.optim == "adafactor"
    assert args.report_to == ["tensorboard"]
    assert args.lr_scheduler_type == "polynomial"
    assert args.bf16
    assert args.load_best_model_at_end
    assert args.metric_for_best_model == "loss"


def test_what_is_saved_starts_the_same_run_again(tmp_path):
    text = dump_yaml(
        {
            **GOOD,
            "prefix_messages": [
                {"role": "system", "content": "no\n1e-4: ${x}\n  äöü 🦜\n"},
                {"role": "user", "content": "yes"},
            ],
            "student_retained_turns": 1,
            "learning_rate": 1e-5,
            "target_modules": ["q_proj"],
            "hub_token": "SECRET",
            "push_to_hub": True,
            "hub_model_id": "me/mine",
            "save_strategy": "steps",
            "save_steps": 0.25,
            "gradient_checkpointing": True,
            "chat_template_kwargs": {"enable_thinking": False},
            "num_train_epochs": 7,
            "seed": 3,
        }
    )
    first = build(read_settings_file(write(tmp_path, text)))
    saved = to_yaml(first)
    again = build(read_settings_file(write(tmp_path, saved, "bakery.yaml")))
    assert to_yaml(again) == saved
    assert (again.context, again.model, again.lora, again.data) == (first.context, first.model, first.lora, first.data)
    assert again.bakery.to_dict() | {"hub_token": ""} == first.bakery.to_dict() | {"hub_token": ""}
    assert (first.bakery.hub_token, again.bakery.hub_token) == ("SECRET", None)
    assert "SECRET" not in saved
    assert "SECRET" not in repr(first)
    assert "SECRET" not in str(first.bakery)


def test_the_saved_file_holds_all_of_ours_and_only_what_differs_of_theirs(tmp_path):
    saved = parse_yaml(
        to_yaml(build(read_settings_file(write(tmp_path, dump_yaml({**GOOD, "weight_decay": 0.1}))))), "saved"
    )
    ours = {item.name for item in all_fields().values() if item.owner != "TrainingArguments" and item.group != "baking"}
    assert ours <= set(saved.value)
    assert {"num_trajectories", "temperature", "beta", "token_budget", "learning_rate"} <= set(saved.value)
    theirs = {item.name for item in all_fields().values() if item.group == "training"}
    assert theirs & set(saved.value) == {"weight_decay"}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(plain, st.booleans())
def test_whatever_is_written_is_read_back_unchanged(value, flow):
    assert parse_yaml(f"a: {dump_yaml(value, flow=True)}" if flow else dump_yaml({"a": value}), "x").value == {
        "a": value
    }


def refusal(action):
    """The message of the ConfigError, or nothing; any other error is a failure."""
    try:
        action()
    except ConfigError as error:
        return str(error)
    return ""


@given(st.text(alphabet=string.printable + "é🦜\x00\x85", max_size=80), st.booleans())
def test_no_text_breaks_the_readers(text, as_json):
    problem = refusal(lambda: (parse_json if as_json else parse_yaml)(text, "name"))
    assert problem.startswith("name") or not problem
    assert "\n" not in problem


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
        find_field("zzzzzzzz", all_fields(), "here")


@pytest.mark.parametrize(
    ("text", "kinds", "items", "choices"),
    [
        ("int", {"int"}, set(), ()),
        ("Optional[str]", {"str", "null"}, set(), ()),
        ("typing.Union[dict, str, None]", {"mapping", "str", "null"}, set(), ()),
        ("list[str] | None", {"list", "null"}, {"str"}, ()),
        ("Kind | str", {"str"}, set(), ("a", "b")),
        ("Literal['x', False]", {"str", "bool"}, set(), ("x",)),
        ("str | list[Kind]", {"str", "list"}, {"str"}, ()),
    ],
)
def test_annotations_are_understood(text, kinds, items, choices):
    assert read_annotation(text, {"Kind": ("a", "b")}) == (kinds, items, choices)


def test_plain_parts_and_resolve_agree_and_need_no_model(tmp_path):
    settings = read_settings_file(write(tmp_path, dump_yaml({**GOOD, "r": 4})))
    assert plain_parts(settings).lora.r == resolve(settings)["r"] == 4
    assert resolve(settings)["learning_rate"] == 1e-3
