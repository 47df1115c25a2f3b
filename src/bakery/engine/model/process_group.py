"""The processes of one run, and how they share work: each takes every n-th piece, and all get all of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from accelerate.utils import gather_object
from torch import distributed

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among `size` others. All of them must call the same methods in the same order."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "ProcessGroup":
        """The processes of the default process group; this one alone where there is none."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    def share(self, pieces: Sequence[T]) -> Sequence[T]:
        """What this process does of the pieces."""
        return pieces[self.rank :: self.size]

    def gather(self, done: Sequence[T]) -> list[T]:
        """What all processes did, one process after the other; tensors are to be on the CPU."""
        return list(gather_object(list(done))) if self.size > 1 else list(done)

    def from_first(self, ask: Callable[[], T]) -> T:
        """What the first process answers, in all of them; only that one is asked."""
        answers = self.gather([ask()] if self.rank == 0 else [])
        return answers[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Wait for every process and part with them: nothing can be asked of the others any more."""
        if self.size > 1:
            self.wait()
            distributed.destroy_process_group()


SINGLE_PROCESS = ProcessGroup()
