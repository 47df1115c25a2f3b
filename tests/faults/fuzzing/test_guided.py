"""Every property of this folder again, with inputs that atheris finds by the code that they reach."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.faults.fuzzing import test_adapters, test_rows, test_settings, test_templates
from tests.faults.support import only_with_all_faults

CASES = os.environ.get("BAKERY_FUZZ_CASES", "40")
PROPERTIES = [
    (module.__name__, name)
    for module in (test_adapters, test_rows, test_settings, test_templates)
    for name, test in vars(module).items()
    if hasattr(test, "hypothesis")
]


def guided(folder, module, name, cases=CASES):
    command = [sys.executable, "-m", "tests.faults.fuzzing.guided", module, name, cases, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace")


@only_with_all_faults
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: make test-faults installs it")
@pytest.mark.parametrize(("module", "name"), PROPERTIES)
def test_guided_inputs_keep_the_property(module, name, tmp_path):
    run = guided(tmp_path, module, name)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]
    assert f"{CASES} cases" in run.stdout


def test_there_are_properties():
    assert len(PROPERTIES) == 8
