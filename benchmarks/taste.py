"""How fast `bakery taste` (extra `taste`) answers: start-up, first token, tokens a second of three columns, memory.

python benchmarks/taste.py outputs/x            # wanted on the starter: a first token within 0.15 s on two cores

The command is started as a user starts it, and asked over HTTP as the page asks it; once more without a run, with the
settings of its bake, where the base and the prompted model answer.
"""

import argparse
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RESULTS = Path(__file__).parent / "results"


def ask(address: str, columns: list[str], question: str, **settings: Any) -> dict[str, float]:
    """Seconds until every column has its first token, and the tokens after these with their seconds."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=600)
    messages = {column: [{"role": "user", "content": question}] for column in columns}
    started = time.perf_counter()
    body = json.dumps({"messages": messages, **settings})
    connection.request("POST", "/answers", body, {"content-type": "application/json"})
    response = connection.getresponse()
    first: dict[str, float] = {}
    tokens = 0
    for line in response:
        if line.startswith(b"data:"):
            event = json.loads(line.removeprefix(b"data:"))
            if "likeliest" in event:
                tokens += 1
                first.setdefault(event["column"], time.perf_counter() - started)
    ended = time.perf_counter()
    connection.close()
    last_first = max(first.values())
    return {"first_token_seconds": last_first, "tokens": tokens - len(first), "seconds": ended - started - last_first}


def rate(answers: list[dict[str, float]]) -> float:
    """Tokens a second of all columns together, after their first ones."""
    return sum(one["tokens"] for one in answers) / sum(one["seconds"] for one in answers)


def memory(process: int) -> int:
    """The most bytes that a process has held."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    assert peak is not None
    return 1024 * int(peak[1])


def measure(words: list[str], questions: int) -> dict[str, Any]:
    """All figures of `bakery taste` with these words."""
    started = time.perf_counter()
    command = [sys.executable, "-W", "ignore", "-m", "bakery", "taste", *words, "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            startup = time.perf_counter() - started
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
            connection.request("GET", "/run")
            about = json.load(connection.getresponse())
            connection.close()
            asked, columns = about["questions"], [column["key"] for column in about["columns"]]
            cold = ask(address, columns, asked[0])
            warm = [ask(address, columns, asked[number % len(asked)]) for number in range(questions)]
            drawn = [ask(address, columns, "Tell me a long story.", temperature=2.0, seed=seed) for seed in range(12)]
            peak = memory(process.pid)
        finally:
            process.terminate()
    return {
        "startup_seconds": startup,
        "first_token_seconds_cold": cold["first_token_seconds"],
        "first_token_seconds": statistics.median(one["first_token_seconds"] for one in warm),
        "first_token_seconds_slowest": max(one["first_token_seconds"] for one in warm),
        "tokens_per_second": rate(warm),
        "tokens_per_second_drawn": rate(drawn),
        "peak_bytes": peak,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the folder of a bake")
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--output", type=Path, default=RESULTS / f"taste-{platform.machine()}-{date.today()}.json")
    given = parser.parse_args()
    figures = measure([given.run], given.questions)
    before = measure(["--config", str(Path(given.run) / "bakery.yaml")], given.questions)
    report = {
        "command": "python benchmarks/taste.py RUN",
        "run": Path(given.run).name,
        "date": str(date.today()),
        "machine": platform.machine(),
        "questions": given.questions,
        "load_average": os.getloadavg()[0],
        **figures,
        **{f"without_run_{name}": value for name, value in before.items()},
    }
    for name, value in report.items():
        print(f"{name:<42} {value:.3f}" if isinstance(value, float) else f"{name:<42} {value}")
    given.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
