"""The library proves too: the trainer by its own rows, and `bake` as the documentation calls it."""

import re
from pathlib import Path

import torch

from bakery import BakeryConfig, ContextBakingTrainer, ContextConfig, create_dataset
from bakery.evaluation.verdict import verdict
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, adapter_weights, tiny_model, tokenizer

SHORT = {"use_cpu": True, "max_steps": 3, "disable_tqdm": True, "trajectory_length": 4, "num_trajectories": 1}
HOW_TO = Path(__file__).parents[1] / "docs" / "how-to.md"


def trained(folder, asked=None):
    """A trainer of a tiny model after three steps, with such questions to measure on."""
    trainer = ContextBakingTrainer(
        model=tiny_model(),
        args=BakeryConfig(output_dir=str(folder), **SHORT),
        context_config=ContextConfig(prefix_messages=PREFIX),
        train_dataset=create_dataset(QUESTIONS[:3], ANSWERS[:3]),
        eval_dataset=asked and create_dataset(asked),
        processing_class=tokenizer(),
    )
    trainer.train()
    return trainer


def test_the_trainer_proves_what_it_has_trained_and_leaves_it_alone(tmp_path):
    trainer = trained(tmp_path, [f"What is {number} and {number}?" for number in range(20)])
    weights = adapter_weights(trainer.model)
    proof = trainer.prove()
    assert proof.measured_on == "validation"
    assert proof.divergence.after.n >= 16
    assert proof.divergence.after.mean != proof.divergence.before.mean
    assert (proof.training.steps, proof.training.limit, proof.training.rows) == (3, "max_steps: 3", 3)
    assert all(torch.equal(weight, weights[name]) for name, weight in adapter_weights(trainer.model).items())


def test_without_other_rows_nothing_is_proved_about_others(tmp_path):
    proof = trained(tmp_path).prove()
    assert proof.measured_on == "training"
    assert any("Measured on training rows" in reason for reason in verdict(proof).reasons)


def test_the_bake_of_the_documentation_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
        if "BakeSettings(" in block
    )
    short = "max_steps=1, trajectory_length=8, num_trajectories=1, use_cpu=True"
    code = code.replace('output_dir="outputs/ada"', f'output_dir="outputs/ada", {short}')
    code = code.replace("DataConfig()", "DataConfig(self_prompts=4, self_anchors=0)")
    told = []
    exec(code, {"print": lambda *values: told.append(values)})
    assert (tmp_path / "outputs/ada/adapter_model.safetensors").is_file()
    assert told[0][1] == Path("outputs/ada")


def test_the_trainer_proves_when_it_is_asked_to_even_where_a_bake_would_not(tmp_path):
    trainer = trained(tmp_path, [f"What is {number}?" for number in range(3)])
    trainer.args.proof = "none"
    assert trainer.prove().measured_on == "validation"
