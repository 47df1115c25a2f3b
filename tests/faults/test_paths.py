"""Whatever is named as a file or folder: it is done, or one line says why not, at once."""

import os
import resource
import time

import pytest

from bakery.cli import main
from tests.faults import paths
from tests.faults.support import hang_is_failure

LIMIT_SECONDS, LIMIT_KILOBYTES = 5, 500_000


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    paths.fill(folder)
    return folder


@pytest.mark.parametrize("option", paths.OPTIONS)
def test_any_name_is_done_or_one_line(option, things, baked, monkeypatch, capfd):
    monkeypatch.chdir(things)
    monkeypatch.setattr("bakery.chat.inspection.run_inspect", lambda *_, **__: None)
    assert main(["--config", "good.yaml"]) == 0  # what is imported then is not counted
    capfd.readouterr()
    problems, before = [], set(os.listdir(things))
    for name in paths.NAMES:
        began, grown = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with hang_is_failure():
            code = main(paths.words(option, name))
        seconds = time.process_time() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
        said = capfd.readouterr().err
        lines = [line for line in said.splitlines() if line.startswith("bakery: error: ")]
        refused = code in (2, 3, 4, 5) and len(lines) == 1 and len(lines[0]) < 600
        if not (refused or code == 0) or seconds > LIMIT_SECONDS or grown > LIMIT_KILOBYTES:
            problems.append((name[:40], code, seconds, grown, said[-300:]))
    assert not problems
    assert set(os.listdir(things)) == before, "a refusal leaves nothing behind"
