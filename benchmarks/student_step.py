"""How much of the machine's own matmul rate a student step reaches: work counted on paper / time / that rate.

    python benchmarks/student_step.py [--profile FILE]

A step is one optimiser step of the trainer: the student's forward and backward pass over a packed batch, the fused
loss against the stored teacher, the update. On paper, for T tokens, N targets, P weights of the linear layers below
the head, R weights of their LoRA, the head's H x V, and rows of lengths L in layers of h heads of width d:

    2 P T + 2 P T        forward, and the gradient with respect to inputs (the weights are frozen); the first layer's
                         projections of its input need none, which is not taken off: 1 % here
    2 R T + 4 R T        the adapter forward and backward
    4 N H V              the student's logits and its mean embedding, which is the gradient; the teacher's is stored
    (2 + 4) h d sum L^2  per layer: causal attention (half of all pairs), forward and backward
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import side
import torch
from transformers import TrainerCallback

from bakery import BakeryConfig, ContextBakingTrainer, ContextConfig, create_dataset

_WARM_UP = 4


def matmul_rate(dtype: torch.dtype, device: str, size: int = 4096) -> float:
    """FLOP/s of one square matmul, the best of several."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        start = _now(device)
        a @ b
        best = min(best, _now(device) - start)
    return 2 * size**3 / best


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Steps(TrainerCallback):  # type: ignore[misc]
    """Times every optimiser step, and records one if asked to."""

    def __init__(self, device: str, profile: bool) -> None:
        self.device, self.seconds, self._start = device, list[float](), 0.0
        self.profiler = torch.profiler.profile() if profile else None

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Start the clock."""
        if self.profiler and state.global_step == _WARM_UP:
            self.profiler.__enter__()
        self._start = _now(self.device)

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Stop it."""
        self.seconds.append(_now(self.device) - self._start)
        if self.profiler and state.global_step == _WARM_UP + 1:
            self.profiler.__exit__(None, None, None)


def work_on_paper(model: Any, given: argparse.Namespace, tokens: int, targets: int, lengths: list[int]) -> float:
    """FLOPs of one step; see above."""
    config = model.get_base_model().config
    linear = sum(p.numel() for n, p in model.named_parameters() if p.dim() == 2 and ".base_layer." in n)
    adapter = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)
    attention = 6 * config.num_attention_heads * config.head_dim * config.num_hidden_layers
    head = 4.0 * targets * config.hidden_size * given.vocabulary
    return 4.0 * linear * tokens + 6.0 * adapter * tokens + head + attention * sum(length**2 for length in lengths)


def main() -> None:
    """Measure, print, write."""
    parser = side.parser()
    parser.description = __doc__
    parser.add_argument("--profile", help="write what a step is made of to this file")
    given = parser.parse_args()
    dtype = getattr(torch, given.dtype)
    with tempfile.TemporaryDirectory() as folder:
        work = side.Work.build(given, folder)
        steps = Steps(given.device, bool(given.profile))
        trainer = ContextBakingTrainer(
            model=work.model,
            args=BakeryConfig(**work.settings()),
            context_config=ContextConfig(prefix_messages=work.prefix),
            train_dataset=create_dataset(work.questions, work.answers),
            processing_class=work.tokenizer,
            callbacks=[steps],
        )
        before = matmul_rate(dtype, given.device)
        trainer.train()
        rate = max(before, matmul_rate(dtype, given.device))
    rows = trainer.train_dataset
    lengths = [len(row["input_ids"]) for row in rows]
    share = given.batch / len(rows)  # all rows are of about the same length: the mean batch
    total = work_on_paper(work.model, given, sum(lengths), sum(len(row["targets"]) for row in rows), lengths)
    seconds = statistics.median(steps.seconds[_WARM_UP:])
    figures = {
        "gigaflop_a_step": round(total * share / 1e9, 2),
        "seconds_a_step": round(seconds, 4),
        "student_tokens_a_second": round(sum(lengths) * share / seconds),
        "matmul_gigaflop_a_second": round(rate / 1e9, 1),
        "share_of_matmul_rate": round(total * share / seconds / rate, 3),
    }
    print(json.dumps(figures))
    if steps.profiler:
        order = "self_cuda_time_total" if given.device == "cuda" else "self_cpu_time_total"
        Path(given.profile).write_text(steps.profiler.key_averages().table(sort_by=order, row_limit=30))
    name = f"student-step-{platform.machine()}-{given.device}-{given.dtype}-{date.today()}.json"
    about = {"command": f"benchmarks/student_step.py {vars(given)}", "threads": torch.get_num_threads()}
    (Path(__file__).parent / "results" / name).write_text(json.dumps({**about, **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
