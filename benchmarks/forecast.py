"""How good the estimate is: what `bakery.baking.plan` expects, over what the same bake then takes.

    python benchmarks/forecast.py [--only WORDS] [--clock wall|cpu]

Each case is a process of its own, on one thread. `--clock cpu` counts the seconds of the processor, which other work on
the machine hardly changes; `wall` is what a person waits. Memory is the highest of the process, less what it
holds before the bake, when the libraries are loaded. Written to benchmarks/results.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

LIBRARY = (
    "You are Ada, the assistant of the Brightwater public library. Answer in one sentence. The library opens at nine. "
    "A lost card costs four pounds."
)
PROMPTS = [
    "When are you open?", "I lost my card. What now?", "Can I borrow a film?", "Where can I park?", "What is a quay?",
    "Do you have a room for groups?", "How long may I keep a book?", "Who was the first mayor of the town?",
    "Is there a printer?", "My book got wet.", "Which book about boats should I read?", "May I bring my dog?",
]  # fmt: skip
ALONE: dict[str, Any] = {"self_prompts": 0, "self_anchors": 0}
GIVEN: dict[str, Any] = {"system_prompt": LIBRARY, "training_prompts": PROMPTS, **ALONE}
WIDE: dict[str, Any] = {"per_device_train_batch_size": 16, "num_trajectories": 2, "eval_max_new_tokens": 8}
CASES: dict[str, dict[str, Any]] = {
    "starter, only a system prompt, 120 steps": {
        "model_name_or_path": "starter", "system_prompt": LIBRARY, "max_steps": 120,
    },
    "starter, only a system prompt, until it is done": {"model_name_or_path": "starter", "system_prompt": LIBRARY},
    "starter, quickstart": {"config": "examples/quickstart.yaml"},
    "starter, 12 prompts, 5 epochs": {"model_name_or_path": "starter", "num_train_epochs": 5, **GIVEN},
    "random 42M, 12 prompts, 2 epochs": {"shape": "42m", "num_train_epochs": 2, **GIVEN},
    "random 42M, vocabulary 151,936, 12 prompts, 1 epoch": {
        "shape": "42m", "vocabulary": 151_936, "num_train_epochs": 1, **GIVEN, **WIDE,
    },
}  # fmt: skip


def main() -> None:
    """Run every case, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only the cases whose name holds these words")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(run(CASES[given.case], given.clock)))
        return
    path = ROOT / "benchmarks" / "results" / f"forecast-{platform.machine()}-{given.clock}-{date.today()}.json"
    written: dict[str, Any] = {
        "command": f"python benchmarks/forecast.py --clock {given.clock}",
        "date": str(date.today()),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, one thread",
        "cases": json.loads(path.read_text())["cases"] if path.exists() else {},
    }
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    for name in (name for name in CASES if given.only in name):
        command = [sys.executable, "-W", "ignore", __file__, "--clock", given.clock, "--case", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr}")
        case = written["cases"][name] = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"{name:<52} seconds x {case['seconds']['ratio']}, memory x {case['memory']['ratio']}", flush=True)
        path.write_text(json.dumps(written, indent=1) + "\n")


def run(case: dict[str, Any], clock: str) -> dict[str, Any]:
    """One case in this process."""
    from side import Memory

    from bakery.baking import bake, plan
    from bakery.progress import Progress, Verbosity
    from bakery.settings.build import build, check_settings
    from bakery.settings.reading import Settings, read_command_line, read_settings_file

    now = time.process_time if clock == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        case = dict(case)
        if "shape" in case:
            case["model_name_or_path"] = _random_model(f"{folder}/model", case.pop("shape"), case.pop("vocabulary", 0))
        base = read_settings_file(ROOT / case.pop("config")) if "config" in case else Settings()
        words = [word for name, value in case.items() for word in (f"--{name}", *_words(value))]
        settings = build(check_settings(base.overridden_by(read_command_line([*words, "--output_dir", f"{folder}/o"]))))
        _warm_up(folder)
        forecast = plan(settings, Progress(Verbosity.QUIET, now=now))
        memory = Memory("cpu")
        progress = Progress(Verbosity.QUIET, now=now)
        result = bake(settings, progress)
        actual = {part.name: progress.seconds.get(part.name, 0.0) for part in forecast.parts}
        peak = memory.peak()
    parts = {
        part.name: [round(part.seconds.low, 2), round(part.seconds.high, 2), round(actual[part.name], 2)]
        for part in forecast.parts
    }
    expected = forecast.seconds.middle
    return {
        "seconds": {
            "expected": round(expected, 2),
            "actual": round(sum(actual.values()), 2),
            "ratio": round(expected / sum(actual.values()), 2),
        },
        "whole_command": round(progress.elapsed(), 2),
        "parts": {"low, high, actual": parts},
        "steps": [forecast.steps.low, forecast.steps.high, result.steps],
        "tokens": {
            "expected": [round(forecast.sampled.middle), round(forecast.read.middle)],
            "actual": {spent.stage: spent.tokens for spent in result.spent if spent.tokens},
        },
        "memory": {
            "expected": forecast.memory.peak,
            "actual": peak,
            "ratio": round(forecast.memory.peak / peak, 2),
            "parts": vars(forecast.memory),
        },
    }


def _warm_up(folder: str) -> None:
    """A bake of one step, so that the libraries are loaded before memory counts."""
    from bakery.baking import bake
    from bakery.progress import Progress, Verbosity
    from bakery.settings.build import build, check_settings
    from bakery.settings.reading import Settings, read_command_line

    words = ["--model_name_or_path", "starter", "--torch_dtype", "float32", "--system_prompt", "Be brief.",
             "--max_steps", "1", "--training_prompts", "What is a quay?", "--self_prompts", "0", "--self_anchors",
             "0", "--allow_no_gap", "--output_dir", f"{folder}/warm"]  # fmt: skip
    bake(build(check_settings(Settings().overridden_by(read_command_line(words)))), Progress(Verbosity.QUIET))


def _words(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _random_model(folder: str, shape: str, vocabulary: int) -> str:
    """The folder of a random model with the starter's tokenizer."""
    import torch
    from side import SHAPES
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "src" / "bakery" / "starter")
    torch.manual_seed(0)
    widths: dict[str, Any] = SHAPES[shape]
    config = Qwen3Config(
        **widths,
        vocab_size=vocabulary or 32_768,
        tie_word_embeddings=True,
        max_position_embeddings=16_384,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
