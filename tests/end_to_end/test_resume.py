"""A bake that was stopped goes on from its newest checkpoint, told so by the command line or by the settings file."""

import json
import shutil

import pytest
from safetensors.torch import load_file

from bakery.cli import main

CONFIG = """
model_name_or_path: starter
torch_dtype: float32
prefix_messages:
  - {role: system, content: Write all answers in capital letters.}
training_prompts:
  - What is the capital of France?
  - What is the colour of grass?
  - What is the opposite of hot?
  - Which day comes after Monday?
validation_share: 0
num_trajectories: 4
trajectory_length: 24
per_device_train_batch_size: 4
max_steps: 6
save_strategy: steps
save_steps: 2
save_total_limit: 3
"""


@pytest.mark.parametrize("way", ["command line", "settings file"])
def test_a_stopped_bake_goes_on_and_ends_like_one_that_was_not(way, tmp_path, capfd):
    config = tmp_path / "bake.yaml"
    config.write_text(CONFIG)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(["--config", str(config), "--output_dir", str(whole), "-q"]) == 0, capfd.readouterr().err
    stopped.mkdir()
    shutil.copytree(whole / "checkpoint-2", stopped / "checkpoint-2")  # all that a run killed at step 3 leaves
    words = ["--config", str(config), "--output_dir", str(stopped), "-q"]
    if way == "settings file":
        config.write_text(CONFIG + "resume_from_checkpoint: true\n")
    else:
        words.append("--resume_from_checkpoint=true")
    assert main(words) == 0, capfd.readouterr().err
    wanted, found = (load_file(folder / "adapter_model.safetensors") for folder in (whole, stopped))
    assert all(wanted[name].equal(found[name]) for name in wanted)
    assert json.loads((stopped / "results.json").read_text())["training"]["steps"] == 6
