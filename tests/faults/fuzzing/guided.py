"""Runs one property under atheris, which changes its inputs by the code of Bakery that they reach.

python -m tests.faults.fuzzing.guided MODULE PROPERTY CASES FOLDER: the folder is for inputs, and for one that fails.
"""

import importlib
import os
import random
import sys
from pathlib import Path

import atheris

_BYTES = 2048
"""Of an input: shorter ones are often too short for a case."""
_INPUTS = 32


def main(module: str, name: str, cases: int, folder: Path) -> None:
    """Run the property on so many cases; one that fails ends this process with its traceback and another exit code."""
    chance = random.Random(0)
    for number in range(_INPUTS):
        (folder / str(number)).write_bytes(chance.randbytes(_BYTES))
    with atheris.instrument_imports(include=["bakery"]):
        run = getattr(importlib.import_module(module), name).hypothesis.fuzz_one_input
    done = 0

    def try_one(data: bytes) -> None:
        nonlocal done
        done += run(data) is not None  # None: these bytes make no case
        if done == cases:
            print(f"{done} cases", flush=True)
            os._exit(0)

    options = [
        "-seed=1",
        "-len_control=0",
        f"-max_len={2 * _BYTES}",
        "-rss_limit_mb=8192",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup([name, *options, str(folder)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
