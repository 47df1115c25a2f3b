"""The settings of one bake, as dataclasses in the manner of transformers; importing this file imports no torch.

BakingFields    how to bake; with the fields of `TrainingArguments` it is `BakeryConfig` (see `arguments`)
ContextConfig   what to bake in, and which tokens are learned
ModelConfig     the base model
LoraConfig      the adapter
DataConfig      the rows to learn from and to be scored on
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from bakery.settings.checks import context_problems, refuse
from bakery.settings.fields import AutoOrInt, setting

_SYSTEM_PROMPT_NOTE = (
    "system_prompt works; in code, prefix_messages=[{'role': 'system', 'content': ...}] says the same and takes any "
    "messages"
)


@dataclass
class BakingFields:
    """How to bake, and the defaults in which a bake differs from plain training."""

    output_dir: str | None = setting("outputs", "Folder for the adapter and the results.", "outputs/pirate")
    overwrite: bool = setting(False, "Replace the finished bake in output_dir. false: it is never touched.")
    keep_prompt: bool = setting(
        True, "false: the prompt stays out of the run folder, and bakery eval has to be given it."
    )
    num_trajectories: int = setting(4, "Answers sampled from the teacher per prompt.", 8)
    trajectory_length: int = setting(128, "Maximum new tokens of a sampled answer.", 256)
    thinking_length: int | None = setting(
        None,
        "Tokens that an answer may think; then its thoughts are ended, and trajectory_length counts from there. null: "
        "trajectory_length counts thoughts too.",
        1024,
    )
    sampling_temperature: float = setting(0.8, "Temperature at which answers are sampled.", 1.0)
    temperature: float = setting(1.0, "Softmax temperature of the divergence.", 2.0)
    beta: float = setting(0.0, "0: forward KL, 1: reverse KL, between: generalised Jensen-Shannon.", 0.5)
    max_seq_length: int | None = setting(None, "Longest row in tokens of the teacher's view. null: no limit.", 4096)
    on_long_row: Literal["error", "skip"] = setting("error", "What happens to a row over max_seq_length.")
    teacher: Literal["auto", "cached", "live"] = setting(
        "auto", "cached: the teacher answers once and is stored; live: at every step; auto: cached if it fits."
    )
    token_budget: int | None = setting(
        None, "Tokens computed at once in a packed micro-batch. null: 2,048 on the CPU, 8,192 elsewhere.", 16384
    )
    eval_max_new_tokens: int | None = setting(None, "New tokens per scored answer at most. null: trajectory_length.", 8)
    allow_no_gap: bool = setting(False, "Bake even if the prompt changes (almost) nothing on the rows measured.")
    target_divergence: float | None = setting(None, "Stop at this divergence (nats/token) on validation rows.", 0.01)
    patience: int | None = setting(None, "Stop after this many measurements on validation rows without improvement.", 3)
    proof: Literal["auto", "full", "quick", "none"] = setting(
        "auto",
        "auto: what a quarter of the bake's time allows, at least 16 questions; full: everything; quick: 16 questions; "
        "none: nothing is measured after training.",
    )
    fail_under: float | None = setting(
        None, "Exit with code 7 if less than this share of the gap is closed, or the bake did harm. null: never.", 0.9
    )
    weights: Literal["adapter", "merged"] = setting("adapter", "merged: prove the model with merged weights too.")
    num_train_epochs: float | None = setting(
        None, "Passes over the rows. null, and no max_steps: until more training does not help.", 3
    )
    max_minutes: float | None = setting(
        None, "Minutes until training ends, what comes before it included; the proof follows. null: no limit.", 30
    )
    learning_rate: float | None = setting(
        None, "Peak learning rate. null: by the width of the model, 7e-4 at 1,024 and 4e-4 at 4,096.", 5e-4
    )
    lr_scheduler_type: str = setting(
        "cosine", "Schedule, where the number of steps is given. cosine: a bake ends close to its teacher.", "constant"
    )
    warmup_steps: float = setting(0.05, "Warm-up steps; a number below 1 is a share of all steps.", 20)
    logging_steps: float = setting(10, "Steps between log lines. 10: a bake is short.", 1)
    logging_nan_inf_filter: bool = setting(False, "false: a loss that is not finite is an error, never hidden.")
    report_to: None | str | list[str] = setting(  # noqa: RUF036 (HfArgumentParser needs this order)
        "none", "Trackers to log to, e.g. tensorboard. none: nothing leaves the machine.", "tensorboard"
    )
    remove_unused_columns: bool = setting(False, "false: rows are views made by Bakery, not columns of the model.")
    save_strategy: str = setting(
        "steps", "When to write checkpoints, the end of the training included; no: never.", "epoch"
    )
    save_steps: float = setting(100, "Steps between checkpoints; a number below 1 is a share of all steps.", 50)
    save_total_limit: int | None = setting(2, "Checkpoints that are left there, the newest ones. null: all.", 1)
    resume_from_checkpoint: str | None = setting(
        "auto",
        "auto: the same command goes on where it was stopped; true or a folder: from the newest or that checkpoint, "
        "whatever was baked; false: from the start.",
        "outputs/pirate/checkpoint-100",
    )


@dataclass(frozen=True)
class ContextConfig:
    """What the teacher sees and the student does not, and which tokens are targets."""

    prefix_messages: list[dict[str, Any]] | None = setting(
        None,
        "Chat messages the teacher sees before every row: the context to bake in.",
        [{"role": "system", "content": "You are a pirate."}],
    )
    prefix_messages_file: str | None = setting(
        None, "The same from a .yaml, .yml or .json file, with or without tools: {messages, tools}.", "prefix.yaml"
    )
    system_prompt: str | None = setting(
        None, "The context to bake in, where it is one system prompt.", "You are a pirate."
    )
    system_prompt_file: str | None = setting(None, "The same from a text file.", "prompt.txt")
    student_retained_turns: int = setting(
        0, "How many of the last messages of the prefix the student sees too; without a prefix: of the row.", 2
    )
    target_roles: list[str] = setting(["assistant"], "Whose messages are learned.", ["assistant", "tool"])
    target_content_pattern: str | None = setting(None, "Regular expression of the messages to be learned.", "^Answer:")
    target_span_pattern: str | None = setting(
        None, "Regular expression: inside a message only its match (or first group) is learned.", "Answer: (.*)"
    )
    target_thinking: bool = setting(
        True, "false: an answer's thoughts and the tags around them are only read; what follows them is learned."
    )
    system_role: Literal["native", "fold"] = setting(
        "native", "native: the template must show system messages; fold: put them into the first user message."
    )
    student_system: Literal["none", "empty"] = setting(
        "none", "A student without system prompt has none (the template may add its own) or an empty one."
    )
    chat_template_kwargs: dict[str, Any] | None = setting(
        None, "Passed to the chat template everywhere, e.g. {enable_thinking: false}.", {"enable_thinking": False}
    )

    def __post_init__(self) -> None:
        refuse(context_problems(vars(self)))
        if self.system_prompt is not None or self.system_prompt_file is not None:
            warnings.warn(_SYSTEM_PROMPT_NOTE, DeprecationWarning, stacklevel=3)
        if self.system_prompt is not None:
            object.__setattr__(self, "prefix_messages", [{"role": "system", "content": self.system_prompt}])
            object.__setattr__(self, "system_prompt", None)


@dataclass(frozen=True)
class ModelConfig:
    """The base model: teacher and student in one."""

    model_name_or_path: str = setting("Qwen/Qwen3-0.6B", "Hub id or folder; starter: shipped with Bakery.", "starter")
    torch_dtype: Literal["auto", "bfloat16", "float16", "float32"] = setting(
        "auto",
        "Number format of the base weights. auto: as they are stored; float32 on a CPU without that format.",
        aliases=("--dtype",),
    )
    attn_implementation: str | None = setting(None, "Attention as in transformers: eager, sdpa, ...", "sdpa")
    trust_remote_code: bool = setting(False, "Run code that the model's folder brings along.")
    load_in_4bit: bool = setting(False, "Quantise the base to 4 bits (extra: qlora).")
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = setting("nf4", "Kind of 4-bit number.")
    bnb_4bit_use_double_quant: bool = setting(True, "Quantise the scales as well.")

    @property
    def dtype(self) -> str:
        """The newer name of `torch_dtype`."""
        return self.torch_dtype


@dataclass(frozen=True)
class LoraConfig:
    """The adapter that is trained."""

    r: int = setting(16, "Rank of the adapter.", 32)
    lora_alpha: int = setting(32, "Scale of the adapter (divided by r).", 64)
    target_modules: list[str] | str = setting(
        "all-linear",
        "Layers that get an adapter: all-linear (or all), a list of names, or one pattern.",
        ["q_proj", "v_proj"],
    )
    lora_dropout: float = setting(0.0, "Dropout in the adapter. 0: the student must equal the teacher.", 0.05)
    bias: Literal["none", "all", "lora_only"] = setting("none", "Which biases are trained.")


@dataclass(frozen=True)
class DataConfig:
    """The rows to learn from and the rows to be scored on. Paths are relative to the working directory."""

    dataset: str | None = setting(None, "Training rows: a file, a folder, or a hub id.", "data/train.jsonl")
    dataset_split: str = setting("train", "Split of dataset, e.g. train_sft[:1000].", "train_sft[:1000]")
    training_prompts: list[str] | None = setting(None, "Prompts written here.", ["What is AI?", "Explain gravity."])
    self_prompts: AutoOrInt = setting(
        "auto", "Prompts that the model writes itself. auto: where fewer than 32 are given and none has an answer.", 256
    )
    self_anchors: AutoOrInt = setting(
        "auto",
        "Anchors that the model writes itself. auto: a third as many as prompts, if no anchors are given.",
        64,
    )
    prompt_column: str | None = setting(None, "Column with prompt or messages, where several could be.", "instruction")
    response_column: str | None = setting(None, "Column with the response, where several could be.", "output")
    eval_dataset: str | None = setting(None, "Validation rows: divergence during training.", "data/validation.jsonl")
    eval_dataset_split: str | None = setting(None, "Split of eval_dataset. null: its validation or test.", "test")
    validation_share: float = setting(0.1, "Share of the prompts to measure on, where no rows for it are given.", 0.2)
    rules: list[Any] | None = setting(
        None,
        "Clauses of the prompt, scored one by one: name and check each, e.g. {name: short, max_words: 30}.",
        [{"name": "greets", "regex": "^Ahoy!"}, {"name": "short", "max_words": 30}],
    )
    eval_file: str | None = setting(None, "Questions with answers, scored before and after.", "data/questions.jsonl")
    heldout_file: str | None = setting(None, "The same; its questions occur in no training row.", "data/heldout.jsonl")
    anchor_prompts: list[Any] | None = setting(
        None,
        "Prompts (or {messages: [...]}) where the model stays as it is; trained without prefix.",
        ["What is the capital of France?"],
    )
    anchor_dataset: str | None = setting(None, "The same from a file, folder or hub id.", "data/anchors.jsonl")
    anchor_file: str | None = setting(
        None, "Rows on which drift from the base is measured after the bake; not trained.", "data/drift.jsonl"
    )
    corpus_file: str | None = setting(None, "A document to bake, of any length.", "data/papers.json")
    corpus_format: Literal["auto", "papers", "text", "list", "custom"] = setting(
        "auto",
        "text: plain or Markdown; papers: list of {title, abstract}; list: list of texts; custom: any JSON as it is; "
        "auto: what the file looks like.",
    )
    corpus_context: Literal["auto", "whole", "chunk"] = setting(
        "auto",
        "What the teacher sees: all of the document, or each row's chunk with its neighbours. auto: all, if that is no "
        "longer than the other.",
    )
    corpus_chunk_tokens: int | None = setting(
        None, "Tokens of a chunk at most. null: 512, or a 32nd of the model's context where that is less.", 256
    )
    system_prompt_template: str | None = setting(
        None, "Text with {corpus} where the knowledge goes; other braces stay.", "You know this:\n{corpus}"
    )
    relative_to_file: bool = setting(
        False, "In a settings file: its prompt, rows, base and output_dir are paths from its own folder."
    )
