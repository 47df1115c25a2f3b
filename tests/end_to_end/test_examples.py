"""Every shipped example bakes through the real command, on the starter model and local rows of the same layout."""

import json
import random
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from bakery.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ALONE = ("quickstart", "document", "prompt_only")  # as they are written, by tests of their own
THINGS = ["grass", "snow", "coal", "a lemon", "the sky", "blood", "a carrot", "milk", "an orange", "a raven"]
PLACES = ["France", "Italy", "Spain", "Japan", "Egypt", "Kenya", "Norway", "Poland", "Peru", "Chile"]
# Overrides that make an example small; what it is about stays as it is written.
SMALL = {
    "model_name_or_path": "starter",
    "torch_dtype": "float32",
    "bf16": "false",
    "chat_template_kwargs": "null",
    "trajectory_length": "24",
    "num_trajectories": "4",
    "self_prompts": "0",
    "self_anchors": "0",
    "per_device_train_batch_size": "8",
    "gradient_accumulation_steps": "1",
    "learning_rate": "2e-3",
    "num_train_epochs": "12",
}


def questions(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    asked = [f"What colour is {thing}?" for thing in THINGS] + [f"What is the capital of {place}?" for place in PLACES]
    rng.shuffle(asked)
    return asked[:count]


def chats(path: Path, count: int, seed: int) -> None:
    """A parquet file as chat data sets on the hub have it: prompt, prompt_id, messages."""
    rows = [
        {
            "prompt": question,
            "prompt_id": f"{seed}-{number}",
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"It is {THINGS[number % len(THINGS)]}."},
                {"role": "user", "content": "And again?"},
                {"role": "assistant", "content": "The same."},
            ],
        }
        for number, question in enumerate(questions(count, seed))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows).to_parquet(str(path))


def rows_for(name: str, folder: Path) -> dict[str, str]:
    """Held-out rows for an example, and local rows in place of those on the hub."""
    heldout = folder / "heldout.jsonl"

    def write(rows: list[dict]) -> dict[str, str]:
        heldout.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return {"eval_dataset": str(heldout)}

    if name == "sft_dataset":
        hub = folder / "ultrachat_200k"
        chats(hub / "data" / "train_sft-00000-of-00001.parquet", 16, seed=1)
        chats(hub / "data" / "test_sft-00000-of-00001.parquet", 4, seed=2)
        return {"dataset": str(hub), "eval_dataset": str(hub)}
    if name in ("continual_memory", "pattern_targets"):
        file = {"continual_memory": "conversations.jsonl", "pattern_targets": "reasoned.jsonl"}[name]
        rows = [json.loads(line) for line in (ROOT / "examples/data" / file).read_text().splitlines()]
        train = folder / "train.jsonl"
        train.write_text("".join(json.dumps(row) + "\n" for row in rows[:18]))
        return {"dataset": str(train)} | write(rows[18:])
    if name == "per_row_prefix":
        personas = json.loads((ROOT / "examples/data/personas.json").read_text())
        return write(
            [personas[at] | {"prompt": personas[at]["prompt"].split(",")[0] + ", how are you?"} for at in (0, 8, 16)]
        )
    return write([{"prompt": question} for question in questions(6, seed=3)])


def test_there_is_one_for_every_journey():
    journeys = {"quickstart", "basic", "sft_dataset", "multi_turn_prefix", "continual_memory", "per_row_prefix"}
    assert {path.stem for path in EXAMPLES} == journeys | {"pattern_targets", "document", "prompt_only"}


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem not in ALONE], ids=lambda path: path.stem)
def test_an_example_bakes_and_the_student_learns(path, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    changes = SMALL | rows_for(path.stem, tmp_path) | {"output_dir": str(tmp_path / "out")}
    if path.stem == "sft_dataset":
        changes["dataset_split"], changes["eval_dataset_split"] = "train_sft[:16]", "test_sft[:4]"
    words = [f"--{key}={value}" for key, value in changes.items()]
    code = main(["--config", str(path), *words])
    assert code == 0, capfd.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["measured_on"] == "validation"
    before, after = (results["divergence"][when]["mean"] for when in ("before", "after"))
    assert after < 0.5 * before


def test_a_document_is_learned_and_proved_again(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    short = [
        "--self_prompts",
        "120",
        "--self_anchors",
        "0",
        "--num_train_epochs",
        "8",
        "--proof",
        "full",
        "--output_dir",
        str(tmp_path),
    ]
    assert main(["--config", "examples/document.yaml", "-q", *short]) == 0, capfd.readouterr().err
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["measured_on"] == "written"
    before, after = (results["divergence"][when]["mean"] for when in ("before", "after"))
    assert after < 0.5 * before
    lines = (tmp_path / "prompts.jsonl").read_text().splitlines()
    seen = {str(json.loads(line)["prefix_messages"]) for line in lines}
    assert len(seen) > 3  # every chunk has its own
    assert main(["eval", "--adapter", str(tmp_path), "-q"]) == 0, capfd.readouterr().err
    proved = json.loads((tmp_path / "eval" / "results.json").read_text())
    assert proved["divergence"]["after"] == pytest.approx(results["divergence"]["after"], rel=1e-4)


# Where an example would take minutes: fewer answers and fewer prompts of the model's own.
FEWER = {"basic", "multi_turn_prefix", "prompt_only", "document"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_on_a_cpu_as_it_is_written_with_the_starter(path, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    words = ["--model_name_or_path", "starter", "--max_steps", "2", "--output_dir", str(tmp_path / "out")]
    if path.stem in FEWER:
        words += ["--num_trajectories", "1", "--self_prompts", "8", "--self_anchors", "4"]
    code = main(["--config", str(path), *words])
    said = capfd.readouterr()
    if path.stem == "sft_dataset":  # its rows are on the hub
        first, second = said.err.splitlines()
        assert (code, first) == (3, "reading HuggingFaceH4/ultrachat_200k from the hub")
        assert second.startswith(
            "bakery: error: HuggingFaceH4/ultrachat_200k: cannot be read as a hub id: the hub cannot "
        )
        return
    assert code == 0, said.err
    asked = "bf16: true" in path.read_text()
    assert said.err.count("note: bf16 is not available on the CPU; ") == (
        asked and not torch.accelerator.is_available()
    )
    assert "The adapter is in" in said.out
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_the_quickstart_reaches_its_figures(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    assert main(["--config", "examples/quickstart.yaml", "--output_dir", str(tmp_path), "-q"]) == 0
    shown = capfd.readouterr()
    results = json.loads((tmp_path / "results.json").read_text())
    scores = {who: results["scores"]["heldout"][who]["accuracy"]["mean"] for who in ("base", "prompted", "baked")}
    assert scores["prompted"] >= 0.9
    assert scores["base"] <= 0.3
    assert scores["baked"] >= 0.98 * scores["prompted"]
    assert results["divergence"]["share_closed"]["mean"] >= 0.97
    assert results["side_effects"]["anchor_file"]["mean"] <= 0.2
    assert "base" in shown.out
    assert "prompted" in shown.out


def test_inspect_shows_both_views_and_the_gap_before_anything_is_baked(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    words = ["--config", "examples/quickstart.yaml", "--rows", "1", "--gap", "--output_dir", str(tmp_path / "out")]
    assert main(["inspect", *words]) == 0
    shown = capfd.readouterr().out
    for part in ("teacher", "student", "Marlow", "Context gap", "nats per token from the prompted model"):
        assert part in shown
    assert not (tmp_path / "out" / "results.json").exists()
