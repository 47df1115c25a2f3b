"""What settings must satisfy, as pure functions over plain values; nothing here reads a file or imports torch.

Each function takes the values by name and `at`, which turns a name into the location to be named in the message
("examples/basic.yaml line 4: num_trajectories"). All of them raise ConfigError with one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakery.errors import ConfigError
from bakery.scoring.answers import pattern_problem
from bakery.scoring.rules import parse_rules
from bakery.settings.messages import ROLES, check_messages
from bakery.text import describe

Locate = Callable[[str], str]


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


_NAMES_BY_RANGE = {
    Range(1): "num_trajectories trajectory_length token_budget eval_max_new_tokens patience r lora_alpha "
    "per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps save_total_limit ddp_timeout "
    "dataloader_prefetch_factor torch_empty_cache_steps eval_accumulation_steps",
    Range(2): "max_seq_length",
    Range(0): "student_retained_turns weight_decay max_grad_norm warmup_steps eval_delay dataloader_num_workers "
    "neftune_noise_alpha",
    Range(above=True): "sampling_temperature temperature target_divergence num_train_epochs learning_rate adam_epsilon "
    "logging_steps eval_steps save_steps",
    Range(0, 1): "beta",
    Range(0, 1, below=True): "validation_share lora_dropout adam_beta1 adam_beta2",
    Range(0, 0): "label_smoothing_factor",
    Range(0, 2**32 - 1): "seed data_seed",
}
RANGES: Mapping[str, Range] = {name: allowed for allowed, names in _NAMES_BY_RANGE.items() for name in names.split()}

PREFIX_KEYS = ("prefix_messages", "prefix_messages_file", "system_prompt", "system_prompt_file", "corpus_file")
TEMPLATE_KEYS = ("corpus_format", "system_prompt_template")
PATH_KEYS = ("dataset", "eval_dataset", "anchor_dataset", "anchor_file", "eval_file", "heldout_file", "corpus_file",
             "prefix_messages_file", "system_prompt_file")  # fmt: skip


def validate(values: Mapping[str, Any], at: Locate = by_name) -> None:
    """Check all settings of a bake, given by name with defaults filled in, before anything is loaded.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """
    check_ranges(values, at)
    check_context(values, at)
    check_data(values, at)
    check_training(values, at)


def check_ranges(values: Mapping[str, Any], at: Locate = by_name) -> None:
    """Check every number against `RANGES`."""
    for name, allowed in RANGES.items():
        value = values.get(name)
        if isinstance(value, int | float) and not allowed.holds(value):
            raise ConfigError(f"{at(name)}: must be {allowed}, got {value}")
    max_steps = values.get("max_steps")
    if isinstance(max_steps, int) and (max_steps == 0 or max_steps < -1):
        raise ConfigError(f"{at('max_steps')}: must be at least 1, or -1 for num_train_epochs, got {max_steps}")


def check_context(values: Mapping[str, Any], at: Locate = by_name) -> None:
    """Check the prefix, the roles, the patterns, and that something is left to bake."""
    given = [key for key in PREFIX_KEYS if values.get(key) is not None]
    if len(given) > 1:
        raise ConfigError(f"{at(given[1])}: the prefix is given twice, also by {given[0]}; keep one of them")
    prefix = values.get("prefix_messages")
    retained = values.get("student_retained_turns", 0)
    if prefix is not None:
        check_messages(prefix, at("prefix_messages"), ConfigError)
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


def check_retained(prefix_length: int, retained: int, at: Locate = by_name) -> None:
    """Refuse retained turns that leave the student nothing to be without."""
    if retained >= prefix_length:
        raise ConfigError(
            f"{at('student_retained_turns')}: {retained} covers all {prefix_length} message(s) of the prefix, so "
            f"teacher and student see the same and there is nothing to bake; use at most {prefix_length - 1}"
        )


def _check_pattern(pattern: str, location: str) -> None:
    if not pattern:
        raise ConfigError(f"{location}: an empty pattern matches everything; leave it out instead")
    if problem := pattern_problem(pattern):
        raise ConfigError(f"{location}: {problem}")


def check_data(values: Mapping[str, Any], at: Locate = by_name) -> None:
    """Check that there are rows to learn from, a context to bake, and no contradictory sources."""
    prompts, dataset = values.get("training_prompts"), values.get("dataset")
    if prompts is not None and dataset is not None:
        raise ConfigError(f"{at('training_prompts')}: training rows are also given by dataset; keep one of them")
    if prompts is None and dataset is None:
        raise ConfigError(f"{at('')}nothing to learn from; give training_prompts (a list) or dataset (file or hub id)")
    for name in PATH_KEYS:
        if values.get(name) is not None and not values[name].strip():
            raise ConfigError(f"{at(name)}: is empty; give a file, or leave it out")
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


def _check_prompts(prompts: Sequence[Any] | None, location: str) -> None:
    if prompts is None:
        return
    if not prompts:
        raise ConfigError(f"{location}: an empty list; write at least one prompt")
    for number, prompt in enumerate(prompts, 1):
        if not prompt.strip():
            raise ConfigError(f"{location}: prompt {number} is empty; write it or take it out")


def _check_anchors(anchors: Sequence[Any], location: str) -> None:
    if not anchors:
        raise ConfigError(f"{location}: an empty list; write at least one prompt, or leave it out")
    for number, anchor in enumerate(anchors, 1):
        if isinstance(anchor, Mapping) and set(anchor) == {"messages"}:
            check_messages(anchor["messages"], f"{location}: prompt {number}", ConfigError)
        elif not isinstance(anchor, str) or not anchor.strip():
            raise ConfigError(
                f"{location}: prompt {number} must be a text or {{messages: [...]}}, got {describe(anchor)}"
            )


def check_training(values: Mapping[str, Any], at: Locate = by_name) -> None:
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
