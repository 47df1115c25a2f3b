"""One tiny finished run for all tests of exports that change nothing in it."""

from pathlib import Path

import pytest

from tests.exporting.support import make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, saved_base: str) -> Path:
    """A plain low-rank adapter."""
    return make_run(tmp_path_factory.mktemp("run") / "plain", saved_base)
