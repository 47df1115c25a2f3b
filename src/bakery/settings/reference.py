"""What every setting is, made from the dataclasses: the reference page and the JSON schema for editors."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from bakery.settings.checks import RANGES, ROLES
from bakery.settings.config import all_fields
from bakery.settings.documents import dump_yaml
from bakery.settings.fields import COMPUTED, Field

EXAMPLES: dict[str, Any] = {
    "output_dir": "outputs/pirate",
    "num_trajectories": 8,
    "trajectory_length": 256,
    "sampling_temperature": 1.0,
    "temperature": 2.0,
    "beta": 0.5,
    "max_seq_length": 4096,
    "on_long_row": "skip",
    "teacher": "live",
    "token_budget": 16384,
    "eval_max_new_tokens": 64,
    "allow_no_gap": True,
    "target_divergence": 0.01,
    "patience": 3,
    "weights": "merged",
    "learning_rate": 5e-4,
    "lr_scheduler_type": "constant",
    "warmup_steps": 20,
    "logging_steps": 1,
    "report_to": "tensorboard",
    "save_strategy": "epoch",
    "prefix_messages": [{"role": "system", "content": "You are a pirate."}],
    "prefix_messages_file": "prefix.yaml",
    "system_prompt": "You are a pirate.",
    "system_prompt_file": "prompt.txt",
    "student_retained_turns": 2,
    "target_roles": ["assistant", "tool"],
    "target_content_pattern": "^Answer:",
    "target_span_pattern": "Answer: (.*)",
    "system_role": "fold",
    "student_system": "empty",
    "chat_template_kwargs": {"enable_thinking": False},
    "model_name_or_path": "starter",
    "torch_dtype": "bfloat16",
    "attn_implementation": "sdpa",
    "bnb_4bit_quant_type": "fp4",
    "r": 32,
    "lora_alpha": 64,
    "target_modules": ["q_proj", "v_proj"],
    "lora_dropout": 0.05,
    "bias": "lora_only",
    "dataset": "data/train.jsonl",
    "dataset_split": "train_sft[:1000]",
    "training_prompts": ["What is AI?", "Explain gravity."],
    "prompt_column": "instruction",
    "response_column": "output",
    "eval_dataset": "data/validation.jsonl",
    "eval_dataset_split": "test",
    "validation_share": 0.2,
    "rules": [{"name": "greets", "regex": "^Ahoy!"}, {"name": "short", "max_words": 30}],
    "eval_file": "data/questions.jsonl",
    "heldout_file": "data/heldout.jsonl",
    "anchor_prompts": ["What is the capital of France?"],
    "anchor_dataset": "data/anchors.jsonl",
    "anchor_file": "data/drift.jsonl",
    "corpus_file": "data/papers.json",
    "corpus_format": "list",
    "system_prompt_template": "You know this:\n{corpus}",
}
"""An example for every setting of ours that is not simply switched on or off."""

_SCHEMA = {"bool": "boolean", "int": "integer", "float": "number", "str": "string", "list": "array",
           "mapping": "object", "null": "null"}  # fmt: skip

_INTRODUCTION = """\
# Settings

Written from the dataclasses by `python -m bakery.settings.reference`; a test keeps it up to date.

A settings file is flat YAML or JSON: one key per setting, every key below. On the command line the same setting is
`--key value`, `--key=value`, `--some-key` or `--some_key`; lists are `--key a b c`, switches `--key` or `--no-key`;
`null`, lists and mappings can be given as YAML in quotes. The command line wins over the file.

For completion in an editor write `bakery schema > bakery.schema.json` and begin the settings file with
`# yaml-language-server: $schema=bakery.schema.json`.
"""

_ROWS = """\
## Rows

`dataset`, `eval_dataset`, `anchor_dataset` and `anchor_file` take a `.json`, `.jsonl`, `.csv` or `.parquet` file, a
folder, a folder saved by `datasets`, or a hub id. A `.json` file holds a list, or one object that holds the list.

