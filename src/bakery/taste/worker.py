"""The one thread that uses the model. Several conversations take turns there, an event each; one that is left stops."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from bakery.errors import BakeryError
from bakery.taste.conversation import Event
from bakery.text import excerpt


@dataclass(frozen=True)
class Failed:
    """Why there are no more answers."""

    reason: str


Deliver = Callable[[Event | Failed | None], None]
"""Takes the events of a job in their order, in the worker's thread; None after the last."""
GONE = Failed("the model is no longer there; start bakery taste again")
BUSY = Failed("a bake has begun; ask again when it is done")


@dataclass(eq=False)
class Job:
    """Answers that are being written; of a job that runs alone all others end."""

    events: Generator[Event, None, None]
    deliver: Deliver
    alone: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Write no more; the worker sees to it at this job's next turn."""
        self.stopped.set()


class Worker:
    """Runs jobs in a thread of its own, in turns."""

    def __init__(self) -> None:
        self._new: SimpleQueue[Job | None] = SimpleQueue()
        self._jobs: deque[Job] = deque()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> int:
        """How many jobs are running or waiting."""
        return len(self._jobs) + self._new.qsize()

    @property
    def alive(self) -> bool:
        """Whether anything is still done."""
        return self._thread.is_alive()

    def submit(self, events: Generator[Event, None, None], deliver: Deliver) -> Job:
        """Write these answers as soon as it is their turn."""
        return self._submit(Job(events, deliver))

    def submit_alone(self, work: Callable[[], None]) -> Job:
        """End all answers that are being written, and do this; what is submitted later waits for its end."""

        def only() -> Generator[Event, None, None]:
            work()
            yield from ()

        return self._submit(Job(only(), lambda event: None, alone=True))

    def _submit(self, job: Job) -> Job:
        if self.alive:
            self._new.put(job)
        else:
            job.deliver(GONE)
            job.deliver(None)
        return job

    def close(self) -> None:
        """Stop all jobs and the thread, and wait for it."""
        self._new.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_new():
                if self._turn(self._jobs[0]):
                    self._jobs.rotate(-1)
                else:
                    self._jobs.popleft()
        finally:
            self._end_all(GONE)

    def _end_all(self, reason: Failed) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            job.events.close()
            job.deliver(reason)
            job.deliver(None)

    def _take_new(self) -> bool:
        """Wait for a job where there is none; False at the end."""
        while True:
            if self._jobs and self._jobs[0].alone:
                return True
            try:
                job = self._new.get(block=not self._jobs)
            except Empty:
                return True
            if job is None:
                return False
            if job.alone:
                self._end_all(BUSY)
            self._jobs.append(job)

    def _turn(self, job: Job) -> bool:
        """One event of a job; whether it goes on."""
        if job.stopped.is_set():
            job.events.close()
            job.deliver(None)
            return False
        try:
            job.deliver(next(job.events))
            return True
        except StopIteration:
            job.deliver(None)
        except (BakeryError, RuntimeError, MemoryError) as error:  # what torch raises without memory is the second
            job.deliver(Failed(excerpt(str(error) or type(error).__name__, 400)))
            job.deliver(None)
        return False
