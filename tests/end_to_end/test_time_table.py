"""At its end a bake says where the time went: every stage, its tokens, and no moment twice."""

import json
import re

import pytest

from bakery.cli import main
from bakery.progress import STAGES
from bakery.rows.conversations import conversations
from bakery.rows.datasets import create_dataset
from tests.engine_support import QUESTIONS, make_trainer, tiny_model

SETTINGS = {
    "model_name_or_path": "starter",
    "torch_dtype": "float32",
    "use_cpu": True,
    "prefix_messages": [{"role": "system", "content": "Write all answers in capital letters."}],
    "training_prompts": ["What is the capital of France?", "What is the colour of grass?",
                         "What is the opposite of hot?"],
    "validation_share": 0,
    "self_prompts": 2,
    "self_anchors": 2,
    "num_trajectories": 2,
    "trajectory_length": 24,
    "per_device_train_batch_size": 4,
    "num_train_epochs": 2,
}  # fmt: skip


def test_the_table_at_the_end_holds_all_stages_and_their_tokens(tmp_path, capfd):
    (tmp_path / "bake.json").write_text(json.dumps(SETTINGS))
    out = tmp_path / "out"
    assert main(["--config", str(tmp_path / "bake.json"), "--output_dir", str(out)]) == 0
    said = capfd.readouterr()
    spent = json.loads((out / "results.json").read_text())["spent"]
    # The states that answers are sampled from are the teacher's: it is not asked again.
    stages = [stage for stage in (*dict.fromkeys(STAGES.values()), "other") if stage != "teacher"]
    assert list(spent) == [stage for stage in stages if stage != "saving"]
    assert all(entry["seconds"] >= 0 for entry in spent.values()), "a moment was counted twice"
    assert spent["training"]["seconds"] > 0
    targets = spent["sampling"]["tokens"]
    assert targets > 0
    assert spent["training"]["tokens"] == 2 * targets, "every sampled token is trained on once an epoch"
    assert spent["prefix"]["tokens"] > 0
    measuring = [line for line in said.err.splitlines() if "  measuring the " in line]
    assert len(measuring) == 2
    assert all("answers/s" in line and "tokens/s" in line for line in measuring)

    header, *lines = said.out.partition("Where the time went")[2].splitlines()[: len(stages) + 2]
    assert header.split() == ["time", "share", "tokens", "tokens/s"]
    rows = {line.split()[0]: re.sub(r"(\d) (s|%)", r"\1\2", line).split()[1:] for line in lines}
    assert list(rows) == [*stages, "whole"]
    assert rows["training"][2] == f"{2 * targets:,}"
    times = {name: float(cells[0].removesuffix("s")) for name, cells in rows.items()}
    assert sum(times.values()) - times["whole"] == pytest.approx(times["whole"], abs=0.05 * len(rows))
    shares = [int(cells[1].removesuffix("%")) for cells in rows.values()]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.5 * len(rows))
    assert shares[-1] == 100


def test_what_a_stopped_run_left_is_called_reused(tmp_path):
    asked, answered = create_dataset(QUESTIONS), create_dataset(QUESTIONS[:2], ["Paris.", "Green."])
    rows = [*conversations(asked, "asked"), *conversations(answered, "answered")]
    first = make_trainer(tmp_path, model=tiny_model(trained=True), rows=rows)
    first.prepare()
    second = make_trainer(tmp_path, model=tiny_model(trained=True), rows=rows)
    second.prepare()
    computed, reused = ({spent.stage: spent for spent in t.progress.spent()} for t in (first, second))
    for stage in ("sampling", "teacher"):
        assert computed[stage].tokens == reused[stage].reused > 0
        assert computed[stage].reused == reused[stage].tokens == 0
