"""What all fuzzing shares: how many cases, hostile values, and the law: done, or an error of ours, in time.

The properties take no fixtures, so that `guided.py` can run them too.
"""

import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bakery.errors import BakeryError
from tests.faults.support import hang_is_failure

CASES = int(os.environ.get("BAKERY_FUZZ_CASES", "40"))
"""Cases of each test; `make test-faults` asks for many, `make test` for a sample."""
SECONDS = 5.0
"""Of processor time that a case may take."""

fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(
        [10**400, -(10**400), 2**63, 2**64, 1e308, 5e-324, float("nan"), float("inf"), -float("inf"), 0, -1]
    ),
)
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "",
            " ",
            "x" * 5000,
            "\x00",
            "\ud800",
            "../..",
            "/dev/zero",
            "~",
            "null",
            "[",
            "{",
            "(a+)+$",
            r"(\w|\w\w)*$",
            "9" * 400,
            "1e999",
            "nan",
            ".inf",
            "2026-11-28",
            "0x1F",
            "1_000",
            "!!python/object:os.system",
            "&a [*a]",
            "{{ 9**9**9 }}",
            "<|im_end|>",
            "\u202e",
            "http://user:secret@127.0.0.1:9/",
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
"""Any value that JSON or YAML can hold, and some that they cannot."""


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bakery-fuzzing-")


def scratch() -> Path:
    """A folder for the files of the cases, which goes with this process."""
    return Path(_scratch().name)


def refusal_or_done(action: Callable[[], Any]) -> str | None:
    """The line by which an action refuses its input, or None where it is done; any other error passes on.

    Raises:
        AssertionError: it took too long, or does not say why.
    """
    start, said = time.process_time(), None
    with hang_is_failure():
        try:
            action()
        except BakeryError as error:
            said = " ".join(str(error).split())
            assert said, "a refusal says why"
    assert time.process_time() - start < SECONDS
    return said
