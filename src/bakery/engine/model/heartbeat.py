"""Several processes of one machine that notice when one of them hangs, and end together with the reason once.

A process that waits for another cannot tell a slow one from one that is stopped for ever, and torch waits half an hour.
So each touches a file of its own every second from a thread, and looks at those of the others on the same machine.
"""

import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bakery.engine.model.process_group import ProcessGroup
from bakery.errors import ResourceError

SILENT_SECONDS = 30.0
"""A process that is silent for so long counts as hung. Loading 6 GB that no cache held, on a busy machine, silenced a
thread for 0.9 s at most: safetensors and torch let other threads run."""
_BEATS = 30
"""While a process is silent for so long it would have beaten so often."""


@dataclass
class Listener:
    """Hears the others of this machine.

    Args:
        silent_seconds: after which a process counts as hung.
        now: the clock, in seconds.
    """

    silent_seconds: float = SILENT_SECONDS
    now: Callable[[], float] = time.monotonic
    _heard: dict[int, tuple[object, float]] = field(default_factory=dict)
    _last: float | None = None

    def hung(self, beats: dict[int, object]) -> list[int]:
        """The ranks that are silent, given what each has left last; to be asked every second or so."""
        now = self.now()
        paused = self._last is not None and now - self._last > self.silent_seconds / 3
        self._last = now
        for rank, beat in beats.items():
            if paused or rank not in self._heard or self._heard[rank][0] != beat:
                self._heard[rank] = beat, now  # this process was paused itself: it cannot have heard anything
        return sorted(rank for rank in beats if now - self._heard[rank][1] > self.silent_seconds)


def meeting_folder(processes: ProcessGroup) -> Path:
    """The folder in which the processes of this run hear each other; every run has its own, and no earlier one had it.

    It is one of this machine's temporary files, so that neither a slow file system nor a full disk silences anybody.
    """
    run = processes.from_first(lambda: uuid.uuid4().hex)
    return Path(tempfile.gettempdir(), f"bakery-{run}")


@contextmanager
def listening(folder: Path, processes: ProcessGroup, silent_seconds: float = SILENT_SECONDS) -> Iterator[None]:
    """Beat, and hear the others, meanwhile. One process alone does neither.

    Where one hangs, it is killed, the first of the others says so, and all end with the exit code for resources.
    """
    if processes.size == 1:
        yield
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own, over = folder / str(processes.rank), threading.Event()
    own.write_text(str(os.getpid()))
    arguments = (folder, processes.rank, over, silent_seconds)
    thread = threading.Thread(target=_beat, args=arguments, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        own.unlink(missing_ok=True)
        with suppress(OSError):  # others are there still
            folder.rmdir()


def _beat(beats: Path, rank: int, over: threading.Event, silent_seconds: float) -> None:
    listener = Listener(silent_seconds)
    while not over.wait(silent_seconds / _BEATS):
        with suppress(OSError):
            os.utime(beats / str(rank))
        ranks = [int(path.name) for path in beats.glob("*") if path.name != str(rank)]
        others = {other: _modified(beats / str(other)) for other in ranks if _is_alive(beats, other)}
        if hung := listener.hung(others):
            _end(beats, rank, hung, sorted({*others, rank}.difference(hung)))


def _modified(path: Path) -> object:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it has just ended
        return None


def _end(beats: Path, rank: int, hung: list[int], alive: list[int]) -> None:
    if rank == alive[0]:
        which = ", ".join(f"{number} (process id {_process_id(beats, number)})" for number in hung)
        sys.stderr.write(
            f"bakery: error: process {which} hangs: nothing was heard of it for long. It was ended, and all "
            "others with it; the same command goes on from the last checkpoint\n"
        )
        sys.stderr.flush()
        for number in hung:
            with suppress(OSError, ValueError):
                os.kill(_process_id(beats, number), signal.SIGKILL)
    os._exit(ResourceError.exit_code)


def _process_id(beats: Path, rank: int) -> int:
    return int((beats / str(rank)).read_text())


def _is_alive(beats: Path, rank: int) -> bool:
    """Whether the process is there; the file of one that was killed may still lie there."""
    try:
        os.kill(_process_id(beats, rank), 0)
    except (OSError, ValueError):
        return False
    return True
