"""The table on one NVIDIA GPU: a model of Qwen3-0.6B's shape with random weights, bfloat16, one command of 8 minutes.

    python benchmarks/gpu.py [--seconds 450] [--output FOLDER]

Needs nothing from the network, and beside this repository only these packages: torch with CUDA, transformers, peft,
accelerate, datasets, safetensors, numpy, jinja2, regex, rich, PyYAML; trl for its lines, which are left out without it.
Every run is a process of its own; what does not fit into the time is left out and named. `student-step.txt` holds the
profile of one step: what limits it.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from bake_against_naive import HERE, Row, Side

SHAPE = ("--shape", "qwen3-0.6b", "--vocabulary", "151936", "--dtype", "bfloat16", "--device", "cuda")
MANY = (*SHAPE, "--rows", "256", "--batch", "32")
FEW = (*SHAPE, "--rows", "64", "--batch", "32", "--epochs", "1")
SAMPLED = (*SHAPE, "--rows", "32", "--answer", "64", "--batch", "16", "--epochs", "1")
MANY_SAMPLED = (*SHAPE, "--rows", "256", "--answer", "128", "--batch", "32", "--epochs", "1")
WIDE = (*SHAPE, "--rows", "8", "--answer", "464", "--batch", "8", "--epochs", "1", "--prefix", "64")
BAKE = Side("ours", MANY)
TABLE = [
    Row("bake, prefix 2,048 / TRL SFT", "<= 0.75", "seconds", BAKE, Side("trl_sft", MANY)),
    Row("bake, prefix 8,192 / prefix 256", "<= 1.15", "seconds", Side("ours", (*MANY, "--prefix", "8192")),
        Side("ours", (*MANY, "--prefix", "256"))),
    Row("plain loop / bake, prefix 2,048", ">= 8", "seconds", Side("naive", FEW), Side("ours", FEW)),
    Row("TRL SDFT / ours", ">= 12", "seconds", Side("trl_sdft", SAMPLED), Side("ours_sampled", SAMPLED)),
    Row("one-at-a-time sampling and bake / ours", ">= 12", "seconds", Side("naive_sampled", SAMPLED),
        Side("ours_sampled", SAMPLED)),
    Row("memory over the model, ours / TRL SFT", "<= 0.5", "peak", Side("ours", WIDE), Side("trl_sft", WIDE)),
    Row("memory over the model, ours / plain loop", "<= 0.25", "peak", Side("ours", WIDE), Side("naive", WIDE)),
]  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=450, help="no run is started after so many")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks/gpu.py: there is no CUDA device; on the CPU run benchmarks/bake_against_naive.py")
    given.output.mkdir(parents=True, exist_ok=True)
    start, runs, left_out = time.monotonic(), dict[Side, dict[str, Any]](), list[str]()

    def run(side: Side) -> dict[str, Any]:
        if side not in runs:
            runs[side] = side.run([], None)
            print(f"  {' '.join([side.name, *side.arguments[len(SHAPE) :]])}: {runs[side]}", flush=True)
        return runs[side]

    lines: list[dict[str, Any]] = []
    step = [sys.executable, "-W", "ignore", str(HERE / "student_step.py"), *MANY]
    step += ["--profile", str(given.output / "student-step.txt")]
    measured = subprocess.run(step, capture_output=True, text=True, check=False)
    lines.append({"line": "student step", **_last_line(measured)})
    sampled = run(Side("ours_sampled", MANY_SAMPLED))["stages"]["sampling"]
    lines.append({"line": "sampling", "tokens_a_second": round(sampled[1] / max(sampled[0], 1e-9))})
    for row in TABLE:
        late = time.monotonic() - start > given.seconds
        if late or ("TRL" in row.name and not importlib.util.find_spec("trl")):
            left_out.append(f"{row.name} ({'no time' if late else 'no trl'})")
            continue
        first, second = run(row.first), run(row.second)
        ratio = round(first[row.measure] / second[row.measure], 3)
        lines.append({"line": row.name, "goal": row.goal, "ratio": ratio, "first": first, "second": second})
        print(f"{row.name:<42} {ratio:8.2f}   goal {row.goal}", flush=True)
    if BAKE in runs:
        spent = runs[BAKE]["stages"]["training"]
        lines.append({"line": "training", "target_tokens_a_second": round(spent[1] / spent[0])})
    name = torch.cuda.get_device_name()
    written = {
        "command": "python benchmarks/gpu.py",
        "date": str(date.today()),
        "device": f"{name}, torch {torch.__version__}",
        "seconds": round(time.monotonic() - start),
        "left_out": left_out,
        "lines": lines,
    }
    path = given.output / f"{name.replace(' ', '-').lower()}-{date.today()}.json"
    path.write_text(json.dumps(written, indent=1) + "\n")
    print(json.dumps(lines[0]), *(f"left out: {line}" for line in left_out), f"written to {path}", sep="\n")


def _last_line(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return report


if __name__ == "__main__":
    main()
