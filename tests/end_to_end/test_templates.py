"""Bakes of the starter under templates of other models, with answers given and with answers sampled.

The starter does not know these templates: what is shown is that the command bakes through them, token for token.
"""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bakery.cli import main
from tests.templates.support import OWN, REAL

STARTER = Path(__file__).parents[2] / "src" / "bakery" / "starter"
OURS = ["common/qwen-3", "own/channels", "common/gemma-3", "own/always_prompts", "common/phi-3"]
THEIRS = ["Qwen3.5-4B", "openai-gpt-oss-120b", "google-gemma-4-31B-it", "GLM-4.7-Flash",
          "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"]  # fmt: skip
TEMPLATES = {
    **{name.partition("/")[2]: OWN / f"{name}.jinja" for name in OURS},
    **{name: REAL / f"{name}.jinja" for name in THEIRS if REAL.is_dir()},
}
QUESTIONS = ("Who are you?", "What is your name?", "Where is the ship?")


@pytest.fixture(params=TEMPLATES)
def model(request, tmp_path):
    """The starter with another template."""
    folder = shutil.copytree(STARTER, tmp_path / "model")
    shutil.copy(TEMPLATES[request.param], folder / "chat_template.jinja")
    return folder


@pytest.mark.parametrize("given", [True, False], ids=["given", "sampled"])
def test_a_bake_under_another_template(model, given, tmp_path, capfd):
    rows = tmp_path / "rows.jsonl"
    answer = {"response": "I am Ada."} if given else {}
    rows.write_text("\n".join(json.dumps({"prompt": question, **answer}) for question in QUESTIONS))
    out = tmp_path / "out"
    command = ["-q", "--model_name_or_path", str(model), "--system_prompt", "You are Ada.", "--dataset", str(rows),
               "--output_dir", str(out), "--max_steps", "2", "--trajectory_length", "6", "--proof", "none",
               "--allow_no_gap", "true", "--self_prompts", "0", "--self_anchors", "0"]  # fmt: skip
    assert main(command) == 0, capfd.readouterr().err
    results = json.loads((out / "results.json").read_text())
    assert results["training"]["steps"] == 2
    assert results["training"]["final_loss"] > 0
    saved = AutoTokenizer.from_pretrained(out)
    assert saved.chat_template == (model / "chat_template.jinja").read_text(), (
        "who uses the adapter asks as it was baked"
    )
    assert (out / "trajectories.jsonl").is_file() != given
