"""What the tests of the report share: one whole bake through the command line, and one result without a bake."""

import json
from pathlib import Path

import pytest

from bakery.cli import main
from bakery.progress import Spent
from bakery.report.results import BakeResult
from tests.engine_support import tiny_base, tiny_model, tokenizer
from tests.proof_support import proof_of, proof_rows

TRAINED = ["Hello!", "Who are you?", "Tell me a story.", "What is it?"]
SPENT = (Spent("load", 2.0), Spent("teacher", 0.1, 0, 1_000), Spent("training", 17.0, 34_000), Spent("other", 0.9))
RULES = [{"name": "short | brief", "max_words": 30}]


@pytest.fixture(scope="session")
def bake_folder(tmp_path_factory):
    """A whole bake through the command line, with every kind of row that a proof knows."""
    folder = tmp_path_factory.mktemp("bake")
    tiny_base().save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    asked = [("Who is there?", "Ahoy!", None), ("Why not?", "x", "contains")]
    files = {
        "heldout": [{"question": text, "answer": answer, "check": check} for text, answer, check in asked],
        "eval": [{"question": text, "answer": "y"} for text in ("How many?", *TRAINED)],
        "anchors": [
            {"messages": [{"role": "user", "content": "Good night."}]},
            {"messages": [{"role": "system", "content": "S."}, {"role": "user", "content": "Hm?"}]},
        ],
    }
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "model_name_or_path": str(folder / "base"),
        "prefix_messages": [
            {"role": "system", "content": "Start every answer with Ahoy! You are a pirate called Marlow."}
        ],
        "training_prompts": TRAINED,
        "self_prompts": 0,
        "self_anchors": 0,
        "heldout_file": str(folder / "heldout.jsonl"),
        "eval_file": str(folder / "eval.jsonl"),
        "anchor_file": str(folder / "anchors.jsonl"),
        "rules": RULES,
        "weights": "merged",
        "proof": "full",
        "output_dir": str(folder / "out"),
        "num_trajectories": 1,
        "trajectory_length": 8,
        "patience": 3,
        "max_steps": 4,
        "logging_steps": 1,
        "use_cpu": True,
    }
    path = folder / "bake.json"
    path.write_text(json.dumps(settings))
    assert main(["--config", str(path), "-q"]) == 0
    return folder / "out"


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """The result of a bake that was not run: a proof of random weights."""
    proof = proof_of(tmp_path_factory.mktemp("proof"), tiny_model(trained=True), rows=proof_rows(RULES))
    seconds = {"bake": 20.0, "sampling": 1.0, "teacher": 2.0, "training": 17.0, "gap": 2.0, "proof": 3.0}
    return BakeResult(Path("outputs/quickstart"), "starter", proof, 80, 100, 50, 0.1, seconds, SPENT)
