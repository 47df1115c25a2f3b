"""The table of what a bake costs beside its alternatives: alternating runs, medians, written to benchmarks/results.

    python benchmarks/bake_against_naive.py [--runs 3] [--trl PYTHON]

`--trl` names the Python of an environment that holds TRL beside this package's dependencies; without it those rows are
left out. Every run is a process of its own (`side.py`).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
# name, goal, (side, its arguments) twice: the figure is the first's median over the second's
SAMPLED = ["--rows", "32", "--answer", "64", "--batch", "16", "--epochs", "1"]
WIDE = ["--vocabulary", "151936", "--rows", "8", "--prompt", "32", "--answer", "480", "--batch", "8", "--epochs", "1",
        "--prefix", "64"]  # fmt: skip
TABLE = [
    ("bake, prefix 2,048 / TRL SFT", "<= 0.75", "seconds", ("ours", []), ("trl_sft", [])),
    ("bake, prefix 8,192 / 256", "<= 1.15", "seconds", ("ours", ["--prefix", "8192"]), ("ours", ["--prefix", "256"])),
    ("plain loop / bake, prefix 2,048", ">= 8", "seconds", ("naive", []), ("ours", [])),
    ("one-at-a-time sampling / ours", ">= 12", "seconds", ("naive_sampled", SAMPLED), ("ours_sampled", SAMPLED)),
    ("peak memory, ours / plain loop", "<= 0.25", "peak_bytes", ("ours", WIDE), ("naive", WIDE)),
    ("peak memory, ours / TRL SFT", "<= 0.5", "peak_bytes", ("ours", WIDE), ("trl_sft", WIDE)),
]


def run(side: str, extra: list[str], python: str) -> dict[str, float]:
    """One run of one side."""
    command = [python, "-W", "ignore", str(HERE / "side.py"), side, *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trl", help="a Python that can import trl")
    given = parser.parse_args()
    results = []
    for dtype in ("float32", "bfloat16"):
        for name, goal, measure, *sides in TABLE:
            if not given.trl and any(side.startswith("trl") for side, _ in sides):
                continue
            figures: list[list[float]] = [[], []]
            for _ in range(given.runs):
                for figure, (side, extra) in zip(figures, sides, strict=True):
                    python = given.trl if side.startswith("trl") else sys.executable
                    figure.append(run(side, [*extra, "--dtype", dtype], python)[measure])
            first, second = (statistics.median(figure) for figure in figures)
            results.append({"measure": name, "dtype": dtype, "goal": goal, "ratio": first / second, "runs": figures})
            print(f"{dtype:<9} {name:<34} {first / second:7.2f}   goal {goal}", flush=True)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{platform.machine()}-{date.today()}.json"
    path.write_text(json.dumps({"schema": 1, "hardware": platform.processor(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
