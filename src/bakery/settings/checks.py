"""What settings must satisfy, as pure functions over plain values; nothing here reads a file or imports torch.

Each function yields the name of a setting and what is wrong with it. `refuse` raises the first problem, with the
location that `at` knows for the name ("examples/basic.yaml line 4: num_trajectories").
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bakery.errors import ConfigError
from bakery.scoring.answers import pattern_problem
from bakery.scoring.rules import parse_rules
from bakery.settings.messages import ROLES, messages_problem
from bakery.settings.tools import tools_problem
from bakery.text import describe, excerpt

Locate = Callable[[str], str]
Values = Mapping[str, Any]
Problems = Iterator[tuple[str, str]]
"""The name of a setting (empty for the file as a whole), and what is wrong with it."""


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
    Range(
        1
    ): "num_trajectories trajectory_length thinking_length token_budget eval_max_new_tokens patience r lora_alpha "
    "per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps save_total_limit ddp_timeout "
    "dataloader_prefetch_factor torch_empty_cache_steps eval_accumulation_steps",
    Range(2): "max_seq_length",
    Range(16): "corpus_chunk_tokens",
    Range(0): "self_prompts self_anchors student_retained_turns weight_decay max_grad_norm warmup_steps eval_delay "
    "dataloader_num_workers neftune_noise_alpha",
    Range(above=True): "sampling_temperature temperature target_divergence num_train_epochs learning_rate adam_epsilon "
    "logging_steps eval_steps save_steps max_minutes",
    Range(0, 1): "beta fail_under",
    Range(0, 1, below=True): "validation_share lora_dropout adam_beta1 adam_beta2",
    Range(0, 0): "label_smoothing_factor",
    Range(0, 2**32 - 1): "seed data_seed",
}
RANGES: Mapping[str, Range] = {name: allowed for allowed, names in _NAMES_BY_RANGE.items() for name in names.split()}

PREFIX_KEYS = ("prefix_messages", "prefix_messages_file", "system_prompt", "system_prompt_file", "corpus_file")
TEMPLATE_KEYS = ("corpus_format", "corpus_context", "corpus_chunk_tokens", "system_prompt_template")
PATH_KEYS = ("dataset", "eval_dataset", "anchor_dataset", "anchor_file", "eval_file", "heldout_file", "corpus_file",
             "prefix_messages_file", "system_prompt_file")  # fmt: skip


def validate(values: Values, at: Locate = str) -> None:
    """Check all settings of a bake, given by name with defaults filled in, before anything is loaded.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """
    for problems in (range_problems, context_problems, data_problems, training_problems):
        refuse(problems(values), at)
    parse_rules(values.get("rules"), at("rules"))


def refuse(problems: Iterable[tuple[str, str]], at: Locate = str) -> None:
    """Raise ConfigError for the first problem, if there is one."""
    for name, problem in problems:
        raise ConfigError(f"{at(name)}: {problem}" if name else f"{at(name)}{problem}")


def range_problems(values: Values) -> Problems:
    """Numbers outside of `RANGES`."""
    for name, allowed in RANGES.items():
        value = values.get(name)
        if isinstance(value, int | float) and not allowed.holds(value):
            yield name, f"must be {allowed}, got {value}"
    max_steps = values.get("max_steps")
    if isinstance(max_steps, int) and (max_steps == 0 or max_steps < -1):
        yield "max_steps", f"must be at least 1, or -1 for num_train_epochs, got {max_steps}"


def context_problems(values: Values) -> Problems:
    """What is wrong with the prefix, the roles and the patterns, and whether anything is left to bake."""
    given = [key for key in PREFIX_KEYS if values.get(key) is not None]
    if len(given) > 1:
        yield given[1], f"the prefix is given twice, also by {given[0]}; keep one of them"
    prefix, prompt = values.get("prefix_messages"), values.get("system_prompt")
    if prefix is not None and (problem := messages_problem(prefix)):
        yield "prefix_messages", problem
    if prefix is not None and not prefix:
        yield "prefix_messages", "an empty list, so there is nothing to bake; add a message"
    if prompt is not None and not prompt.strip():
        yield "system_prompt", "empty, so there is nothing to bake; write the prompt"
    if prefix or prompt:
        yield from retained_problems(len(prefix or [prompt]), values.get("student_retained_turns", 0))
    roles = values.get("target_roles", ["assistant"])
    if not roles:
        yield "target_roles", "an empty list, so nothing would be learned; use [assistant]"
    for role in roles:
        if role not in ROLES:
            yield "target_roles", f"unknown role {excerpt(str(role))!r}; allowed are {', '.join(ROLES)}"
    for name in ("target_content_pattern", "target_span_pattern"):
        pattern = values.get(name)
        if pattern == "":
            yield name, "an empty pattern matches everything; leave it out instead"
        elif pattern is not None and (problem := pattern_problem(pattern)):
            yield name, problem


def retained_problems(prefix_length: int, retained: int) -> Problems:
    """Retained turns that leave the student nothing to be without."""
    if retained >= prefix_length:
        problem = (
            f"{retained} covers all {prefix_length} message(s) of the prefix, so teacher and student see the same "
        )
        yield "student_retained_turns", f"{problem}and there is nothing to bake; use at most {prefix_length - 1}"


def data_problems(values: Values) -> Problems:
    """Rows to learn from that are missing, empty or given twice, and a template without its file."""
    prompts, dataset, template = (values.get(k) for k in ("training_prompts", "dataset", "system_prompt_template"))
    if prompts is not None and dataset is not None:
        yield "training_prompts", "training rows are also given by dataset; keep one of them"
    if prompts is None and dataset is None and values.get("self_prompts") == 0:
        yield "self_prompts", "0, and there are no prompts; leave it out, or give training_prompts or dataset"
    for name in PATH_KEYS:
        if values.get(name) is not None and not values[name].strip():
            yield name, "is empty; give a file, or leave it out"
    for name in ("training_prompts", "anchor_prompts"):
        if values.get(name) == []:
            yield name, "an empty list; write at least one prompt"
        for number, prompt in enumerate(values.get(name) or (), 1):
            if problem := _prompt_problem(prompt):
                yield name, f"prompt {number}{problem}"
    if template is not None and values.get("corpus_file") is None:
        yield "system_prompt_template", "is filled from corpus_file, which is not given"
    if template is not None and "{corpus}" not in template:
        yield "system_prompt_template", "has no {corpus}; write it where the knowledge goes"
    if dataset is None and all(values.get(key) is None for key in PREFIX_KEYS):
        yield (
            "",
            "nothing to bake: there is no prefix; give system_prompt, or prefix_messages (a list of messages)",
        )


def _prompt_problem(prompt: Any) -> str | None:
    if isinstance(prompt, Mapping) and set(prompt) in ({"messages"}, {"messages", "tools"}):
        problem = messages_problem(prompt["messages"]) or tools_problem(prompt.get("tools") or ())
        return f": {problem}" if problem else None
    if not isinstance(prompt, str):
        return f" must be a text or {{messages: [...]}}, got {describe(prompt)}"
    return None if prompt.strip() else " is empty; write it or take it out"


def bake_problems(values: Values) -> Problems:
    """What a bake cannot do and an evaluation with the same settings can: be judged by a proof that is left out."""
    if values.get("fail_under") is not None and values.get("proof") == "none":
        yield "fail_under", "needs the proof that proof: none leaves out; take out one of the two, or use proof: quick"


def training_problems(values: Values) -> Problems:
    """What `TrainingArguments` would refuse only after torch is imported, or not at all."""
    evaluates = values.get("eval_strategy") not in (None, "no")
    modules = values.get("target_modules")
    if evaluates and values.get("eval_dataset") is None:
        yield "eval_strategy", "validation needs rows; give eval_dataset, or eval_strategy: no"
    if values.get("load_best_model_at_end") and not evaluates:
        yield "load_best_model_at_end", "needs eval_strategy (steps or epoch) and eval_dataset"
    if values.get("fp16") and values.get("bf16"):
        yield "fp16", "at most one of fp16 and bf16 can be true"
    if values.get("hub_model_id") is not None and not values.get("push_to_hub"):
        yield "hub_model_id", "has no effect without push_to_hub: true"
    if values.get("bias", "none") != "none":
        yield "bias", "a trained bias would change the teacher, which is the same model; use none"
    if modules is not None and (not modules or any(not name for name in modules)):
        yield "target_modules", "names no layer; use all-linear or a list of names"
