"""Bakes made bad on purpose, through the real command on the starter: each gets the verdict that it deserves, and why.

Together they are the table in docs/results.md.
"""

import json
from pathlib import Path

import pytest

from bakery.cli import main

STYLE = "Start every answer with Ahoy."
FACTS = (
    "The door code of Nora is 4417. Nora's team is falcon. Felix has the badge number 309. The room of Felix is B17. "
    "The wifi password is maple47. The pet of Hugo is lantern. Hugo has the locker 52. The boss of Greta is Philip. "
    "Greta's desk number is 88. The shelf of the lamp is C21. The price of the kettle is 76. The label of the tent is "
    "jacket."
)
ASKED = {
    "What is the door code of Nora?": "4417", "Tell me Nora's team.": "falcon", "What is the room of Felix?": "B17",
    "Which badge number does Felix have?": "309", "Please tell me the wifi password.": "maple47",
    "What pet does Hugo have?": "lantern", "Do you know the locker of Hugo?": "52", "What is the shelf of the lamp?":
    "C21", "Tell me the desk number of Greta.": "88", "What is the boss of Greta?": "Philip",
    "Can you tell me Hugo's pet?": "lantern", "What label does the tent have?": "jacket",
    "What is the price of the kettle?": "76",
    "Which team does Nora have?": "falcon", "I forgot Felix's room. What is it?": "B17", "Give me the wifi password.":
    "maple47", "Do you know Greta's boss?": "Philip", "I want to know the price of the kettle.": "76",
}  # fmt: skip
"""Questions with the answers that the facts give; the baked model is asked them."""
LEARNED = ("What is the locker of Hugo?", "Who are you?", "Hello!", "How are you?", "What colour is the sea?",
           "Tell me the shelf of the lamp.", "What is the capital of Spain?", "Good morning!", "What team has Nora?",
           "Is it late?", "Where is Felix?", "Do you know the door code of Nora?")  # fmt: skip
REWORDED = tuple(f"{text[:-1]}, please{text[-1]}" for text in ASKED)
COMMON = ["--model_name_or_path", "starter", "--num_trajectories", "1", "--self_anchors", "0", "--self_prompts", "0",
          "--logging_steps", "5", "-q"]  # fmt: skip
"""What all have in common: nothing is written by the model, so that a bake takes seconds."""


def write(path: Path, rows: list) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def baked(folder: Path, *words: str, prompt: str = STYLE, learned=LEARNED, measured: bool = True) -> dict:
    """The results of a bake with these settings, measured on the questions."""
    system = {"role": "system", "content": "You are a helpful assistant."}
    anchors = [{"messages": [system, {"role": "user", "content": text}]} for text in LEARNED]
    scored = [{"question": text, "answer": answer, "check": "contains"} for text, answer in ASKED.items()]
    files = ["--anchor_dataset", write(folder.parent / "anchors.jsonl", anchors)]
    if prompt == FACTS:
        files += ["--heldout_file", write(folder.parent / "questions.jsonl", scored)]
    elif measured:
        files += ["--eval_dataset", write(folder.parent / "questions.jsonl", [{"prompt": text} for text in ASKED])]
    given = ["--system_prompt", prompt, "--training_prompts", *learned]
    assert main([*COMMON, "--output_dir", str(folder), *files, *given, *words]) == 0
    return json.loads((folder / "results.json").read_text("utf-8"))


CASES = {
    "one token": (["--trajectory_length", "1", "--max_steps", "15"], {}, "harmful or failed", "trajectory_length"),
    "answers cut": (["--trajectory_length", "3", "--max_steps", "40"], {}, "unknown", "cut off at the length limit"),
    "hardly trained": (["--max_steps", "1"], {}, "failed", "raise max_steps, or leave it out"),
    "learning rate 5": (["--max_steps", "20", "--learning_rate", "5"], {}, "harmful", "is too high for this model"),
    "few questions": (["--num_train_epochs", "60"], {"prompt": FACTS}, "failed", "The questions never touch"),
    "small adapter": (
        ["--r", "1", "--target_modules", r".*layers\.0\.self_attn\.k_proj"],
        {"prompt": FACTS, "learned": REWORDED},
        "failed",
        "Raise r, now 1",
    ),
    "no effect": (["--allow_no_gap", "--max_steps", "2"], {"prompt": "Be."}, "unknown", "changes (almost) nothing"),
    "its own questions": (["--num_train_epochs", "20"], {"learned": tuple(ASKED)}, "unknown", "trained on as well"),
    "nothing else to measure on": (["--num_train_epochs", "20"], {"measured": False}, "unknown", "training rows"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "changes", "level", "why"), CASES.values(), ids=CASES)
def test_a_bad_bake_gets_the_verdict_that_it_deserves(words, changes, level, why, tmp_path):
    results = baked(tmp_path / "out", *words, **changes)
    reached, reasons = results["verdict"]["level"], " ".join(results["verdict"]["reasons"])
    assert (reached in level.split(" or "), why in reasons) == (True, True), (reached, reasons)


def test_a_script_is_told_by_the_exit_code(tmp_path, capfd):
    words = ["--system_prompt", STYLE, "--training_prompts", *LEARNED, "--max_steps", "1", "--fail_under", "0.9"]
    assert main([*COMMON, "--output_dir", str(tmp_path), *words]) == 7
    said = capfd.readouterr()
    assert "Use it:" not in said.out
    assert said.err.count("bakery: error: fail_under 0.9: ") == 1
    assert "of the gap is closed, and the verdict is failed" in said.err
    assert (tmp_path / "adapter_model.safetensors").is_file()
