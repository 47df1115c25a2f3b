"""Commands that are run against hostile inputs, each in a process of its own that is measured and bounded.

The processes are forked from one that has imported torch, transformers and peft already, so that a case takes the time
of the case.
"""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOADED = ("torch", "transformers", "transformers.models.llama", "peft", "datasets", "tests.engine_support",
             "bakery.baking", "bakery.evaluate", "bakery.compare", "bakery.export", "bakery.taste.opening",
             "bakery.chat.inspection", "bakery.report.terminal", "bakery.report.comparison.outputs",
             "bakery.rows.bake_data", "jsonschema", "pyarrow.parquet", "tests.faults.support")  # fmt: skip
WALL_SECONDS = 60.0
"""A case that is not done by then is killed; the law is about processor time, which other work does not lengthen."""
SECONDS = 5.0
"""Processor time that a refusal may take, beyond that of loading the model."""
MAX_BYTES = 4 * 2**30
"""Address space that a case may use beyond what its process has; it protects the machine."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended: its exit code (None: it had to be killed), what it said, and what it took."""

    code: int | None
    out: str
    err: str
    seconds: float
    """Of processor time."""
    wall: float
    megabytes: float
    """Of memory at most, beyond what the process began with."""

    @property
    def errors(self) -> list[str]:
        """The lines that say what was wrong."""
        return [line for line in self.err.splitlines() if line.startswith("bakery: error: ")]

    def problem(self, codes: Sequence[int], seconds: float = SECONDS, megabytes: float = 1000) -> str | None:
        """What is wrong with this end; None when it is done, or one line with one of these exit codes, in time."""
        if self.code is None:
            return f"not done in {self.wall:.0f} s"
        if "Traceback" in self.err or self.code in (1, -6, -9, -11) or self.code < 0:
            return f"exit {self.code}: {self.err.strip()[-600:]}"
        if self.code not in codes:
            return f"exit {self.code} is none of {list(codes)}: {self.err[-300:]}"
        if self.code and len(self.errors) != 1:
            return f"{len(self.errors)} lines of error: {self.err[-600:]}"
        if self.errors and len(self.errors[0]) > 600:
            return f"a line of {len(self.errors[0])} characters"
        if self.seconds > seconds:
            return f"took {self.seconds:.1f} s: {self.err[-300:]}"
        return f"took {self.megabytes:.0f} MB" if self.megabytes > megabytes else None


def command(words: Sequence[str]) -> int:
    """The command line, as a case."""
    from bakery.cli import main

    return main(list(words))


def attempt(
    words: Any, folder: Path, case: Callable[[Any], int] = command, environment: Mapping[str, str] | None = None,
    wall: float = WALL_SECONDS,
) -> Outcome:  # fmt: skip
    """Run one case with a folder as its working directory, and nothing on its standard input."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    with tempfile.TemporaryDirectory() as said:
        process = context.Process(target=_run, args=(case, words, str(folder), said, dict(environment or {})))
        start = time.monotonic()
        process.start()
        process.join(wall)
        took = time.monotonic() - start
        if process.exitcode is None:
            process.kill()
            process.join()
            code = None
        else:
            code = process.exitcode
        process.close()
        out, err = ((Path(said) / name).read_text("utf-8", "replace") for name in ("out", "err"))
        measured = Path(said, "measured")
        seconds, megabytes = map(float, measured.read_text().split()) if measured.exists() else (took, 0.0)
    return Outcome(code, out, err, seconds, took, megabytes)


def _run(case: Callable[[Any], int], words: Any, folder: str, said: str, environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(f"{said}/{name}", os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)
    limit = _bytes("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before, began = _bytes("VmRSS"), time.process_time()
    code = 1
    try:
        code = case(words)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = time.process_time() - began + children.ru_utime + children.ru_stime
        Path(said, "measured").write_text(f"{seconds} {(_bytes('VmHWM') - before) / 2**20}")
        os._exit(code)


def _bytes(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


@contextmanager
def hang_is_failure(seconds: int = 60) -> Iterator[None]:
    """Interrupt what is not done in time, such as the opening of a pipe, in the main thread of this process."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
