"""Counts what the tests of templates found and prints it in the summary."""

from collections import Counter

import pytest

COUNTS = pytest.StashKey[dict[str, Counter[str]]]()


@pytest.fixture(scope="session")
def counts(request: pytest.FixtureRequest) -> dict[str, Counter[str]]:
    """Counters by label, for the summary."""
    return request.config.stash.setdefault(COUNTS, {})


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(COUNTS, {})
    if not found:
        return
    terminalreporter.section("templates x shapes")
    for label, counter in sorted(found.items()):
        figures = "  ".join(f"{name} {number:,}" for name, number in counter.items())
        terminalreporter.write_line(f"{label:<52} {figures}")
