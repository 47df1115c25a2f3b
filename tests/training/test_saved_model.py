"""`save_model` leaves a card that says what is known, and what `bakery eval` needs; a checkpoint needs neither."""

import json
import shutil

import pytest

from bakery.cli import main
from bakery.errors import NumericError
from bakery.rows.datasets import create_dataset
from bakery.settings.documents import read_document
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, STARTER, make_trainer


def saved(folder, **changes):
    trainer = make_trainer(
        folder / "home",
        model=str(STARTER),
        rows=create_dataset(QUESTIONS[:4], ANSWERS[:4]),
        eval_dataset=create_dataset(QUESTIONS[4:6], ANSWERS[4:6]),
        max_steps=1,
        save_strategy="steps",
        save_steps=1,
        **changes,
    )
    trainer.train()
    trainer.save_model()
    return folder / "home"


def test_what_the_trainer_saved_is_proved_where_it_was_moved_to(tmp_path, monkeypatch, capfd):
    home = saved(tmp_path)
    assert not (home / "checkpoint-1" / "bakery.yaml").exists()
    card = (home / "README.md").read_text()
    assert card.startswith("---\nbase_model: starter\n")
    for known in ("`starter`, trained on 4 rows for 1 steps", "Nothing was measured yet", "bakery eval --adapter ."):
        assert known in card
    (tmp_path / "elsewhere").mkdir()
    shutil.move(home, tmp_path / "elsewhere" / "run")
    monkeypatch.chdir(tmp_path / "elsewhere" / "run")
    assert main(["eval", "--adapter", ".", "-q"]) == 0, capfd.readouterr().err
    figures = json.loads((tmp_path / "elsewhere" / "run" / "eval" / "results.json").read_text())
    assert figures["measured_on"] == "validation"
    assert figures["gap"]["divergence"]["n"] == 2


def test_a_prompt_that_is_to_stay_out_is_in_no_file(tmp_path):
    home = saved(tmp_path, keep_prompt=False)
    text = PREFIX[0]["content"].encode()
    assert [path.name for path in home.rglob("*") if path.is_file() and text in path.read_bytes()] == []
    settings = read_document(home / "bakery.yaml").value
    assert (settings["prefix_messages"], settings["keep_prompt"]) == (None, False)
    assert "has to be given" in (home / "README.md").read_text()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    trainer = make_trainer(tmp_path, rows=create_dataset(QUESTIONS[:4], ANSWERS[:4]), max_steps=1)
    weight = next(weight for name, weight in trainer.model.named_parameters() if name.endswith("lora_A.default.weight"))
    weight.data[0, 0] = float("inf")
    for folder in (tmp_path, tmp_path / "checkpoint-1"):
        with pytest.raises(NumericError, match=r"the adapter's weight .*lora_A.default.weight is not finite"):
            trainer.save_model(str(folder))
        assert not (folder / "adapter_model.safetensors").exists()
