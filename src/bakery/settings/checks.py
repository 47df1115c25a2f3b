"""What settings must satisfy, as pure functions over plain values; nothing here reads a file or imports torch.

Each function takes the values by name and `at`, which turns a name into the place to be named in the message
("examples/basic.yaml line 4: num_trajectories"). All of them raise ConfigError with one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from bakery.errors import ConfigError
from bakery.scoring.rules import parse_rules

Place = Callable[[str], str]

ROLES = ("system", "developer", "user", "assistant", "tool")


def by_name(name: str) -> str:
    """Name a setting where no file is known: just its own name."""
    return name


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed numbers: from `low` (itself excluded when `above`) to `high` (itself excluded when `below`)."""

    low: float = 0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether `value` is allowed."""
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"at least {self.low:g}"
        high = f"below {self.high:g}" if self.below else f"at most {self.high:g}"
        return low if math.isinf(self.high) else f"{low} and {high}"


_COUNT, _NOT_NEGATIVE, _POSITIVE = Range(1), Range(0), Range(above=True)
_SHARE, _SHARE_BELOW_ONE = Range(0, 1), Range(0, 1, below=True)

RANGES: Mapping[str, Range] = {
    "num_trajectories": _COUNT,
    "trajectory_length": _COUNT,
    "sampling_temperature": _POSITIVE,
    "temperature": _POSITIVE,
    "beta": _SHARE,
    "max_seq_length": Range(2),
    "token_budget": _COUNT,
    "eval_max_new_tokens": _COUNT,
    "target_divergence": _POSITIVE,
    "patience": _COUNT,
    "validation_share": _SHARE_BELOW_ONE,
    "student_retained_turns": _NOT_NEGATIVE,
    "r": _COUNT,
    "lora_alpha": _COUNT,
    "lora_dropout": _SHARE_BELOW_ONE,
    "num_train_epochs": _POSITIVE,
    "per_device_train_batch_size": _COUNT,
    "per_device_eval_batch_size": _COUNT,
    "gradient_accumulation_steps": _COUNT,
    "learning_rate": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "adam_beta1": _SHARE_BELOW_ONE,
    "adam_beta2": _SHARE_BELOW_ONE,
    "adam_epsilon": _POSITIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "warmup_steps": _NOT_NEGATIVE,
    "label_smoothing_factor": Range(0, 0),
    "logging_steps": _POSITIVE,
    "eval_steps": _POSITIVE,
    "save_steps": _POSITIVE,
    "eval_delay": _NOT_NEGATIVE,
    "save_total_limit": _COUNT,
    "seed": Range(0, 2**32 - 1),
    "data_seed": Range(0, 2**32 - 1),
    "dataloader_num_workers": _NOT_NEGATIVE,
    "dataloader_prefetch_factor": _COUNT,
    "torch_empty_cache_steps": _COUNT,
    "eval_accumulation_steps": _COUNT,
    "neftune_noise_alpha": _NOT_NEGATIVE,
    "ddp_timeout": _COUNT,
}

PREFIX_KEYS = ("prefix_messages", "prefix_messages_file", "system_prompt", "system_prompt_file", "corpus_file")
TEMPLATE_KEYS = ("corpus_format", "system_prompt_template")


def validate(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check all settings of a bake, given by name with defaults filled in, before anything is loaded.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """
    check_ranges(values, at)
    check_context(values, at)
    check_data(values, at)
    check_training(values, at)


def check_ranges(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check every number against `RANGES`."""
    for name, allowed in RANGES.items():
        value = values.get(name)
        if isinstance(value, int | float) and not allowed.holds(value):
            raise ConfigError(f"{at(name)}: must be {allowed}, got {value}")
    max_steps = values.get("max_steps")
    if isinstance(max_steps, int) and (max_steps == 0 or max_steps < -1):
        raise ConfigError(f"{at('max_steps')}: must be at least 1, or -1 for num_train_epochs, got {max_steps}")


def check_context(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check the prefix, the roles, the patterns, and that something is left to bake."""
    given = [key for key in PREFIX_KEYS if values.get(key) is not None]
    if len(given) > 1:
        raise ConfigError(f"{at(given[1])}: the prefix is given twice, also by {given[0]}; keep one of them")
    prefix = values.get("prefix_messages")
    retained = values.get("student_retained_turns", 0)
    if prefix is not None:
        check_messages(prefix, at("prefix_messages"))
        if not prefix:
            raise ConfigError(f"{at('prefix_messages')}: an empty list, so there is nothing to bake; add a message")
        check_retained(len(prefix), retained, at)
    elif values.get("system_prompt") is not None:
        if not values["system_prompt"].strip():
            raise ConfigError(f"{at('system_prompt')}: empty, so there is nothing to bake; write the prompt")
        check_retained(1, retained, at)
    roles = values.get("target_roles", ["assistant"])
    if not roles:
        raise ConfigError(f"{at('target_roles')}: an empty list, so nothing would be learned; use [assistant]")
    for role in roles:
        if role not in ROLES:
            raise ConfigError(f"{at('target_roles')}: unknown role {role!r}; allowed are {', '.join(ROLES)}")
    for name in ("target_content_pattern", "target_span_pattern"):
        if values.get(name) is not None:
            _check_pattern(values[name], at(name))


def check_retained(prefix_length: int, retained: int, at: Place = by_name) -> None:
    """Refuse retained turns that leave the student nothing to be without."""
    if retained >= prefix_length:
        raise ConfigError(
            f"{at('student_retained_turns')}: {retained} covers all {prefix_length} message(s) of the prefix, so "
            f"teacher and student see the same and there is nothing to bake; use at most {prefix_length - 1}"
        )


def _check_pattern(pattern: str, place: str) -> None:
    if not pattern:
        raise ConfigError(f"{place}: an empty pattern matches everything; leave it out instead")
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ConfigError(f"{place}: not a regular expression: {pattern!r}: {error}; correct it") from error


def check_messages(messages: Any, place: str) -> None:
    """Check a list of chat messages: each has a known role, and content that a template can show."""
    if not isinstance(messages, list | tuple):
        raise ConfigError(f"{place}: must be a list of messages {{role: ..., content: ...}}, got {show(messages)}")
    for number, message in enumerate(messages, 1):
        problem = message_problem(message)
        if problem:
            raise ConfigError(f"{place}: message {number}: {problem}")


def message_problem(message: Any) -> str | None:
    """Say in words what is wrong with one chat message, or return None."""
    if not isinstance(message, Mapping):
        return f"must be a mapping with role and content, got {show(message)}"
    if "role" not in message:
        return f"has no key 'role' (its keys: {_names(message)}); allowed are {', '.join(ROLES)}"
    role = message["role"]
    if role not in ROLES:
        return f"unknown role {role!r}; allowed are {', '.join(ROLES)}"
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)):
        return f"tool_calls must be a list of mappings, got {show(calls)}"
    content = message.get("content")
    if content is None:
        if role == "assistant" and calls:
            return None
        if "content" in message:
            return "content is null; write a text (null is for an assistant's tool_calls only)"
        return f"has no key 'content' (its keys: {_names(message)}); write content: some text"
    if isinstance(content, list):
        return next((_part_problem(part) for part in content if _part_problem(part)), None)
    if not isinstance(content, str):
        return f"content must be a text, got {show(content)}; put it in quotes"
    return None


