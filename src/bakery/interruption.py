"""Stopping on Ctrl-C, SIGTERM or SIGHUP: during training after the step, with a checkpoint; at any other time at once.

    with stop_on_signals() as interruption:
        bake(settings, interruption=interruption)

A second signal ends the process at once.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop. `exit_code`: 130 after Ctrl-C, 143 after SIGTERM; `saved`: a checkpoint."""

    def __init__(self, number: int, saved: str = "") -> None:
        super().__init__(saved)
        self.exit_code = 128 + number
        self.saved = saved


class Interruption:
    """Whether a run was asked to stop.

    Args:
        asked: the number of the signal, 0 where there was none.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note a signal meanwhile: who defers looks at `asked` and stops where it can be gone on from.

        Raises:
            Interrupted: at the end, where nobody has looked.
        """
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.asked:
            raise Interrupted(self.asked)

    def ask(self, number: int) -> None:
        """Ask the run to stop.

        Raises:
            Interrupted: it can stop at once.
        """
        if self.asked:
            sys.stderr.write("bakery: stopped at once\n")
            sys.stderr.flush()
            os._exit(128 + number)
        self.asked = number
        if not self._deferred:
            raise Interrupted(number)
        sys.stderr.write("\nbakery: stopping after this step, with a checkpoint; once more stops at once\n")
        sys.stderr.flush()


@contextmanager
def stop_on_signals() -> Iterator[Interruption]:
    """Turn the signals into an `Interruption` meanwhile; to be called in the main thread."""
    interruption = Interruption()

    def ask(number: int, frame: FrameType | None) -> None:
        interruption.ask(number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before: dict[Any, Any] = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
