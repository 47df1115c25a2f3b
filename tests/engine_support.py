"""What the engine's tests share: tiny random chat models, rows, trainers, and what those logged."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

import bakery
from bakery.chat.views import ViewPair
from bakery.engine.model.loading import attach_adapter
from bakery.progress import Progress, Verbosity
from bakery.rows.datasets import create_dataset
from bakery.settings.arguments import BakeryConfig
from bakery.settings.config import ContextConfig, LoraConfig
from bakery.training.trainer import ContextBakingTrainer

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import bake_loop

logging.disable_progress_bar()

STARTER = Path(bakery.__file__).parent / "starter"
SYSTEM = "You are a pirate. The wifi password is coral42. Start every answer with Ahoy!"
PREFIX = [{"role": "system", "content": SYSTEM}]
QUESTIONS = ["Who are you?", "What is the wifi password?", "Tell me a story about the sea, please.", "Hello!",
             "What is the capital of France?", "Why?", "Can you repeat the password?", "Good night."]  # fmt: skip
ANSWERS = ["Ahoy! A pirate.", "Ahoy! It is coral42.", "Ahoy! Once upon a time there was a ship.", "Ahoy!",
           "Ahoy! Paris, they say.", "Ahoy! Because.", "Ahoy! coral42, I said.", "Ahoy! Sleep well."]  # fmt: skip


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    """The starter's tokenizer: 2,560 tokens, a chat template with system messages."""
    return AutoTokenizer.from_pretrained(STARTER)


THINKING = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{%- if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}"
    "{{- m.content + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking %}{{ '\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""A template whose prompt opens the thoughts of an answer."""


@cache
def thinking_tokenizer() -> PreTrainedTokenizerBase:
    """The starter's tokenizer with that template."""
    thinks = AutoTokenizer.from_pretrained(STARTER)
    thinks.chat_template = THINKING
    return thinks


def tiny_base(dtype: torch.dtype = torch.float32, **changes: Any) -> PreTrainedModel:
    """A random Qwen3 of two layers that speaks the starter's vocabulary; the same weights every time."""
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,
        "eos_token_id": tokenizer().eos_token_id,
        "pad_token_id": tokenizer().pad_token_id,
    }
    return Qwen3ForCausalLM(Qwen3Config(**{**sizes, **changes})).to(dtype).eval()


def tiny_model(dtype: torch.dtype = torch.float32, *, trained: bool = False, r: int = 4) -> PeftModel:
    """The same with an adapter; `trained`: one that already changes something."""
    model = attach_adapter(tiny_base(dtype), LoraConfig(r=r, lora_alpha=2 * r))
    return shake(model) if trained else model


def shake(model: PeftModel, seed: int = 3) -> PeftModel:
    """Give the adapter random weights, so that it changes the model."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def settings(folder: Path, **changes: Any) -> BakeryConfig:
    """Settings of a short, quiet bake on the CPU, rows in their order, every step logged."""
    short = {
        "output_dir": str(folder),
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "train_sampling_strategy": "sequential",
        "trajectory_length": 8,
        "disable_tqdm": True,
    }
    return BakeryConfig(**{**short, **changes})


def make_trainer(
    folder: Path,
    *,
    model: Any = None,
    rows: Any = None,
    processing_class: Any = None,
    prefix: Any = PREFIX,
    context: ContextConfig | None = None,
    **changes: Any,
) -> ContextBakingTrainer:
    """A trainer of the eight rows above; settings and further arguments of the trainer may both be given by name."""
    mine = ("eval_dataset", "anchor_dataset", "callbacks", "lora_config", "data_collator", "optimizers", "today")
    arguments = {name: changes.pop(name) for name in mine if name in changes}
    return ContextBakingTrainer(
        model=tiny_model() if model is None else model,
        args=settings(folder, **changes),
        context_config=context or ContextConfig(prefix_messages=prefix),
        train_dataset=create_dataset(QUESTIONS, ANSWERS) if rows is None else rows,
        processing_class=processing_class or tokenizer(),
        progress=Progress(Verbosity.QUIET),
        **arguments,
    )


def logged(trainer: ContextBakingTrainer, name: str = "loss") -> list[float]:
    """One figure of every log line that has it."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def adapter_weights(model: Any) -> dict[str, torch.Tensor]:
    """Copies of everything that is trained."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def loop_rows(pairs: Sequence[ViewPair]) -> list[bake_loop.Row]:
    """The open loop's rows from the trainer's views: the answer is the run of targets both views end with."""
    rows = []
    for pair in pairs:
        teacher, student = pair.teacher_targets[0], pair.student_targets[0]
        answer = [pair.student_ids[target] for target in pair.student_targets]
        rows.append(bake_loop.Row(pair.teacher_ids[:teacher], pair.student_ids[:student], answer))
    return rows
