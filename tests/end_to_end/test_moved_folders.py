"""A run folder travels: moved elsewhere, its originals gone, it is evaluated and resumed from another directory."""

import json
import shutil
from pathlib import Path

import pytest

from bakery.cli import main
from bakery.settings.documents import dump_yaml, read_document

PROMPT = "Zyx is your name. Write all answers in capital letters."
HANDBOOK = Path(__file__).parents[2] / "examples" / "data" / "office_handbook.md"
SMALL = {
    "model_name_or_path": "starter",
    "max_steps": 2,
    "self_prompts": 8,
    "self_anchors": 0,
    "num_trajectories": 1,
    "trajectory_length": 8,
    "use_cpu": True,
    "proof": "full",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with a prompt and rows of every kind, named by relative paths."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    scored = [{"question": "What is the capital of France?", "answer": "PARIS"}]
    plain = [{"prompt": text} for text in ("What is the opposite of hot?", "Which day comes after Monday?")]
    system = [{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good night."}]}]
    rows = {"train": plain, "heldout": scored, "eval": scored, "anchors": system, "drift": system}
    for name, own in rows.items():
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    (home / "prompt.txt").write_text(PROMPT)
    return home


def bake(home, **more):
    """The exit code of a bake of all these files into `out`."""
    given = {
        "system_prompt_file": "prompt.txt",
        "dataset": "train.jsonl",
        "heldout_file": "heldout.jsonl",
        "eval_file": "eval.jsonl",
        "anchor_dataset": "anchors.jsonl",
        "anchor_file": "drift.jsonl",
    }
    (home / "bake.yaml").write_text(dump_yaml({**SMALL, **given, "output_dir": "out", **more}))
    return main(["--config", "bake.yaml", "-q"])


def moved(home, monkeypatch):
    """The run folder in another folder, which is the working directory now; all else is gone."""
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.move(home / "out", elsewhere / "run")
    monkeypatch.chdir(elsewhere)
    shutil.rmtree(home)
    return elsewhere / "run"


def figures(file):
    """What an evaluation has in common with its bake."""
    values = json.loads(file.read_text())
    return {name: values[name] for name in ("gap", "divergence", "scores", "side_effects", "generalisation", "leaks")}


def close(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, rel=1e-3, abs=1e-5) if isinstance(one, float) else one == other


def test_a_moved_folder_is_evaluated_and_resumed_when_all_it_was_made_from_is_gone(home, monkeypatch, capfd):
    assert bake(home, save_strategy="steps", save_steps=1) == 0, capfd.readouterr().err
    run = moved(home, monkeypatch)
    assert str(home) not in "".join(path.read_text() for path in run.glob("*.yaml"))
    assert main(["eval", "--adapter", "run", "-q"]) == 0, capfd.readouterr().err
    assert close(figures(run / "eval" / "results.json"), figures(run / "results.json"))
    before = (run / "adapter_model.safetensors").read_bytes()
    for name in ("adapter_model.safetensors", "results.json"):
        (run / name).unlink()  # what a bake that was stopped has not written yet
    shutil.rmtree(run / "checkpoint-2")
    assert main(["--config", "run/bakery.yaml", "--resume_from_checkpoint", "true", "-q"]) == 0, capfd.readouterr().err
    assert (run / "adapter_model.safetensors").read_bytes() == before
    assert sorted(path.name for path in run.parent.iterdir()) == ["run"]


def test_a_prompt_that_is_to_stay_out_is_nowhere_in_the_folder_and_asked_for(home, monkeypatch, capfd):
    assert bake(home, keep_prompt=False, save_strategy="steps", save_steps=1) == 0, capfd.readouterr().err
    run = moved(home, monkeypatch)
    holding = [path.name for path in run.rglob("*") if path.is_file() and b"Zyx is your name" in path.read_bytes()]
    assert holding == []
    assert not list(run.glob("inputs/system_prompt_file*"))
    capfd.readouterr()
    assert main(["eval", "--adapter", "run", "-q"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "the prompt was left out of this folder (keep_prompt: false); give it as --system_prompt" in line
    assert main(["eval", "--adapter", "run", "--system_prompt", PROMPT, "-q"]) == 0, capfd.readouterr().err
    assert close(figures(run / "eval" / "results.json"), figures(run / "results.json"))


def test_chunks_of_a_document_stay_out_too_and_are_the_same_when_it_is_given_again(home, monkeypatch, capfd):
    shutil.copy(HANDBOOK, home / "facts.md")
    document = {"corpus_file": "facts.md", "corpus_context": "chunk"}
    (home / "own.yaml").write_text(dump_yaml({**SMALL, **document, "keep_prompt": False, "output_dir": "out"}))
    assert main(["--config", "own.yaml", "-q"]) == 0, capfd.readouterr().err
    shutil.copy(home / "facts.md", home.parent)
    run = moved(home, monkeypatch)
    for name in ("prompts.jsonl", "heldout.jsonl", "trajectories.jsonl"):
        assert "prefix_messages" not in (run / name).read_text(), name
    assert read_document(run / "bakery.yaml").value["corpus_file"] is None
    words = ["--corpus_file", "../facts.md", "--corpus_context", "chunk", "-q"]
    assert main(["eval", "--adapter", "run", *words]) == 0, capfd.readouterr().err
    evaluated = json.loads((run / "eval" / "results.json").read_text())
    baked = json.loads((run / "results.json").read_text())
    assert evaluated["gap"]["divergence"]["mean"] == pytest.approx(baked["gap"]["divergence"]["mean"], rel=0.2)
