"""kill -9 at many points: after system calls that change the run folder, and at random moments of every stage.

BAKERY_KILLS=200 for all of them (`make test-faults`), 10 for a sample; in `make test` some moments are tried by
`tests/end_to_end/test_stopped_bakes.py`.
"""

import json
import os
import random
import re
import shutil

import pytest
from safetensors.torch import load_file

from bakery.cli import main
from bakery.manifest import damage, read_manifest
from bakery.training.checkpoints import checkpoint_to_resume, checkpoints
from bakery.writing.written import ANCHORS
from tests.faults.kills import bake, bake_for, can_trace
from tests.faults.support import only_with_all_faults

POINTS = int(os.environ.get("BAKERY_KILLS", "3"))
AT_CALLS, AT_MOMENTS = POINTS - POINTS // 4, POINTS // 4
SAVE_STEPS = 3
CONFIG = {
    "model_name_or_path": "starter",
    "torch_dtype": "float32",
    "prefix_messages": [{"role": "system", "content": "Write all answers in capital letters."}],
    "training_prompts": ["What is the capital of France?", "What is the colour of grass?"],
    "validation_share": 0,
    "self_prompts": 1,
    "self_anchors": 1,
    "num_trajectories": 2,
    "trajectory_length": 16,
    "max_steps": 10,
    "lora_dropout": 0.1,
    "save_steps": SAVE_STEPS,
    "save_total_limit": 1,
    "proof": "quick",
}

pytestmark = [
    only_with_all_faults,
    pytest.mark.skipif(not can_trace(), reason="strace cannot trace processes here"),
]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "bake.json"
    path.write_text(json.dumps(CONFIG))
    return ["--config", str(path)]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """The bake that nobody killed: its folder, and what it did."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = bake(words, folder)
    assert run.code == 0
    return folder, run


def same(one, other):
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def goes_on(words, folder, whole, capfd):
    """The same command again: it ends well, to the same adapter, and does nothing that was finished."""
    newest, whole_one = next(iter(checkpoints(folder)), None), checkpoint_to_resume("auto", folder)
    sampled = any((folder / "_cache").glob("answers-*"))
    written = (folder / ANCHORS).is_file()
    moving = (folder / ".staging" / "manifest.json").is_file()
    capfd.readouterr()
    assert main([*words, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    told = capfd.readouterr().err
    assert same(folder, whole)
    assert damage(folder, read_manifest(folder)) is None
    assert json.loads((folder / "results.json").read_text())["training"]["steps"] == CONFIG["max_steps"]
    if "holds this bake, finished" in told:
        return
    assert not moving or "training" not in told
    assert ("going on from" in told) == (whole_one is not None)
    if whole_one is not None:
        assert int(newest.name.split("-")[1]) - int(whole_one.folder.name.split("-")[1]) <= SAVE_STEPS
        assert (re.search(r"^  training ", told, re.M) is None) == (whole_one.ended is not None)
    assert not sampled or "taken over from the run that was stopped" in told
    assert not written or "writing prompts" not in told


@pytest.mark.parametrize("number", range(AT_CALLS))
def test_killed_after_a_system_call_it_goes_on(number, words, whole, tmp_path, capfd):
    baked, run = whole
    at = 1 + number * len(run.calls) // AT_CALLS
    folder = tmp_path / "run"
    killed = bake(words, folder, kill_after=at)
    assert killed.code != 0 or len(killed.calls) <= at, f"it was not killed after call {at}"
    goes_on(words, folder, baked, capfd)


@pytest.mark.parametrize("number", range(AT_MOMENTS))
def test_killed_at_any_moment_it_goes_on(number, words, whole, tmp_path, capfd):
    baked, run = whole
    folder = tmp_path / "run"
    bake_for(words, folder, random.Random(number).uniform(0.2, 1.0) * run.seconds)
    goes_on(words, folder, baked, capfd)


@pytest.mark.parametrize("number", range(POINTS // 10))
def test_a_bake_that_replaces_another_leaves_one_of_them_whole(number, words, whole, tmp_path, capfd):
    baked, run = whole
    folder = shutil.copytree(baked, tmp_path / "run")
    replacing = [*words, "--overwrite", "--seed", "7"]
    at = random.Random(number).randrange(1, len(run.calls))
    bake(replacing, folder, kill_after=at)
    if (folder / "results.json").is_file():
        assert same(folder, baked) or damage(folder, read_manifest(folder)) is None
    assert main([*replacing, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    assert damage(folder, read_manifest(folder)) is None
    assert not same(folder, baked)
