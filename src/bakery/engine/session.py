"""A session: model, tokenizer, view builder and engine, without a trainer. Whoever asks a model opens one.

session = open_session("starter", prefix_messages=[{"role": "system", "content": "You are Ada."}])
prompt = session.builder.prompts(conversation)
(answer,) = session.engine([prompt]).answers(PROMPTED, [prompt], max_new_tokens=64)
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase, set_seed

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair, view_builder
from bakery.engine.distill.cache import fingerprint
from bakery.engine.distill.conditions import PROMPTED, Condition
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.prefix import PrefixCache
from bakery.engine.distill.shortcut_trial import try_shortcuts_on
from bakery.engine.model.foreign_adapter import check_vocabulary
from bakery.engine.model.loading import attach_adapter, load_adapter, load_model, load_tokenizer
from bakery.engine.model.process_group import ProcessGroup
from bakery.engine.model.structure import device_of, unwrap
from bakery.errors import DataError
from bakery.progress import Progress, Verbosity
from bakery.settings.arguments import BakeryConfig
from bakery.settings.config import ContextConfig, LoraConfig, ModelConfig

_TOKEN_BUDGETS = {"cpu": 2048}
_TOKEN_BUDGET = 8192
"""Tokens computed at once: on the CPU more are not faster, they only hold more memory."""


@dataclass(frozen=True)
class Session:
    """A model with an adapter, behind the views of one context.

    Args:
        model: the peft model on its device.
        tokenizer: its tokenizer.
        builder: makes the teacher's and the student's view of a row.
        autocast_dtype: of mixed precision; none: everything in the model's own number format.
        token_budget: tokens computed at once in a packed pass; by the device when omitted.
        temperature: softmax temperature of the divergence.
        beta: of the divergence: 0 forward KL, 1 reverse KL.
        teacher: the condition under which the teacher answers.
        progress: where stages are shown.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    builder: ViewBuilder
    autocast_dtype: torch.dtype | None = None
    token_budget: int | None = None
    temperature: float = 1.0
    beta: float = 0.0
    teacher: Condition = PROMPTED
    progress: Progress | None = None

    @property
    def student(self) -> Condition:
        """The condition under which the student answers: every adapter that acts on the model, without the prompt."""
        inner = unwrap(self.model)
        return Condition(tuple((name, 1.0) for name in inner.active_adapters) if isinstance(inner, PeftModel) else ())

    @property
    def autocast(self) -> Callable[[], AbstractContextManager[Any]]:
        """To be entered around every pass of the model."""
        if self.autocast_dtype is None:
            return nullcontext
        return partial(torch.autocast, device_of(self.model).type, self.autocast_dtype)

    @property
    def identity(self) -> str:
        """A hash of all that the teacher's answers depend on beside the rows."""
        return f"{fingerprint(self.model, self.teacher)} {self.autocast_dtype}"

    def engine(self, rows: Sequence[ViewPair | PromptPair]) -> Engine:
        """The model with the shortcuts that agree with its plain pass on a few of these rows (at least one)."""
        progress = self.progress or Progress(Verbosity.QUIET)
        prefixes = PrefixCache(self.model, progress=progress)
        with progress.clock("load"), self.autocast():
            shortcuts = try_shortcuts_on(self.model, self.teacher, rows, prefixes)
        for note in shortcuts.notes:
            progress.say(f"  note: {note}")
        return Engine(
            model=self.model,
            tokenizer=self.tokenizer,
            shortcuts=shortcuts,
            prefixes=prefixes,
            token_budget=self.token_budget or _TOKEN_BUDGETS.get(device_of(self.model).type, _TOKEN_BUDGET),
            temperature=self.temperature,
            beta=self.beta,
            autocast=self.autocast,
            processes=ProcessGroup.current(),
            teacher_condition=self.teacher,
            student_condition=self.student,
        )


def open_session(
    model: ModelConfig | str,
    *,
    adapter: LoraConfig | str | Path | None = None,
    context: ContextConfig | None = None,
    prefix_messages: Sequence[Mapping[str, Any]] | None = None,
    args: BakeryConfig | None = None,
    today: datetime | None = None,
    progress: Progress | None = None,
) -> Session:
    """Load a model and what is needed to ask it; nothing is trained and nothing is written.

    Args:
        model: which, and in which number format.
        adapter: the folder of a trained adapter, or the settings of a fresh one, which changes nothing yet (default).
        context: how views are made; its prefix is used unless `prefix_messages` are given.
        prefix_messages: what the teacher sees before every row that brings no prefix of its own.
        args: seed, device, precision and divergence.
        today: the date that the chat template may write; that of now when omitted.
        progress: where stages are shown.

    Raises:
        BakeryError: the model, its tokenizer or the adapter cannot be loaded, or the chat template cannot be used.
    """
    named = ModelConfig(model_name_or_path=model) if isinstance(model, str) else model
    args = args or BakeryConfig()
    tokenizer = load_tokenizer(named)
    set_seed(args.seed)  # before the adapter's random start
    base = load_model(named)
    if isinstance(adapter, str | Path):
        check_vocabulary(tokenizer, Path(adapter))
        adapted = load_adapter(base, adapter)
    else:
        adapted = attach_adapter(base, adapter or LoraConfig())
    context = context or ContextConfig()
    prefix = context.prefix_messages if prefix_messages is None else prefix_messages
    return session_of(adapted, tokenizer, view_builder(tokenizer, context, prefix, today), args, progress)


def session_of(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    builder: ViewBuilder,
    args: BakeryConfig,
    progress: Progress | None = None,
) -> Session:
    """A session with a model that is loaded already; it is moved to the device of `args`.

    Models that are quantised or spread over several devices stay where they are.
    """
    for note in args.notes:
        (progress or Progress(Verbosity.QUIET)).say(f"  note: {note}")
    if not (getattr(model, "is_quantized", False) or getattr(model, "hf_device_map", None)):
        model.to(args.device)
    return Session(
        model=unwrap(model),
        tokenizer=tokenizer,
        builder=builder,
        autocast_dtype=torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None,
        token_budget=args.token_budget,
        temperature=args.temperature,
        beta=args.beta,
        progress=progress,
    )


def adapted_model(
    model: Any, tokenizer: PreTrainedTokenizerBase | None, lora: LoraConfig | None, seed: int
) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    """A model with an adapter, and its tokenizer; loaded where only a name is given.

    Raises:
        DataError: there is a model but no tokenizer.
    """
    if isinstance(model, str):
        named = ModelConfig(model_name_or_path=model)
        model, tokenizer = load_model(named), tokenizer or load_tokenizer(named)
    if tokenizer is None:
        raise DataError("processing_class: the tokenizer is needed to build the views")
    if not hasattr(model, "disable_adapter"):
        set_seed(seed)  # before the adapter's random start
        model = attach_adapter(model, lora or LoraConfig())
    return model, tokenizer
