"""The settings of one bake, as dataclasses in the manner of transformers; importing this file imports no torch.

    BakeSettings
    ├── bakery   BakeryConfig    how to bake: TrainingArguments plus `BakingFields`
    ├── context  ContextConfig   what to bake in, and which tokens are learned
    ├── model    ModelConfig     the base model
    ├── lora     LoraConfig      the adapter
    └── data     DataConfig      the rows to learn from and to be scored on

`BakeryConfig` needs transformers' `TrainingArguments`; it lives in `arguments.py` and is imported on first use.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.settings.checks import check_context
from bakery.settings.fields import Field, dataclass_fields, training_fields

if TYPE_CHECKING:
    from bakery.settings.arguments import BakeryConfig as BakeryConfig

SYSTEM_PROMPT_NOTE = (
    "system_prompt is the older way to say prefix_messages: [{role: system, content: ...}]; it still works, "
    "and will go one day"
)


@dataclass
class BakingFields:
    """How to bake, and the defaults in which a bake differs from plain training."""

    output_dir: str | None = field(default="outputs", metadata={"help": "Folder for the adapter and the results."})
    overwrite: bool = field(
        default=False,
        metadata={"help": "Replace the finished bake in output_dir; without it an older result is never touched."},
    )
    num_trajectories: int = field(default=4, metadata={"help": "Answers sampled from the teacher per prompt."})
    trajectory_length: int = field(default=128, metadata={"help": "Maximum new tokens of a sampled answer."})
    sampling_temperature: float = field(default=0.8, metadata={"help": "Temperature at which answers are sampled."})
    temperature: float = field(default=1.0, metadata={"help": "Softmax temperature of the divergence."})
    beta: float = field(
        default=0.0,
        metadata={"help": "0: forward KL (teacher to student), 1: reverse KL, between: generalised Jensen-Shannon."},
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest row in tokens (teacher's view); nothing is ever cut. null: no limit."}
    )
    on_long_row: str = field(
        default="error",
        metadata={"help": "What happens to a row over max_seq_length.", "choices": ["error", "skip"]},
    )
    teacher: str = field(
        default="auto",
        metadata={
            "help": "cached: the teacher answers once and is stored; live: at every step; auto: cached if it fits.",
            "choices": ["auto", "cached", "live"],
        },
    )
    token_budget: int | None = field(
        default=None,
        metadata={"help": "Tokens computed at once in a packed micro-batch. null: 2,048 on the CPU, 8,192 elsewhere."},
    )
    eval_max_new_tokens: int | None = field(
        default=None, metadata={"help": "Maximum new tokens of a scored answer. null: trajectory_length."}
    )
    allow_no_gap: bool = field(
        default=False, metadata={"help": "Bake even if the prompt changes (almost) nothing on the rows measured."}
    )
    target_divergence: float | None = field(
        default=None, metadata={"help": "Stop once the divergence on validation rows is this low, in nats per token."}
    )
    patience: int | None = field(
        default=None, metadata={"help": "Stop after this many measurements on validation rows without improvement."}
    )
    weights: str = field(
        default="adapter",
        metadata={"help": "merged: prove the model with merged weights too.", "choices": ["adapter", "merged"]},
    )
    learning_rate: float = field(
        default=1e-3,
        metadata={"help": "Peak learning rate. 1e-3: only a small adapter is trained, against a dense target."},
    )
    lr_scheduler_type: str = field(
        default="cosine", metadata={"help": "Learning rate schedule. cosine: a bake ends close to its teacher."}
    )
    warmup_steps: float = field(
        default=0.05, metadata={"help": "Warm-up steps; a number below 1 is a share of all steps."}
    )
    logging_steps: float = field(default=10, metadata={"help": "Steps between log lines. 10: a bake is short."})
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "false: a loss that is not finite is an error, never replaced by an average."}
    )
    report_to: None | str | list[str] = field(  # noqa: RUF036 (HfArgumentParser needs this order)
        default="none", metadata={"help": "Trackers to log to, e.g. tensorboard. none: nothing leaves the machine."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "false: rows are views made by Bakery, not columns of the model."}
    )
    save_strategy: str = field(
        default="no", metadata={"help": "When to write checkpoints. no: the finished adapter is always written."}
    )


@dataclass(frozen=True)
class ContextConfig:
    """What the teacher sees and the student does not, and which tokens are targets."""

    prefix_messages: list[dict[str, Any]] | None = field(
        default=None, metadata={"help": "Chat messages the teacher sees before every row: the context to bake in."}
    )
    prefix_messages_file: str | None = field(
        default=None, metadata={"help": "The same from a .yaml, .yml or .json file."}
    )
    system_prompt: str | None = field(
        default=None, metadata={"help": "Older way to say prefix_messages: [{role: system, content: ...}]."}
    )
    system_prompt_file: str | None = field(
        default=None, metadata={"help": "Older way: a text file that holds the system prompt."}
    )
    student_retained_turns: int = field(
        default=0,
        metadata={"help": "How many of the last prefix messages the student sees too; for rows without a prefix: "
                          "how many of the row's last messages."},
    )  # fmt: skip
    target_roles: list[str] = field(
        default_factory=lambda: ["assistant"], metadata={"help": "Whose messages are learned."}
    )
    target_content_pattern: str | None = field(
        default=None, metadata={"help": "Regular expression: only messages in which it is found are learned."}
    )
    target_span_pattern: str | None = field(
        default=None,
        metadata={"help": "Regular expression: inside a message only its match (or first group) is learned."},
    )
    system_role: str = field(
        default="native",
        metadata={
            "help": "native: the template must show system messages; fold: put them into the first user message.",
            "choices": ["native", "fold"],
        },
    )
    student_system: str = field(
        default="none",
        metadata={
            "help": "A student without system prompt has none (the template may add its own) or an empty one.",
            "choices": ["none", "empty"],
        },
    )
    chat_template_kwargs: dict[str, Any] | None = field(
        default=None, metadata={"help": "Passed to the chat template everywhere, e.g. {enable_thinking: false}."}
    )

    def __post_init__(self) -> None:
        check_context(vars(self))
        if self.system_prompt is not None or self.system_prompt_file is not None:
            warnings.warn(SYSTEM_PROMPT_NOTE, DeprecationWarning, stacklevel=3)
        if self.system_prompt is not None:
            object.__setattr__(self, "prefix_messages", [{"role": "system", "content": self.system_prompt}])
            object.__setattr__(self, "system_prompt", None)


@dataclass(frozen=True)
class ModelConfig:
    """The base model: teacher and student in one."""

    model_name_or_path: str = field(
        default="Qwen/Qwen3-0.6B", metadata={"help": "Hub id or folder; starter: the small model shipped with Bakery."}
    )
    torch_dtype: str = field(
        default="auto",
        metadata={
            "help": "Number format of the base weights.",
            "choices": ["auto", "bfloat16", "float16", "float32"],
            "aliases": ["--dtype"],
        },
    )
    attn_implementation: str | None = field(
        default=None, metadata={"help": "Attention, as in transformers: eager, sdpa, flash_attention_2, ..."}
    )
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that the model's folder brings along."})
    load_in_4bit: bool = field(default=False, metadata={"help": "Quantise the base to 4 bits (extra: qlora)."})
    bnb_4bit_quant_type: str = field(
        default="nf4", metadata={"help": "Kind of 4-bit number.", "choices": ["nf4", "fp4"]}
    )
    bnb_4bit_use_double_quant: bool = field(default=True, metadata={"help": "Quantise the scales as well."})

    @property
    def dtype(self) -> str:
        """The newer name of `torch_dtype`."""
        return self.torch_dtype


@dataclass(frozen=True)
class LoraConfig:
    """The adapter that is trained."""

    r: int = field(default=16, metadata={"help": "Rank of the adapter."})
    lora_alpha: int = field(default=32, metadata={"help": "Scale of the adapter (divided by r)."})
    target_modules: list[str] | str = field(
        default="all-linear",
        metadata={"help": "Layers that get an adapter: all-linear (or all), a list of names, or one pattern."},
    )
    lora_dropout: float = field(
        default=0.0, metadata={"help": "Dropout in the adapter. 0: the student must equal the teacher, not a blur."}
    )
    bias: str = field(
        default="none", metadata={"help": "Which biases are trained.", "choices": ["none", "all", "lora_only"]}
    )


@dataclass(frozen=True)
class DataConfig:
    """The rows to learn from and the rows to be scored on. Paths are relative to the working directory."""

    dataset: str | None = field(
        default=None, metadata={"help": "Training rows: .json, .jsonl, .csv, .parquet, a folder, or a hub id."}
    )
    dataset_split: str = field(default="train", metadata={"help": "Split of dataset, e.g. train_sft[:1000]."})
    training_prompts: list[str] | None = field(default=None, metadata={"help": "Prompts written right here."})
    prompt_column: str | None = field(
        default=None, metadata={"help": "Column with the prompt (or messages), where several could be meant."}
    )
    response_column: str | None = field(
        default=None, metadata={"help": "Column with the response, where several could be meant."}
    )
    eval_dataset: str | None = field(default=None, metadata={"help": "Validation rows: divergence during training."})
    eval_dataset_split: str | None = field(
        default=None, metadata={"help": "Split of eval_dataset. null: validation or test of a folder or hub id."}
    )
    validation_share: float = field(
        default=0.1,
        metadata={"help": "Share of the training prompts kept aside to measure on, where no other rows are given."},
    )
    rules: list[Any] | None = field(
        default=None,
        metadata={
            "help": "Clauses of the prompt, scored one by one: name and check each, e.g. {name: short, max_words: 30}."
        },
    )
    eval_file: str | None = field(
        default=None, metadata={"help": "Questions with answers, scored before and after the bake."}
    )
    heldout_file: str | None = field(
        default=None, metadata={"help": "The same, with questions whose wording occurs in no training row."}
    )
    anchor_prompts: list[Any] | None = field(
        default=None,
        metadata={"help": "Prompts (or {messages: [...]}) where the model stays as it is; trained without prefix."},
    )
    anchor_dataset: str | None = field(default=None, metadata={"help": "The same from a file, folder or hub id."})
    anchor_file: str | None = field(
        default=None, metadata={"help": "Rows on which drift from the base is measured after the bake; not trained."}
    )
    corpus_file: str | None = field(default=None, metadata={"help": "A knowledge file that becomes the prefix."})
    corpus_format: str = field(
        default="papers",
        metadata={
            "help": "papers: list of {title, abstract}; list: list of texts; text: plain; custom: any JSON as it is.",
            "choices": ["papers", "text", "list", "custom"],
        },
    )
    system_prompt_template: str | None = field(
        default=None, metadata={"help": "Text with {corpus} where the knowledge goes; other braces stay."}
    )


GROUPS: tuple[tuple[str, type], ...] = (
    ("context", ContextConfig),
    ("data", DataConfig),
    ("baking", BakingFields),
    ("model", ModelConfig),
    ("LoRA", LoraConfig),
)


@dataclass(frozen=True)
class BakeSettings:
    """Everything one bake needs to know."""

    bakery: BakeryConfig
    context: ContextConfig
    model: ModelConfig
    lora: LoraConfig
    data: DataConfig
    source: Path | None = None


def all_fields() -> dict[str, Field]:
    """Return every setting by name: ours by group, then the other fields of `TrainingArguments`."""
    training = {item.name: item for item in training_fields()}
    found: dict[str, Field] = {}
    for group, owner in GROUPS:
        for item in dataclass_fields(owner, group):
            theirs = training.pop(item.name, None)
            found[item.name] = item if theirs is None else _with_our_default(theirs, item)
    return found | training


def _with_our_default(theirs: Field, ours: Field) -> Field:
    return replace(theirs, group=ours.group, owner="BakeryConfig", default=ours.default, help=ours.help)


def __getattr__(name: str) -> Any:
    if name == "BakeryConfig":
        from bakery.settings.arguments import BakeryConfig

        return BakeryConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
