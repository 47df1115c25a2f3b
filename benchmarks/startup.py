"""Processor seconds of the commands that answer without a model: the best of five runs, each a new process.

python benchmarks/startup.py            # wanted: less than 0.3 s each
"""

import argparse
import resource
import subprocess
import sys

COMMANDS = (["--help"], ["--version"], ["schema"], ["--config", "nowhere.yaml"])


def processor_seconds(words: list[str]) -> float:
    """User and system time of one `python -m bakery`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "bakery", *words], capture_output=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    for words in COMMANDS:
        best = min(processor_seconds(words) for _ in range(runs))
        print(f"bakery {' '.join(words):<24} {best:.2f} s", flush=True)


if __name__ == "__main__":
    main()
