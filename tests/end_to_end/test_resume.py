"""A bake that was stopped goes on from its newest checkpoint, told so by the command line or by the settings file."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from safetensors.torch import load_file

import bakery
from bakery.chat import rendering
from bakery.cli import main
from bakery.manifest import MANIFEST
from bakery.training.trainer import ContextBakingTrainer
from bakery.writing.written import ANCHORS, HELD_OUT, PROMPTS

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
self_prompts: 0
self_anchors: 0
num_trajectories: 4
trajectory_length: 24
per_device_train_batch_size: 4
max_steps: 6
save_strategy: steps
save_steps: 2
save_total_limit: 3
"""


@pytest.mark.parametrize(("way", "written"), [("command line", 0), ("settings file", 2)])
def test_a_stopped_bake_goes_on_and_ends_like_one_that_was_not(way, written, tmp_path, capfd):
    config, text = tmp_path / "bake.yaml", CONFIG.replace("self_prompts: 0", f"self_prompts: {written}")
    config.write_text(text)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(["--config", str(config), "--output_dir", str(whole), "-q"]) == 0, capfd.readouterr().err
    stopped.mkdir()
    shutil.copytree(whole / "checkpoint-2", stopped / "checkpoint-2")  # all that a run killed at step 3 leaves
    for name in (PROMPTS, HELD_OUT, ANCHORS) if written else ():
        shutil.copy(whole / name, stopped)
    words = ["--config", str(config), "--output_dir", str(stopped), "-q"]
    if way == "settings file":
        config.write_text(text + "resume_from_checkpoint: true\n")
    else:
        words.append("--resume_from_checkpoint=true")
    assert main(words) == 0, capfd.readouterr().err
    wanted, found = (load_file(folder / "adapter_model.safetensors") for folder in (whole, stopped))
    assert all(wanted[name].equal(found[name]) for name in wanted)
    assert json.loads((stopped / "results.json").read_text())["training"]["steps"] == 6


class Clock(datetime):
    """Another day than today."""

    day = datetime(2026, 11, 22, 23, 59)

    @classmethod
    def now(cls, tz=None):
        return cls.day


@pytest.fixture
def shown(monkeypatch):
    """The texts of the first row's student view, in the order of the trainers that trained."""
    texts = []
    prepare = ContextBakingTrainer.prepare

    def watched(trainer):
        prepare(trainer)
        texts.append(trainer.processing_class.decode(trainer.train_dataset[0]["input_ids"]))

    monkeypatch.setattr(ContextBakingTrainer, "prepare", watched)
    monkeypatch.setattr(rendering, "datetime", Clock)
    return texts


@pytest.fixture
def dated(tmp_path):
    """The command line of a bake of a model whose template writes the date."""
    model = tmp_path / "dated"
    shutil.copytree(Path(bakery.__file__).parent / "starter", model)
    template = model / "chat_template.jinja"
    template.write_text("{{ strftime_now('%d %b %Y') }}" + template.read_text("utf-8"), "utf-8")
    (tmp_path / "bake.yaml").write_text(CONFIG)
    return ["--config", str(tmp_path / "bake.yaml"), "--model_name_or_path", str(model), "-q"]


def test_a_bake_that_goes_on_another_day_keeps_the_date_it_began_with(dated, shown, tmp_path, monkeypatch, capfd):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*dated, "--output_dir", str(whole)]) == 0, capfd.readouterr().err
    stopped.mkdir()
    shutil.copytree(whole / "checkpoint-2", stopped / "checkpoint-2")
    monkeypatch.setattr(Clock, "day", Clock.day + timedelta(days=1))
    resumed = [*dated, "--output_dir", str(stopped), "--resume_from_checkpoint=true"]
    assert main(resumed) == 0, capfd.readouterr().err
    wanted, found = (load_file(folder / "adapter_model.safetensors") for folder in (whole, stopped))
    assert all(wanted[name].equal(found[name]) for name in wanted)
    gaps = [
        json.loads((folder / "results.json").read_text())["divergence"]["before"]["mean"] for folder in (whole, stopped)
    ]
    assert gaps[0] == pytest.approx(gaps[1])
    assert main([*dated, "--output_dir", str(tmp_path / "fresh"), "--max_steps", "1"]) == 0, capfd.readouterr().err
    assert ["22 Nov 2026" in text for text in shown] == [True, True, False]
    assert "23 Nov 2026" in shown[2]


def test_an_adapter_is_evaluated_with_the_date_of_its_bake(dated, shown, tmp_path, monkeypatch, capfd):
    out = tmp_path / "out"
    whole = ["--max_steps", "1", "--proof", "full"]
    assert main([*dated, "--output_dir", str(out), *whole]) == 0, capfd.readouterr().err
    baked = json.loads((out / "results.json").read_text())
    monkeypatch.setattr(Clock, "day", Clock.day + timedelta(days=1))
    assert main(["eval", *dated, "--adapter", str(out), "--output_dir", str(tmp_path / "eval")]) == 0
    found = json.loads((tmp_path / "eval" / "results.json").read_text())
    for name in ("before", "after", "baked_prompted"):
        assert found["divergence"][name] == pytest.approx(baked["divergence"][name], abs=1e-6), name
    (out / "chat_date.txt").write_text("yesterday")
    assert main(["eval", *dated, "--adapter", str(out), "--output_dir", str(tmp_path / "eval")]) == 4
    assert "the bake is damaged: chat_date.txt" in capfd.readouterr().err
    (out / MANIFEST).unlink()
    assert main(["eval", *dated, "--adapter", str(out), "--output_dir", str(tmp_path / "eval")]) == 2
    assert "holds no date" in capfd.readouterr().err
