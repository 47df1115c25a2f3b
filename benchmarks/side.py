"""One side of one comparison, in a process of its own: prints its seconds and its peak memory as one line of JSON.

    python benchmarks/side.py ours --prefix 2048 --dtype float32

The work: a random Qwen3-shaped model (42M parameters at vocabulary 32,768), a LoRA of rank 16 on all linear layers, 48
rows of 32 + 96 tokens behind a prefix, batches of 4, 3 epochs. The clock starts when the model is there.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "examples")]
import bake_loop  # noqa: E402

RATE = 1e-3


def arguments() -> argparse.Namespace:
    """What is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=sorted(SIDES))
    parser.add_argument("--prefix", type=int, default=2048, help="tokens of the context")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--vocabulary", type=int, default=32_768)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a question")
    parser.add_argument("--answer", type=int, default=96, help="tokens of an answer")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def tokenizer() -> PreTrainedTokenizerBase:
    """The starter model's: only its chat template and some words are used."""
    return AutoTokenizer.from_pretrained(ROOT / "src" / "bakery" / "starter")


def build_model(given: argparse.Namespace) -> Any:
    """The random model with a fresh adapter."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=given.vocabulary,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=given.layers,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=16_384,
        eos_token_id=given.vocabulary - 1,
    )
    model = Qwen3ForCausalLM(config).to(getattr(torch, given.dtype)).to(given.device)
    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))


def words(count: int, seed: int, tokens: PreTrainedTokenizerBase) -> str:
    """A text of exactly this many tokens."""
    draw = random.Random(seed)
    stock = ["the", "sea", "ship", "red", "cat", "dog", "name", "city", "from", "with", "day", "room"]
    text = ""
    while len(tokens(text, add_special_tokens=False).input_ids) < count:
        text += " " + draw.choice(stock)
    return text.strip()


def conversation(given: argparse.Namespace, tokens: Any) -> tuple[list[dict[str, str]], list[str], list[str]]:
    """The prefix, the questions and their answers."""
    prefix = [{"role": "system", "content": words(given.prefix, 0, tokens)}]
    questions = [words(given.prompt, 1 + row, tokens) for row in range(given.rows)]
    return prefix, questions, [words(given.answer, 1000 + row, tokens) for row in range(given.rows)]


def settings(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What both trainers are told."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": given.batch,
        "num_train_epochs": given.epochs,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_steps": 1000,
        "use_cpu": given.device == "cpu",
    }


def ours(given: argparse.Namespace, folder: str, *, sampled: bool = False) -> float:
    """The trainer users call, everything included: views, sampling, teacher, training."""
    from bakery import BakeryConfig, ContextBakingTrainer, ContextConfig, create_dataset

    tokens, model = tokenizer(), build_model(given)
    prefix, questions, answers = conversation(given, tokens)
    start = time.perf_counter()
    trainer = ContextBakingTrainer(
        model=model,
        args=BakeryConfig(
            **settings(given, folder), num_trajectories=1, trajectory_length=given.answer, sampling_temperature=1.0
        ),
        context_config=ContextConfig(prefix_messages=prefix),
        train_dataset=create_dataset(questions) if sampled else create_dataset(questions, answers),
        processing_class=tokens,
    )
    trainer.train()
    return time.perf_counter() - start


def naive(given: argparse.Namespace, folder: str, *, sampled: bool = False) -> float:
    """The open loop: the teacher reads the whole prompt at every step, answers are sampled one at a time."""
    tokens, model = tokenizer(), build_model(given)
    prefix, questions, answers = conversation(given, tokens)
    start = time.perf_counter()
    rows = []
    for question, answer in zip(questions, answers, strict=True):
        asked = [{"role": "user", "content": question}]
        teacher = bake_loop.prompt_ids(tokens, [*prefix, *asked])
        given_answer = tokens(answer, add_special_tokens=False).input_ids
        said = bake_loop.sample_answer(model, teacher, given.answer) if sampled else given_answer
        rows.append(bake_loop.Row(teacher, bake_loop.prompt_ids(tokens, asked), said))
    for _ in bake_loop.bake(model, rows, epochs=given.epochs, batch_size=given.batch, learning_rate=RATE):
        pass
    return time.perf_counter() - start


def trl_sft(given: argparse.Namespace, folder: str) -> float:
    """Plain supervised fine-tuning of the same answers, without any context."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokens, model = tokenizer(), build_model(given)
    _, questions, answers = conversation(given, tokens)
    rows = [
        {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": answer}],
        }
        for question, answer in zip(questions, answers, strict=True)
    ]
    start = time.perf_counter()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**settings(given, folder), gradient_checkpointing=False, bf16=False, max_length=None),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokens,
    )
    trainer.train()
    return time.perf_counter() - start


SIDES = {
    "ours": ours,
    "naive": naive,
    "trl_sft": trl_sft,
    "ours_sampled": lambda given, folder: ours(given, folder, sampled=True),
    "naive_sampled": lambda given, folder: naive(given, folder, sampled=True),
}


def main() -> None:
    """Run one side."""
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        seconds = SIDES[given.side](given, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if given.device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    print(json.dumps({"side": given.side, "seconds": round(seconds, 3), "peak_bytes": peak}))


if __name__ == "__main__":
    main()
