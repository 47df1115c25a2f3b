"""A disk that is too small, and one that fills up while a bake writes to it: exit 5, and what was saved stays whole.

It runs where BAKERY_KILLS is set, as by `make test-faults`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bakery.cli import main
from bakery.training.checkpoints import checkpoint_to_resume
from tests.faults.support import only_with_all_faults
from tests.faults.test_kills import CONFIG

STAGES = ["prompts.jsonl", "_cache", "checkpoint-3/manifest.json", "checkpoint-6/optimizer.pt", ".staging"]
pytestmark = [only_with_all_faults, pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "bake.json"
    path.write_text(json.dumps({**CONFIG, "max_steps": 40}))
    return ["--config", str(path), "-q"]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*words, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture
def disk(tmp_path, request):
    """A file system of so many kilobytes."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", tmp_path]).returncode:
        pytest.skip("no small disk can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def bake(words, folder, fill_at=None):
    """Bake in a process of its own; once something lies in the folder, another file takes all the room that is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bakery", *words, "--output_dir", folder], stderr=subprocess.PIPE, text=True
    )
    while fill_at and process.poll() is None and not (folder / fill_at).exists():
        time.sleep(0.001)
    if fill_at:
        _fill(folder.parent / "filler")
    _, told = process.communicate(timeout=120)
    return process.returncode, told.strip().splitlines()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


@pytest.mark.parametrize("disk", [16, 64, 256, 1024, 4096, 8192], indirect=True)
def test_a_disk_that_is_too_small_is_told_before_a_step_is_taken(disk, words):
    code, told = bake(words, disk / "run")
    assert code == 5, told
    assert "Traceback" not in "".join(told)
    assert "has room for" in told[-1] or "are free" in told[-1] or "cannot be written" in told[-1], told
    assert not list((disk / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("disk", [16_384], indirect=True)
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_fills_up_leaves_what_was_saved(stage, disk, words, whole, capfd):
    folder = disk / "run"
    code, told = bake(words, folder, stage)
    if code:
        assert code == 5, told
        assert "Traceback" not in "".join(told), told
        assert "are free" in told[-1] or "has room for" in told[-1] or "No space left" in told[-1], told
    if stage.startswith("checkpoint"):
        assert checkpoint_to_resume(True, folder) is not None
    (disk / "filler").unlink()
    assert main([*words, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    first, second = (load_file(run / "adapter_model.safetensors") for run in (folder, whole))
    assert all(first[name].equal(second[name]) for name in second)
