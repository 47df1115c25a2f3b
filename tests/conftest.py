"""Every test runs offline and on one thread a process; what the tests of templates counted is told at the end."""

import os
from collections import Counter

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

COUNTS = pytest.StashKey[dict[str, Counter[str]]]()


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> dict[str, Counter[str]]:
    """Counters by label, for the summary."""
    return request.config.stash.setdefault(COUNTS, {})


def pytest_sessionfinish(session):
    """A worker of xdist hands its counters to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        found = session.config.stash.get(COUNTS, {})
        session.config.workeroutput["counts"] = {label: dict(counter) for label, counter in found.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add up what a worker counted."""
    held = node.config.stash.setdefault(COUNTS, {})
    for label, counter in getattr(node, "workeroutput", {}).get("counts", {}).items():
        held.setdefault(label, Counter()).update(counter)


def pytest_terminal_summary(terminalreporter, config):
    """Templates times shapes: exact, refused, wrong; and rows a second."""
    found = config.stash.get(COUNTS, {})
    if not found:
        return
    terminalreporter.section("templates x shapes")
    for label, counter in sorted(found.items()):
        figures = "  ".join(f"{name} {number:,}" for name, number in counter.items())
        terminalreporter.write_line(f"{label:<52} {figures}")
