"""Bakes that were killed or told to stop, at many points: the same command goes on, to the same adapter bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bakery.cli import main
from bakery.manifest import damage, read_manifest
from bakery.report import outputs
from bakery.settings.run_state import read_state
from bakery.training.checkpoints import checkpoints
from bakery.writing.written import PROMPTS

PROMPT = [{"role": "system", "content": "Write all answers in capital letters."}]
CONFIG = {
    "model_name_or_path": "starter",
    "torch_dtype": "float32",
    "prefix_messages": PROMPT,
    "training_prompts": ["What is the capital of France?", "What is the colour of grass?"],
    "validation_share": 0,
    "self_prompts": 1,
    "self_anchors": 0,
    "num_trajectories": 2,
    "trajectory_length": 16,
    "max_steps": 12,
    "lora_dropout": 0.1,
    "save_steps": 4,
    "proof": "quick",
}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The command line of a small bake, but for its output folder."""
    path = tmp_path_factory.mktemp("config") / "bake.json"
    path.write_text(json.dumps(CONFIG))
    return ["--config", str(path), "-q"]


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory):
    """The folder of the bake that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*words, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def killed(words, tmp_path_factory):
    """The folder of a bake that was killed after its second checkpoint."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    stop(words, folder, signal.SIGKILL, "checkpoint-8/manifest.json")
    return folder


def same_adapter(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def stop(words: list[str], folder: Path, number: int, when: str) -> tuple[int, str]:
    """Start the command in a process of its own, send it a signal once something lies in the folder, and wait."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bakery", *words, "--output_dir", str(folder)], stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not list(folder.glob(when)) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


@pytest.mark.parametrize("when", [PROMPTS, "_cache/answers-*", "checkpoint-8", ".staging/*"])
def test_a_bake_that_was_killed_goes_on_by_the_same_command(when, words, whole, tmp_path, capfd):
    folder = tmp_path / "run"
    code, _ = stop(words, folder, signal.SIGKILL, when)
    assert code == -signal.SIGKILL
    assert main([*words, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    assert same_adapter(folder, whole)
    assert (folder / "results.json").is_file()
    assert damage(folder, read_manifest(folder)) is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_training_leaves_a_checkpoint_at_that_step(number, code, words, tmp_path):
    folder, slow = tmp_path / "run", [*words, "--max_steps", "400", "--save_steps", "399"]
    got, told = stop(slow, folder, number, "_cache/answers-*")
    assert got == code, told
    (saved,) = folder.glob("checkpoint-*")
    assert f"{saved.name} is saved, and the same command goes on from there" in told
    assert read_state(folder).phase == "baking"
    assert read_manifest(saved).about["training_ended"] is None


def test_the_finished_bake_is_named_and_nothing_of_it_is_touched(words, whole, capfd):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    again = [word for word in words if word != "-q"]
    assert main([*again, "--output_dir", str(whole)]) == 0
    told = capfd.readouterr()
    assert f"{whole} holds this bake, finished; overwrite: true bakes it anew" in told.err
    assert main([*again, "--output_dir", str(whole), "--fail_under", "1"]) == 7
    assert "fail_under 1" in capfd.readouterr().err
    assert main([*words, "--output_dir", str(whole), "--r", "4"]) == 2
    assert "holds a finished bake of other settings (r differ)" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_a_damaged_checkpoint_is_passed_over_with_a_word(words, whole, killed, tmp_path, capfd):
    folder = shutil.copytree(killed, tmp_path / "run")
    newest = checkpoints(folder)[0]
    weights = newest / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-7] ^= 1
    weights.write_bytes(content)
    again = [word for word in words if word != "-q"]
    assert main([*again, "--output_dir", str(folder)]) == 0
    assert f"passed over: {newest.name} is damaged: adapter_model.safetensors was changed" in capfd.readouterr().err
    assert same_adapter(folder, whole)


@pytest.mark.parametrize("lost", ["*", "answers-*", "teacher-*"])
def test_whatever_is_lost_of_the_cache_the_adapter_is_the_same(lost, words, whole, killed, tmp_path, capfd):
    folder = shutil.copytree(killed, tmp_path / "run")
    for path in (folder / "_cache").glob(lost):
        path.unlink()
    assert main([*words, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    assert same_adapter(folder, whole)


def test_a_final_save_that_was_interrupted_is_completed_and_not_done_again(words, whole, tmp_path, capfd, monkeypatch):
    folder = tmp_path / "run"
    move = os.replace

    def dies(source, target):
        if Path(target).name == "report.html":
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(outputs.os, "replace", dies)
        assert main([*words, "--output_dir", str(folder)]) == 130
    assert read_state(folder).phase == "moving"
    monkeypatch.setattr("bakery.baking.bake", None)  # nothing is baked again
    assert main([*words, "--output_dir", str(folder)]) == 0, capfd.readouterr().err
    assert read_state(folder).phase == "finished"
    assert damage(folder, read_manifest(folder)) is None
    assert same_adapter(folder, whole)
