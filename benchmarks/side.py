"""One side of one comparison, in a process of its own: prints its seconds and its memory as one line of JSON.

    python benchmarks/side.py ours --prefix 2048 --dtype float32

The work: a random Qwen3-shaped model, a LoRA of rank 16 on all linear layers, 48 rows of 32 + 96 tokens behind a
prefix, batches of 4, 3 epochs. The clock starts, and memory counts, when the model and the libraries are there.
"""

import argparse
import gc
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "examples")]
import bake_loop  # noqa: E402

from bakery import BakeryConfig, ContextBakingTrainer, ContextConfig, create_dataset  # noqa: E402
from bakery.evaluation.evaluator import Evaluator  # noqa: E402
from bakery.evaluation.proof_rows import proof_rows  # noqa: E402
from bakery.evaluation.proving import measure_gap  # noqa: E402
from bakery.library import rows_of  # noqa: E402

RATE = 1e-3
FURTHER = 16
"""Questions of the proof."""
SHAPES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 16},
    "42m": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
            "num_key_value_heads": 4, "head_dim": 64},
    "qwen3-0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "num_key_value_heads": 8, "head_dim": 128},
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The size of the work."""
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="42m", help="42m: 42M parameters at vocabulary 32,768")
    parser.add_argument("--prefix", type=int, default=2048, help="tokens of the context")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--vocabulary", type=int, default=32_768)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a question")
    parser.add_argument("--answer", type=int, default=96, help="tokens of an answer")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def build_model(given: argparse.Namespace) -> Any:
    """The random model with a fresh adapter."""
    torch.manual_seed(0)
    shape: dict[str, Any] = SHAPES[given.shape]
    config = Qwen3Config(
        **shape,
        vocab_size=given.vocabulary,
        tie_word_embeddings=True,
        max_position_embeddings=16_384,
        eos_token_id=given.vocabulary - 1,
    )
    model = Qwen3ForCausalLM(config).to(getattr(torch, given.dtype)).to(given.device)
    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))


@dataclass(frozen=True)
class Work:
    """What every side is given: the tokenizer's chat template and words are the starter model's."""

    given: argparse.Namespace
    model: Any
    tokenizer: Any
    prefix: list[dict[str, str]]
    questions: list[str]
    answers: list[str]
    further: list[str]
    folder: str

    @classmethod
    def build(cls, given: argparse.Namespace, folder: str) -> "Work":
        """The model, and texts of exactly so many tokens."""
        tokenizer = AutoTokenizer.from_pretrained(ROOT / "src" / "bakery" / "starter")
        stock = ["the", "sea", "ship", "red", "cat", "dog", "name", "city", "from", "with", "day", "room"]

        def words(count: int, seed: int) -> str:
            draw = random.Random(seed)
            ids = tokenizer(" ".join(draw.choice(stock) for _ in range(count)), add_special_tokens=False).input_ids
            return str(tokenizer.decode(ids[:count]))

        return cls(
            given,
            build_model(given),
            tokenizer,
            [{"role": "system", "content": words(given.prefix, 0)}],
            [words(given.prompt, 1 + row) for row in range(given.rows)],
            [words(given.answer, 1000 + row) for row in range(given.rows)],
            [words(given.prompt, 2000 + row) for row in range(FURTHER)],
            folder,
        )

    def settings(self) -> dict[str, Any]:
        """What all trainers are told."""
        return {
            "output_dir": self.folder,
            "per_device_train_batch_size": self.given.batch,
            "num_train_epochs": self.given.epochs,
            "learning_rate": RATE,
            "lr_scheduler_type": "constant",
            "report_to": "none",
            "save_strategy": "no",
            "disable_tqdm": True,
            "logging_steps": 1000,
            "use_cpu": self.given.device == "cpu",
        }

    def asked(self) -> list[list[dict[str, str]]]:
        """The questions as conversations."""
        return [[{"role": "user", "content": question}] for question in self.questions]


Stages = dict[str, Any]


def ours(work: Work, *, sampled: bool = False, proved: bool = False) -> Stages:
    """The trainer users call, everything included: views, sampling, teacher, training. Returns where the time went.

    `proved`: the gap before and the proof after it as well, on further questions of the same length.
    """
    given = work.given
    drawing = {"num_trajectories": 1, "trajectory_length": given.answer, "sampling_temperature": 1.0}
    trainer = ContextBakingTrainer(
        model=work.model,
        args=BakeryConfig(**work.settings(), **drawing),
        context_config=ContextConfig(prefix_messages=work.prefix),
        train_dataset=create_dataset(work.questions) if sampled else create_dataset(work.questions, work.answers),
        processing_class=work.tokenizer,
        eval_dataset=create_dataset(work.further) if proved else None,
    )
    if proved:
        evaluator = Evaluator.for_bake(trainer.engine, trainer.session.builder, trainer.args)
        with trainer.progress.clock("gap"):
            measure_gap(evaluator, proof_rows(rows_of(trainer)), short=True)
    trainer.train()
    if proved:
        trainer.prove()
    return {spent.stage: [round(spent.seconds, 3), spent.tokens] for spent in trainer.progress.spent()}


def naive(work: Work, *, sampled: bool = False) -> Stages:
    """The open loop: the teacher reads the whole prompt at every step, answers are sampled one at a time."""
    given, tokenizer, rows = work.given, work.tokenizer, []
    for asked, answer in zip(work.asked(), work.answers, strict=True):
        teacher = bake_loop.prompt_ids(tokenizer, [*work.prefix, *asked])
        if sampled:
            said = bake_loop.sample_answer(work.model, teacher, given.answer)
        else:
            said = tokenizer(answer, add_special_tokens=False).input_ids
        rows.append(bake_loop.Row(teacher, bake_loop.prompt_ids(tokenizer, asked), said))
    for _ in bake_loop.bake(work.model, rows, epochs=given.epochs, batch_size=given.batch, learning_rate=RATE):
        pass
    return {}


def trl_sft(work: Work) -> Stages:
    """Plain supervised fine-tuning of the same answers, without any context."""
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"prompt": asked, "completion": [{"role": "assistant", "content": answer}]}
        for asked, answer in zip(work.asked(), work.answers, strict=True)
    ]
    trainer = SFTTrainer(
        model=work.model,
        args=SFTConfig(**work.settings(), gradient_checkpointing=False, bf16=False, max_length=None),
        train_dataset=Dataset.from_list(rows),
        processing_class=work.tokenizer,
    )
    trainer.train()
    return {}


def trl_sdft(work: Work) -> Stages:
    """Self-distillation from a teacher that sees the prompt, which also writes the answers."""
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer

    (context,) = work.prefix
    trainer = SDFTTrainer(
        model=work.model,
        args=SDFTConfig(
            **work.settings(),
            gradient_checkpointing=False,
            bf16=False,
            max_prompt_length=None,
            max_completion_length=work.given.answer,
            num_generations=1,
            generate_from_teacher=True,
            distillation_mode="full_logits",
            distillation_alpha=0.0,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": asked, "privileged_context": context["content"]} for asked in work.asked()]
        ),
        processing_class=work.tokenizer,
    )
    trainer.train()
    return {}


SIDES: dict[str, Callable[[Work], Stages]] = {
    "ours": ours,
    "naive": naive,
    "trl_sft": trl_sft,
    "ours_proved": lambda work: ours(work, proved=True),
    "ours_sampled": lambda work: ours(work, sampled=True),
    "naive_sampled": lambda work: naive(work, sampled=True),
    "trl_sdft": trl_sdft,
}


class Memory:
    """Bytes taken beyond what is held now, at most; of the device's, or of the process."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        gc.collect()
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self.before = torch.cuda.memory_allocated() if self.cuda else self._status("VmRSS")

    def peak(self) -> int:
        """Bytes."""
        return (torch.cuda.max_memory_allocated() if self.cuda else self._status("VmHWM")) - self.before

    @staticmethod
    def _status(name: str) -> int:
        line = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert line
        return int(line[1]) * 1024


def main() -> None:
    """Run one side."""
    arguments = parser()
    arguments.add_argument("side", choices=sorted(SIDES))
    arguments.description = __doc__
    given = arguments.parse_args()
    if given.side.startswith("trl"):
        import trl  # noqa: F401  (before the clock starts)
    with tempfile.TemporaryDirectory() as folder:
        work = Work.build(given, folder)
        memory, start = Memory(given.device), time.perf_counter()
        stages = SIDES[given.side](work)
        if given.device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    print(json.dumps({"side": given.side, "seconds": round(seconds, 3), "peak": memory.peak(), "stages": stages}))


if __name__ == "__main__":
    main()
