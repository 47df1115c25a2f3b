"""The command under torchrun: two processes bake what one does, speak with one condition, and fail with one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bakery.writing.written import ANCHORS, PROMPTS

ROOT = Path(__file__).parents[2]
LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
COMMAND = ("-m", "bakery")

SETTINGS = {
    "model_name_or_path": "starter",
    "torch_dtype": "float32",
    "use_cpu": True,
    "prefix_messages": [{"role": "system", "content": "Write all answers in capital letters."}],
    "training_prompts": ["What is the capital of France?", "What is the colour of grass?",
                         "What is the opposite of hot?", "Which day comes after Monday?", "Who are you?"],
    "self_prompts": 4,
    "self_anchors": 2,
    "eval_dataset": "eval.jsonl",
    "proof": "full",
    "num_trajectories": 2,
    "trajectory_length": 24,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "adam_epsilon": 1e-6,  # a gradient that is zero but for rounding must not move a weight
    "logging_steps": 1,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("torchrun")
    (place / "bake.json").write_text(json.dumps(SETTINGS))
    rows = [{"prompt": "What is the capital of Spain?"}, {"prompt": "Which day comes after Friday?"}]
    (place / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                   "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_two_processes_bake_what_one_does_and_say_it_once(folder):
    words = ("--config", "bake.json", "--per_device_train_batch_size")
    one = run(folder, sys.executable, *COMMAND, *words, "4", "--output_dir", "one")
    two = run(folder, *LAUNCHER, *COMMAND, *words, "2", "--output_dir", "two")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr[-2000:] + two.stderr[-2000:]
    for said in (one, two):
        assert said.stdout.count("The adapter is in") == said.stdout.count("Where the time went") == 1
        assert said.stderr.count("measuring the proof") == 1
        assert "Warning" not in said.stderr
    names = [{str(path.relative_to(folder / name)) for path in (folder / name).rglob("*")} for name in ("one", "two")]
    # Every process keeps its own random state, and under another name than a process that is alone.
    names = [{name for name in found if "rng_state" not in name} for found in names]
    assert names[0] == names[1]

    curves, finals, spent = zip(
        *(
            (found["training"]["curve"], found["training"]["final_loss"], found["spent"])
            for found in (json.loads((folder / name / "results.json").read_text()) for name in ("one", "two"))
        ),
        strict=True,
    )
    assert finals[1] == pytest.approx(finals[0], rel=1e-5)
    assert sum("eval_loss" in line for line in curves[0]) == 2
    assert len(curves[0]) == len(curves[1])
    for alone, together in zip(*curves, strict=True):
        assert together == pytest.approx(alone, rel=1e-5, abs=1e-7)
    for stage in ("sampling", "training", "evaluation"):
        assert spent[0][stage]["tokens"] == spent[1][stage]["tokens"] > 0
    for written in (PROMPTS, ANCHORS):
        assert (folder / "two" / written).read_text() == (folder / "one" / written).read_text() != ""
    weights = [load_file(folder / name / "adapter_model.safetensors") for name in ("one", "two")]
    for name, weight in weights[0].items():
        assert weights[1][name].flatten().tolist() == pytest.approx(weight.flatten().tolist(), rel=1e-3, abs=1e-5)


def test_a_mistake_in_the_settings_is_said_once(folder):
    done = run(folder, *LAUNCHER, *COMMAND, "--config", "bake.json", "--learnig_rate", "1")
    assert done.returncode != 0
    assert done.stderr.count("bakery: error: command line: unknown key --learnig_rate") == 1


def test_when_one_process_fails_all_end_and_it_says_why(folder):
    script = str(Path(__file__).with_name("one_process_fails.py"))
    done = run(folder, *LAUNCHER, script, "1", "--config", "bake.json", "--output_dir", "failed")
    assert done.returncode != 0
    assert done.stderr.count("bakery: error: ") == done.stderr.count("bakery: error: the loss is nan") == 1
    assert "Connection" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "failed" / "results.json").exists()
