"""What a trainer pushes holds nothing that `bakery push` leaves out, at the end and after every checkpoint."""

import json

from tests.engine_support import make_trainer

PUSHING = {"push_to_hub": True, "hub_model_id": "me/pirate", "hub_token": "hf_stand_in"}
STEPS = {"save_strategy": "steps", "save_steps": 1, "hub_always_push": True}


def prompt_beside(folder):
    """What a bake lays into its folder before the first step."""
    (folder / "inputs").mkdir()
    (folder / "inputs" / "system_prompt_file.txt").write_text("Never mention snails to anyone at all.")
    (folder / "prompts.jsonl").write_text("{}\n")
    (folder / "bakery.yaml").write_text("system_prompt: Never mention snails to anyone at all.\nseed: 3\n")


def test_a_push_by_hand_leaves_the_prompt_here(tmp_path, hub):
    trainer = make_trainer(tmp_path, **PUSHING)
    trainer.train()
    prompt_beside(tmp_path)
    trainer.push_to_hub(commit_message="Mine")
    sent = hub.files["me/pirate"]
    assert hub.commits[-1] == "Mine"
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "bakery.yaml"} <= set(sent)
    assert not [name for name in sent if name.startswith(("inputs", "prompts", "checkpoint", "training_args"))]
    assert not [name for name, content in sent.items() if b"snails" in content]


def test_pushes_between_steps_hold_the_adapter_only(tmp_path, hub):
    trainer = make_trainer(tmp_path, hub_strategy="every_save", **STEPS, **PUSHING)
    prompt_beside(tmp_path)
    trainer.train()
    sent = hub.files["me/pirate"]
    assert "Training in progress, step 1" in hub.commits
    assert json.loads(sent["adapter_config.json"])["peft_type"] == "LORA"
    assert not [name for name in sent if name.startswith(("inputs", "prompts", "checkpoint", "bakery"))]


def test_whole_checkpoints_go_only_where_they_are_asked_for(tmp_path, hub):
    trainer = make_trainer(tmp_path, hub_strategy="checkpoint", **STEPS, **PUSHING)
    prompt_beside(tmp_path)
    trainer.train()
    inside = {name for name in hub.files["me/pirate"] if name.startswith("last-checkpoint/")}
    assert {"last-checkpoint/optimizer.pt", "last-checkpoint/adapter_model.safetensors"} <= inside
    assert not [name for name in inside if "training_args" in name]
    assert not [name for name, content in hub.files["me/pirate"].items() if b"snails" in content]
