"""What a finished bake leaves: all of it or the older result; and the hub, as a stand-in on the loopback."""

import copy
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import ResourceError
from bakery.manifest import damage, read_manifest
from bakery.report import outputs
from bakery.report.outputs import complete_outputs, publish, write_outputs
from bakery.rows.datasets import create_dataset
from bakery.settings.run_state import read_state
from tests.engine_support import QUESTIONS, make_trainer, settings

WEIGHTS = ("adapter_config.json", "adapter_model.safetensors")
PUSHING = {"push_to_hub": True, "hub_model_id": "me/pirate", "hub_token": "hf_stand_in"}


def test_the_adapter_arrives_and_nothing_private_does(tmp_path, hub):
    trainer = make_trainer(tmp_path, **PUSHING)
    trainer.train()
    trainer.push_to_hub()
    (files,) = hub.files.values()
    assert list(hub.files) == ["me/pirate"]
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md"} <= set(files)
    assert files["adapter_model.safetensors"] == (tmp_path / "adapter_model.safetensors").read_bytes()
    assert not any(b"hf_stand_in" in content for content in files.values())
    assert not [name for name in files if name.startswith("_cache/")]


def test_a_copy_of_the_settings_keeps_the_token_and_a_pickle_of_them_does_not(tmp_path):
    args = settings(tmp_path, hub_token="hf_stand_in")
    assert copy.copy(args).hub_token == "hf_stand_in"
    assert pickle.loads(pickle.dumps(args)).hub_token is None
    assert b"hf_stand_in" not in pickle.dumps(args)


def test_every_checkpoint_is_pushed_when_that_is_asked_for(tmp_path, hub):
    trainer = make_trainer(tmp_path, save_strategy="steps", save_steps=1, hub_strategy="every_save", **PUSHING)
    trainer.train()
    assert "Training in progress, step 1" in hub.commits
    config = json.loads(hub.files["me/pirate"]["adapter_config.json"])
    assert config["peft_type"] == "LORA"
    assert not any(b"hf_stand_in" in content for content in hub.files["me/pirate"].values())


def test_a_hub_that_refuses_is_one_line_before_the_first_step(tmp_path, hub):
    hub.refuse = True
    with pytest.raises(ResourceError, match=r"^push_to_hub: .*me/pirate.*") as caught:
        make_trainer(tmp_path, **PUSHING)
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there_is_one_line(tmp_path, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="push_to_hub"):
        make_trainer(tmp_path, **PUSHING)


FILES = {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md", "report.html",
         "bakery.yaml", "answers.jsonl", "results.json", "trajectories.jsonl"}  # fmt: skip


@pytest.fixture
def finished(tmp_path, result):
    """A trainer that has sampled, settings, and the result of its bake in an output folder with an older one."""
    folder = tmp_path / "out"
    trainer = make_trainer(folder, rows=create_dataset(QUESTIONS[:2]), num_trajectories=1)
    trainer.prepare()
    for name in FILES:
        (folder / name).write_text(f"older {name}")
    return replace(result, output_dir=folder), "seed: 7\n", trainer


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_all_files_are_written_and_the_mark_of_a_finished_bake_comes_last(finished, monkeypatch):
    moved = []
    move = os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (moved.append(Path(target).name), move(source, target)))
    result, chosen, trainer = finished
    write_outputs(result, chosen, trainer)
    assert set(moved) >= FILES
    assert moved[-3:] == ["manifest.json", "results.json", "_run.json"]
    assert read_state(result.output_dir).phase == "finished"
    assert damage(result.output_dir, read_manifest(result.output_dir)) is None
    folder = result.output_dir
    assert not any(content.startswith(b"older") for content in contents(folder).values())
    assert json.loads((folder / "results.json").read_text("utf-8"))["base_model"] == "starter"
    assert (folder / "bakery.yaml").read_text("utf-8") == chosen
    assert not trainer.cache_folder.exists()
    assert not (folder / ".staging").exists()
    rows = [json.loads(line) for line in (folder / "trajectories.jsonl").read_text("utf-8").splitlines()]
    assert [row["messages"][0]["content"] for row in rows] == QUESTIONS[:2]
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)


def test_a_write_that_breaks_leaves_the_older_result_as_it_was(finished, monkeypatch):
    result, chosen, trainer = finished
    before = contents(result.output_dir)

    def full(*_):
        raise OSError("no space left on device")

    for broken in ("save_adapter", "write_json", "write_answers", "model_card", "bake_page", "write_trajectories"):
        with monkeypatch.context() as patch:
            patch.setattr(outputs, broken, full)
            with pytest.raises(OSError, match="no space"):
                write_outputs(result, chosen, trainer)
        assert contents(result.output_dir) == before, broken
    write_outputs(result, chosen, trainer)
    assert set(contents(result.output_dir)) >= FILES


def test_a_move_that_breaks_leaves_no_mark_of_a_finished_bake(finished, monkeypatch):
    result, chosen, trainer = finished
    move = os.replace

    def breaks_in_the_middle(source, target):
        if Path(target).name == "bakery.yaml":
            raise OSError("no space left on device")
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", breaks_in_the_middle)
        with pytest.raises(OSError, match="no space"):
            write_outputs(result, chosen, trainer)
    assert not (result.output_dir / "results.json").exists()
    assert read_state(result.output_dir).phase == "moving"
    complete_outputs(result.output_dir)
    assert damage(result.output_dir, read_manifest(result.output_dir)) is None
    assert set(contents(result.output_dir)) >= FILES
    assert not any(content.startswith(b"older") for content in contents(result.output_dir).values())


def test_the_finished_folder_is_published_without_checkpoints(tmp_path, hub, result):
    trainer = make_trainer(tmp_path, **PUSHING)
    private = ("inputs/dataset.jsonl", "prompts.jsonl", "answers.jsonl", "checkpoint-1/x.bin", "_cache/y", ".staging/z")
    for name in (*WEIGHTS, "README.md", "training_args.bin", *private):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    publish(replace(result, output_dir=tmp_path), trainer)
    assert set(hub.files["me/pirate"]) == {"README.md", *WEIGHTS}
    assert hub.commits == ["Bake"]


def test_a_hub_that_refuses_the_upload_is_one_line_that_names_the_folder(tmp_path, hub, result):
    trainer = make_trainer(tmp_path, **PUSHING)
    for name in WEIGHTS:
        (tmp_path / name).write_text("{}")
    hub.refuse = True
    with pytest.raises(ResourceError, match=r"^push_to_hub: me/pirate did not take the upload") as caught:
        publish(replace(result, output_dir=tmp_path), trainer)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_published_unless_it_is_asked_for(tmp_path, hub, result):
    publish(replace(result, output_dir=tmp_path), make_trainer(tmp_path))
    assert not hub.files
