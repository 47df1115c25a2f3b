"""A base quantised to 4 bits bakes for real, on the CPU too; without the extra one line says what to install."""

import json
import sys

import pytest
from bitsandbytes.nn import Linear4bit

from bakery.cli import main
from bakery.engine.model.loading import load_model
from bakery.errors import ConfigError
from bakery.settings.config import ModelConfig

CONFIG = """
model_name_or_path: starter
torch_dtype: float32
load_in_4bit: true
output_dir: {folder}
prefix_messages:
  - {{role: system, content: Write all answers in capital letters.}}
training_prompts:
  - What is the capital of France?
  - What is the colour of grass?
  - What is the opposite of hot?
  - Which day comes after Monday?
validation_share: 0
num_trajectories: 4
trajectory_length: 24
num_train_epochs: 8
learning_rate: 2e-3
"""


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantised_base_is_quantised_and_learns(tmp_path, capfd):
    model = load_model(ModelConfig(model_name_or_path="starter", torch_dtype="float32", load_in_4bit=True))
    assert any(isinstance(module, Linear4bit) for module in model.modules())
    config = tmp_path / "bake.yaml"
    config.write_text(CONFIG.format(folder=tmp_path / "out"))
    assert main(["--config", str(config), "-q"]) == 0, capfd.readouterr().err
    divergence = json.loads((tmp_path / "out" / "results.json").read_text())["divergence"]
    assert divergence["after"]["mean"] < 0.1 * divergence["before"]["mean"]


def test_without_the_extra_one_line_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"pip install 'bakery\[qlora\]'"):
        load_model(ModelConfig(model_name_or_path="starter", load_in_4bit=True))
