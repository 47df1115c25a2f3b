"""A bake of a model whose template opens thoughts: they are ended at their bound, what follows them is learned."""

import json
import shutil

import pytest

from bakery.cli import main
from bakery.training.trainer import ContextBakingTrainer
from tests.engine_support import STARTER, THINKING

SETTINGS = {
    "torch_dtype": "float32",
    "use_cpu": True,
    "prefix_messages": [{"role": "system", "content": "Write all answers in capital letters."}],
    "training_prompts": [f"What is the opposite of {word}?" for word in ("hot", "wet", "old", "big")],
    "self_prompts": 0,
    "self_anchors": 2,
    "num_trajectories": 2,
    "trajectory_length": 8,
    "thinking_length": 3,
    "max_steps": 4,
    "proof": "quick",
}


@pytest.fixture(scope="module")
def thinking_starter(tmp_path_factory):
    """The starter with a template of a thinking model, which it has not learned: it never ends its thoughts."""
    folder = tmp_path_factory.mktemp("model") / "starter"
    shutil.copytree(STARTER, folder)
    (folder / "chat_template.jinja").write_text(THINKING, "utf-8")
    return folder


@pytest.mark.parametrize("target_thinking", [True, False])
def test_thoughts_are_ended_at_their_bound_and_what_is_put_in_is_not_learned(
    thinking_starter, tmp_path, monkeypatch, target_thinking
):
    trainers = []
    train = ContextBakingTrainer.train
    monkeypatch.setattr(ContextBakingTrainer, "train", lambda self, **how: trainers.append(self) or train(self, **how))
    config = tmp_path / "bake.json"
    config.write_text(
        json.dumps({**SETTINGS, "model_name_or_path": str(thinking_starter), "target_thinking": target_thinking})
    )
    out = tmp_path / "out"
    assert main(["--config", str(config), "--output_dir", str(out), "--overwrite", "-q"]) == 0
    (trainer,) = trainers
    closing = trainer.session.tokenizer("\n</think>\n\n", add_special_tokens=False).input_ids
    assert len(trainer.pairs) >= 6
    for pair in trainer.pairs:
        (at,) = [
            at
            for at in range(len(pair.student_ids))
            if pair.student_ids[at : at + len(closing)] == closing and pair.student_targets[-1] > at
        ]
        behind = range(at + len(closing), len(pair.student_ids))
        assert pair.student_targets == [*(range(at - 3, at) if target_thinking else ()), *behind]
        assert 1 <= len(behind) <= 8
        learned = [pair.teacher_ids[target] for target in pair.teacher_targets]
        assert learned == [pair.student_ids[target] for target in pair.student_targets]
    proof = json.loads((out / "results.json").read_text("utf-8"))
    assert proof["scores"]
    decode, answers = trainer.session.tokenizer.decode, [one for _, own in trainer.trajectories for one in own]
    for line, answer in zip((out / "trajectories.jsonl").read_text("utf-8").splitlines(), answers, strict=True):
        said = json.loads(line)["messages"][-1]
        ids = list(answer.trajectory.ids)
        assert said["reasoning_content"] == decode(ids[:3]).strip("\n")
        assert said["content"] == decode(ids[3 + len(closing) :], skip_special_tokens=True)
    settings = (out / "bakery.yaml").read_text("utf-8")
    assert "thinking_length: 3" in settings
    assert main(["eval", "--adapter", str(out), "--output_dir", str(tmp_path / "again"), "-q"]) == 0
