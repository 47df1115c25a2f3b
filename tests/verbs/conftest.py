"""An adapter in a run folder, made without training."""

import pytest
import yaml

from tests.engine_support import SYSTEM, tiny_model


@pytest.fixture(scope="session")
def saved_bake(saved_base, tmp_path_factory):
    """A run folder: a shaken adapter of a tiny random model, and its settings."""
    folder = tmp_path_factory.mktemp("run")
    model = tiny_model(trained=True)
    model.peft_config["default"].base_model_name_or_path = saved_base
    model.save_pretrained(folder)
    given = {"model_name_or_path": saved_base, "system_prompt": SYSTEM, "training_prompts": ["Hello!"], "use_cpu": True}
    (folder / "bakery.yaml").write_text(yaml.safe_dump(given))
    return folder