| columns | what a row is |
|---|---|
| none: a list of texts | a prompt; the teacher writes the answers |
| `prompt`, `user_message`, `input`, `question` or `instruction` | a prompt, as text or as a list of messages |
| with `response`, `completion`, `output` or `answer` | a prompt with its answer, trained on directly |
| `messages` | a chat, with its answers if the assistant has the last word; every assistant turn is learned |
| `conversations` | the same as ShareGPT writes it (`from`, `value`) |
| `prefix_messages` beside any of these | this row's own prefix; `[]`: none; absent or null: the configured one |

Where two columns could be meant, `prompt_column` and `response_column` choose. Rows with and without answers do not
mix. `eval_file` and `heldout_file` take the same files; every row has a question (a prompt column, or `messages` that
end with the user) and an answer (a response column: a text, or a list of texts any of which is right), and may have
`check` (exact, contains, regex, json or callable:NAME).

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a bug of ours, with its traceback |
| 2 | settings or the command line |
| 3 | rows or a knowledge file |
| 4 | a model or adapter that cannot be loaded |
| 5 | memory, disk or permissions |
| 6 | a loss that is not finite |
| 130 | interrupted |
"""

_GROUPS = {
    "context": "What is baked in, and which tokens are learned (`ContextConfig`).",
    "data": "The rows to learn from and to be scored on (`DataConfig`). Paths are relative to the working directory.",
    "baking": "How it is baked (`BakeryConfig`).",
    "model": "The base model (`ModelConfig`).",
    "LoRA": "The adapter (`LoraConfig`).",
    "training": f"The other fields of `TrainingArguments`, as in transformers {version('transformers')}.",
}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a settings file, for editors."""
    properties = {}
    for item in all_fields().values():
        properties[item.name] = _property(item)
        for alias in item.aliases:
            properties[alias] = {**_property(item), "description": f"The same as {item.name}."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bakery settings",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(item: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"description": item.help}
    if "any" not in item.kinds:
        types = sorted(_SCHEMA[kind] for kind in item.kinds)
        found["type"] = types[0] if len(types) == 1 else types
    if item.choices and item.kinds == {"str"}:
        found["enum"] = list(item.choices)
    if item.items and "any" not in item.items:
        found["items"] = _items(item)
    if item.default is not COMPUTED and item.default is not None:
        found["default"] = item.default
    if item.name in RANGES:
        allowed = RANGES[item.name]
        found["exclusiveMinimum" if allowed.above else "minimum"] = allowed.low
        if allowed.high != float("inf"):
            found["exclusiveMaximum" if allowed.below else "maximum"] = allowed.high
    return found


def _items(item: Field) -> dict[str, Any]:
    if item.name == "target_roles":
        return {"enum": list(ROLES)}
    if item.name == "prefix_messages":
        return {
            "type": "object",
            "required": ["role"],
            "properties": {"role": {"enum": list(ROLES)}, "content": {"type": ["string", "array", "null"]}},
        }
    return {"type": sorted(_SCHEMA[kind] for kind in item.items)}


def reference_page() -> str:
    """Return the reference page as Markdown: every setting with type, default, help and example."""
    return "\n".join([_INTRODUCTION, _ROWS, *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    for group, title in _GROUPS.items():
        yield f"## {group}\n\n{title}\n"
        ours = group != "training"
        yield "| setting | type | default | meaning |" + (" example |" if ours else "")
        yield "|---|---|---|---|" + ("---|" if ours else "")
        for item in all_fields().values():
            if item.group == group:
                yield _line(item, ours)
        yield ""


def _line(item: Field, with_example: bool) -> str:
    name = f"`{item.name}`" + "".join(f" (or `{alias}`)" for alias in item.aliases)
    allowed = item.allowed + (f", {RANGES[item.name]}" if item.name in RANGES else "")
    default = repr(item.default) if item.default is COMPUTED else f"`{_inline(item.default)}`"
    cells = [name, allowed, default, " ".join(item.help.split())]
    if with_example:
        cells.append(f"`{item.name}: {_inline(example(item))}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def example(item: Field) -> Any:
    """Return a value somebody might set: for a switch, the other one."""
    return EXAMPLES.get(item.name, not item.default)


def _inline(value: Any) -> str:
    return dump_yaml(value, flow=True)


if __name__ == "__main__":
    print(reference_page(), end="")