def _part_problem(part: Any) -> str | None:
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return None
    return f"a part of content must be {{type: text, text: ...}}, got {show(part)}"


def check_data(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check that there are rows to learn from, a context to bake, and no contradictory sources."""
    prompts, dataset = values.get("training_prompts"), values.get("dataset")
    if prompts is not None and dataset is not None:
        raise ConfigError(f"{at('training_prompts')}: training rows are also given by dataset; keep one of them")
    if prompts is None and dataset is None:
        raise ConfigError(f"{at('')}nothing to learn from; give training_prompts (a list) or dataset (file or hub id)")
    _check_prompts(prompts, at("training_prompts"))
    parse_rules(values.get("rules"), at("rules"))
    if values.get("anchor_prompts") is not None:
        _check_anchors(values["anchor_prompts"], at("anchor_prompts"))
    if values.get("system_prompt_template") is not None:
        if values.get("corpus_file") is None:
            raise ConfigError(f"{at('system_prompt_template')}: is filled from corpus_file, which is not given")
        if "{corpus}" not in values["system_prompt_template"]:
            raise ConfigError(f"{at('system_prompt_template')}: has no {{corpus}}; write it where the knowledge goes")
    if prompts is not None and all(values.get(key) is None for key in PREFIX_KEYS):
        raise ConfigError(f"{at('')}nothing to bake: there is no prefix; give prefix_messages, a list of chat messages")


def _check_prompts(prompts: Sequence[Any] | None, place: str) -> None:
    if prompts is None:
        return
    if not prompts:
        raise ConfigError(f"{place}: an empty list; write at least one prompt")
    for number, prompt in enumerate(prompts, 1):
        if not prompt.strip():
            raise ConfigError(f"{place}: prompt {number} is empty; write it or take it out")


def _check_anchors(anchors: Sequence[Any], place: str) -> None:
    if not anchors:
        raise ConfigError(f"{place}: an empty list; write at least one prompt, or leave it out")
    for number, anchor in enumerate(anchors, 1):
        if isinstance(anchor, Mapping) and set(anchor) == {"messages"}:
            check_messages(anchor["messages"], f"{place}: prompt {number}")
        elif not isinstance(anchor, str) or not anchor.strip():
            raise ConfigError(f"{place}: prompt {number} must be a text or {{messages: [...]}}, got {show(anchor)}")


def check_training(values: Mapping[str, Any], at: Place = by_name) -> None:
    """Check what `TrainingArguments` would refuse only after torch is imported, or not at all."""
    evaluates = values.get("eval_strategy") not in (None, "no")
    if evaluates and values.get("eval_dataset") is None:
        raise ConfigError(f"{at('eval_strategy')}: validation needs rows; give eval_dataset, or eval_strategy: no")
    if values.get("load_best_model_at_end") and not evaluates:
        raise ConfigError(f"{at('load_best_model_at_end')}: needs eval_strategy (steps or epoch) and eval_dataset")
    if values.get("fp16") and values.get("bf16"):
        raise ConfigError(f"{at('fp16')}: at most one of fp16 and bf16 can be true")
    if values.get("hub_model_id") is not None and not values.get("push_to_hub"):
        raise ConfigError(f"{at('hub_model_id')}: has no effect without push_to_hub: true")
    if values.get("bias", "none") != "none":
        raise ConfigError(f"{at('bias')}: a trained bias would change the teacher, which is the same model; use none")
    modules = values.get("target_modules")
    if modules is not None and (not modules or any(not name for name in modules)):
        raise ConfigError(f"{at('target_modules')}: names no layer; use all-linear or a list of names")


def show(value: Any) -> str:
    """Describe a value in a few words for an error message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else f"the text {value[:57]!r}..."
    if isinstance(value, Mapping):
        return f"a mapping with the keys {_names(value)}" if value else "an empty mapping"
    return f"a list of {len(value)}" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def _names(mapping: Mapping[Any, Any]) -> str:
    names = [str(key) for key in mapping]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "none"
