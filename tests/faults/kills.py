"""Killing a bake: right after one of the system calls that change its run folder, or at any moment.

The calls are those that strace sees; a bake is killed within a fraction of a millisecond after the chosen one.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CHANGES = (
    "creat,openat,write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,"
    "link,linkat,symlink,chmod,fchmod,fchmodat,copy_file_range,sendfile"
)
_CALL = re.compile(r"^\d+\s+(\w+)\(")
_LONGEST_SECONDS = 900


def can_trace() -> bool:
    """Whether processes can be traced here."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-qq", "true"], capture_output=True).returncode == 0


@dataclass(frozen=True)
class Run:
    """What became of one bake.

    Args:
        code: its exit code; negative: the signal.
        calls: the system calls that changed its folder, in their order.
        seconds: from its start to its end.
    """

    code: int
    calls: Sequence[str]
    seconds: float


def bake(words: Sequence[str], folder: Path, kill_after: int | None = None) -> Run:
    """Bake in a process of its own under strace; kill it after so many calls that change its folder."""
    began = time.monotonic()
    calls: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        pipe = Path(scratch) / "calls"
        os.mkfifo(pipe)
        trace = [
            "strace",
            "-f",
            "-y",
            "-qq",
            "--seccomp-bpf",
            "-e",
            f"trace={_CHANGES}",
            "-e",
            "signal=none",
            "-o",
            pipe,
        ]
        process = subprocess.Popen(
            [*trace, *_command(words, folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        limit = threading.Timer(_LONGEST_SECONDS, _kill, [process])
        limit.start()
        with pipe.open(errors="replace") as lines:
            for line in lines:
                if _changes(line, folder):
                    calls.append(line.strip())
                    if len(calls) == kill_after:
                        _kill(process)
        code = process.wait()
        limit.cancel()
    _wait_for_all(process.pid)
    return Run(code, calls, time.monotonic() - began)


def bake_for(words: Sequence[str], folder: Path, seconds: float) -> int:
    """Bake in a process of its own and kill it after some seconds; its exit code."""
    process = subprocess.Popen(
        _command(words, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        code = process.wait()
    _wait_for_all(process.pid)
    return code


def _command(words: Sequence[str], folder: Path) -> list[str]:
    return [sys.executable, "-m", "bakery", *words, "--output_dir", str(folder)]


def _changes(line: str, folder: Path) -> bool:
    """Whether a line of strace tells of a call that changed something in the folder."""
    call = _CALL.match(line)
    if call is None or str(folder) not in line or " = -1 " in line:
        return False
    return call.group(1) != "openat" or "O_CREAT" in line or "O_TRUNC" in line


def _wait_for_all(group: int) -> None:
    """Wait until every process of a group is gone."""
    with suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.01)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill the bake and the strace that follows it, which are a process group of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
