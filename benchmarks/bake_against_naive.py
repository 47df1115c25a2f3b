"""The table of what a bake costs beside its alternatives: alternating runs, medians, written to benchmarks/results.

    python benchmarks/bake_against_naive.py [--rounds 3] [--trl PYTHON] [--only WORDS]

`--trl` names the Python of an environment that holds TRL beside this package's dependencies; without it those rows are
left out. Every run is a process of its own (`side.py`). In every round all sides take their turn, the slow ones in the
first round only.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SLOW = frozenset({"naive", "naive_sampled", "trl_sdft"})
SAMPLED = ("--rows", "32", "--answer", "64", "--batch", "16", "--epochs", "1")
WIDE = ("--vocabulary", "151936", "--rows", "8", "--prompt", "32", "--answer", "464", "--batch", "8", "--epochs", "1",
        "--prefix", "64")  # fmt: skip


@dataclass(frozen=True)
class Side:
    """What `side.py` is asked for."""

    name: str
    arguments: tuple[str, ...] = ()

    @property
    def often(self) -> bool:
        """Whether it is run in every round."""
        return self.name not in SLOW and self.arguments != WIDE

    def run(self, extra: list[str], trl: str | None) -> dict[str, Any]:
        """One run, in a process of its own."""
        python = trl if trl and self.name.startswith("trl") else sys.executable
        command = [python, "-W", "ignore", str(HERE / "side.py"), self.name, *self.arguments, *extra]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return report


@dataclass(frozen=True)
class Row:
    """One line of the table: the first side's figure over the second's."""

    name: str
    goal: str
    measure: str
    first: Side
    second: Side


TABLE = [
    Row("bake, prefix 2,048 / TRL SFT", "<= 0.75", "seconds", Side("ours"), Side("trl_sft")),
    Row("bake and proof, prefix 2,048 / TRL SFT", "<= 0.75", "seconds", Side("ours_proved"), Side("trl_sft")),
    Row("bake, prefix 8,192 / prefix 256", "<= 1.15", "seconds", Side("ours", ("--prefix", "8192")),
        Side("ours", ("--prefix", "256"))),
    Row("plain loop / bake, prefix 2,048", ">= 8", "seconds", Side("naive"), Side("ours")),
    Row("one-at-a-time sampling and bake / ours", ">= 12", "seconds", Side("naive_sampled", SAMPLED),
        Side("ours_sampled", SAMPLED)),
    Row("TRL SDFT / ours", ">= 12", "seconds", Side("trl_sdft", SAMPLED), Side("ours_sampled", SAMPLED)),
    Row("memory over the model, ours / plain loop", "<= 0.25", "peak", Side("ours", WIDE), Side("naive", WIDE)),
    Row("memory over the model, ours / TRL SFT", "<= 0.5", "peak", Side("ours", WIDE), Side("trl_sft", WIDE)),
]  # fmt: skip


def measure(table: list[Row], dtype: str, rounds: int, trl: str | None) -> dict[Side, list[dict[str, Any]]]:
    """All runs of all sides, in turn."""
    sides = list(dict.fromkeys(side for row in table for side in (row.first, row.second)))
    runs: dict[Side, list[dict[str, Any]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides:
            if number == 0 or side.often:
                runs[side].append(side.run(["--dtype", dtype], trl))
                print(f"  {dtype} {' '.join([side.name, *side.arguments])}: {runs[side][-1]['seconds']} s", flush=True)
    return runs


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trl", help="a Python that can import trl")
    parser.add_argument("--only", default="", help="only the lines of the table whose name holds these words")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    given = parser.parse_args()
    table = [row for row in TABLE if given.only in row.name and (given.trl or "TRL" not in row.name)]
    written: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/bake_against_naive.py", *sys.argv[1:]]),
        "date": str(date.today()),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "lines": [],
    }
    path = HERE / "results" / f"{platform.machine()}-{date.today()}.json"
    for dtype in given.dtypes:
        runs = measure(table, dtype, given.rounds, given.trl)
        for row in table:
            figures = [[run[row.measure] for run in runs[side]] for side in (row.first, row.second)]
            ratio = round(statistics.median(figures[0]) / statistics.median(figures[1]), 3)
            line = {"line": row.name, "dtype": dtype, "goal": row.goal, "ratio": ratio, row.measure: figures}
            written["lines"].append({**line, "stages": runs[row.first][0]["stages"] or runs[row.second][0]["stages"]})
            print(f"{dtype:<9} {row.name:<42} {ratio:8.2f}   goal {row.goal}", flush=True)
        path.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
