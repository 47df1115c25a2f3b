"""Pushing to a hub, against a stand-in on the loopback."""

import copy
import json
import pickle

import pytest

from bakery.errors import ResourceError
from tests.engine_support import make_trainer, settings
from tests.hub import stand_in


@pytest.fixture
def hub(monkeypatch):
    with stand_in() as found:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("transformers.utils.hub._hf_api", None)
        yield found


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
