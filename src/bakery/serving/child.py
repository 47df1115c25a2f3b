"""A server as a child process: started in a session of its own, waited for, and ended with all that it started."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from bakery.child_process import child_process, is_group_alive, kill_group
from bakery.errors import ConfigError, ModelError, ResourceError
from bakery.serving.json_http import is_healthy
from bakery.text import excerpt

GRACE_SECONDS = 15.0
"""How long a server that is told to end may take before it is killed."""
_GRACE_OF_OTHERS = 3.0
"""The same for what it started itself, once it has ended."""
_PAUSE_SECONDS = 0.2
_LAST_LINES = 12
_LAST_CHARACTERS = 900
_END_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running(command: Sequence[str], log: Path, grace: float = GRACE_SECONDS) -> Iterator["subprocess.Popen[bytes]"]:
    """A child process for the length of the block; it and its own children have ended when the block has.

    It has a session of its own, so that Ctrl-C in a terminal reaches this process alone, which then ends it. So does
    the signal by which this process is terminated. Where this process is killed, a watchdog ends it.

    Args:
        command: the program and its arguments.
        log: the file that takes what it says.
        grace: seconds that it has to end by itself.

    Raises:
        ConfigError: there is no such program.
        ResourceError: the log cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
    except OSError as error:
        raise ResourceError(f"{log}: cannot be written: {error.strerror}") from error
    with output, _exit_on_signals(), ExitStack() as stack:
        try:
            process = stack.enter_context(child_process(command, stdout=output, stderr=subprocess.STDOUT))
        except OSError as error:
            raise ConfigError(f"{command[0]}: cannot be run: {error.strerror}") from error
        try:
            yield process
        finally:
            _end(process, grace)


def wait_until_healthy(process: "subprocess.Popen[bytes]", url: str, seconds: float, log: Path) -> float:
    """Wait until the server answers, and tell how many seconds that took.

    Raises:
        ModelError: it ended before it was ready; its last lines are told.
        ResourceError: it is not ready in time.
    """
    started = time.monotonic()
    while not is_healthy(url):
        if process.poll() is not None:
            raise ModelError(ended(process, log))
        if time.monotonic() - started > seconds:
            raise ResourceError(
                f"serve: the server was not ready after {seconds:g} s; give it longer with --timeout, or read {log}"
            )
        time.sleep(_PAUSE_SECONDS)
    return time.monotonic() - started


def stay(process: "subprocess.Popen[bytes]", log: Path, tell: Callable[[], None]) -> None:
    """Tell that Ctrl-C ends it, and return then.

    Raises:
        ModelError: the server ended by itself; its last lines are told.
    """
    with suppress(KeyboardInterrupt):
        tell()
        process.wait()
        raise ModelError(ended(process, log))


def ended(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """That a server ended, with its last lines."""
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    said = " | ".join(excerpt(line, 240) for line in lines[-_LAST_LINES:]) or "it said nothing"
    said = said if len(said) <= _LAST_CHARACTERS else "…" + said[-_LAST_CHARACTERS:]
    return f"serve: the server ended with {process.returncode}: {said} (all of it: {log})"


def free_port(host: str, wanted: int | None, usual: int) -> int:
    """The wanted port; without one the usual one, or any that is free.

    Raises:
        ConfigError: the wanted one cannot be used.
    """
    ports = (usual, 0) if wanted is None else (wanted,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports:
        try:
            with socket.create_server((host, port), family=family) as bound:
                return int(bound.getsockname()[1])
        except OSError as error:
            reason = error.strerror or str(error)
    raise ConfigError(f"command line: --port: {ports[-1]} on {host} cannot be used: {reason}; give another one")


def _end(process: "subprocess.Popen[bytes]", grace: float) -> None:
    """End a child and whatever it started, by signals to its group, which has its id; at once when interrupted."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        deadline = time.monotonic() + min(grace, _GRACE_OF_OTHERS)
        while process.poll() is not None and is_group_alive(process.pid) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
    finally:
        kill_group(process)


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Let the signals that end a process end it by an exception, so that what has begun is undone first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, leave) for number in _END_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
