"""What tests against faults share."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ALL_FAULTS = "BAKERY_KILLS" in os.environ
only_with_all_faults = pytest.mark.skipif(
    not ALL_FAULTS, reason="takes minutes; `make test-faults` runs it, or BAKERY_KILLS=1 in the environment"
)


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
