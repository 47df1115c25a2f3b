"""Files of models and adapters of strangers, asked by `bakery eval`: done, or one line; in time, and no code is run.

BAKERY_KILLS set: all of them (`make test-faults`); without it every thirtieth.
"""

import os
import resource
import shutil
import sys
import time

import pytest
import yaml

from bakery.cli import main
from tests.faults import foreign
from tests.faults.support import ALL_FAULTS, hang_is_failure

LIMIT_SECONDS, LIMIT_KILOBYTES = 5, 1_000_000
EVERY = 1 if ALL_FAULTS else 30


@pytest.fixture
def folders(saved_base, saved_bake, tmp_path, monkeypatch):
    """A model, an adapter that was baked on it, and a module that nobody may import."""
    model = shutil.copytree(saved_base, tmp_path / "model")
    run = shutil.copytree(saved_bake, tmp_path / "run")
    settings = yaml.safe_load((run / "bakery.yaml").read_text())
    (run / "bakery.yaml").write_text(yaml.safe_dump({**settings, "model_name_or_path": str(model)}))
    foreign.attack(run, "adapter_config.json", "value", ("base_model_name_or_path", str(model)))
    (tmp_path / "planted.py").write_text("open('canary', 'w').close()\nclass X: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "planted", raising=False)
    return model, run


def check(run, capfd):
    """The law: done or one line with the exit code of its kind, within 5 s and 1 GB, and no code of a file is run."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capfd.readouterr()
    began = time.process_time()
    with hang_is_failure():
        code = main(["eval", "--adapter", str(run), "--proof", "quick", "--output_dir", "out"])
    seconds = time.process_time() - began
    said = capfd.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("bakery: error: ")]
    assert code == 0 or (code in (2, 3, 4, 6) and len(lines) == 1 and len(lines[0]) < 600), said
    assert "Traceback" not in said
    assert seconds < LIMIT_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LIMIT_KILOBYTES
    assert not os.path.exists("canary")


@pytest.mark.filterwarnings("ignore")  # what the libraries say of such files is theirs
@pytest.mark.parametrize("case", foreign.ADAPTERS[::EVERY], ids=foreign.name_of)
def test_an_adapter_of_a_stranger(case, folders, capfd):
    foreign.attack(folders[1], *case)
    check(folders[1], capfd)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", foreign.MODELS[::EVERY], ids=foreign.name_of)
def test_a_model_of_a_stranger(case, folders, capfd):
    foreign.attack(folders[0], *case)
    check(folders[1], capfd)


def test_the_files_that_nobody_changed_pass(folders, capfd):
    check(folders[1], capfd)
    assert os.path.isdir("out")
