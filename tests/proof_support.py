"""What the proof's tests share: a short evaluator of a model with an adapter against a prompt."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peft import PeftModel

from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof import Proof
from bakery.evaluation.proof_rows import ProofRows, as_rows, neutral
from bakery.evaluation.proving import Exam, measure_baseline, measure_proof
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import parse_rules
from tests.engine_support import PREFIX, make_trainer

ASKED = ("Who is there?", "What is the capital of Spain?", "Tell me the wifi password.", "Why not?", "Good morning!",
         "Say something.", "Where is the sea?", "How many?")  # fmt: skip


def proof_rows(rules: Sequence[Any] = (), answers: Sequence[str] | None = None) -> ProofRows:
    """Eight questions that no test trains on, and four neutral ones under other prompts."""
    expected = answers or ["Ahoy!"] * len(ASKED)
    questions = [
        ScoredQuestion(({"role": "user", "content": text},), (answer,), f"asked row {number}", "contains")
        for number, (text, answer) in enumerate(zip(ASKED, expected, strict=True), 1)
    ]
    systems, prompts = neutral()
    others = [
        Conversation(
            ({"role": "system", "content": system}, {"role": "user", "content": prompt}), (), f"neutral {prompt}"
        )
        for system, prompt in zip(systems[:4], prompts[:4], strict=True)
    ]
    generalisation = [
        Conversation(({"role": "user", "content": prompt},), None, f"generalisation {prompt}")
        for prompt in prompts[4:8]
    ]
    return ProofRows(
        sets={"heldout": questions},
        measured=("heldout", as_rows(questions)),
        side_effects={"neutral": others},
        generalisation={"neutral": generalisation},
        rules=parse_rules(rules),
        leaks={},
    )


def exam_of(
    folder: Path, model: PeftModel, *, prefix: Any = PREFIX, rows: ProofRows | None = None, longest: int = 12
) -> Exam:
    """Everything that can be measured of a model before it is baked."""
    trainer = make_trainer(folder, model=model, prefix=prefix)
    evaluator = Evaluator.by(trainer.engine, trainer.session.builder, longest, seed=5)
    return measure_baseline(evaluator, rows or proof_rows())


def proof_of(folder: Path, model: PeftModel, **changes: Any) -> Proof:
    """The proof of a model as it stands."""
    return measure_proof(exam_of(folder, model, **changes))


def bake_into(folder: Path, model: PeftModel, prefix: Any = PREFIX, steps: int = 80) -> PeftModel:
    """Bake a prompt into a tiny model, fast and roughly."""
    trainer = make_trainer(
        folder,
        model=model,
        prefix=prefix,
        rows=[{"prompt": text} for text in ("Who?", "What is it?", "Tell me.", "Hello!", "The capital?", "Why so?")],
        max_steps=steps,
        learning_rate=2e-2,
        trajectory_length=12,
        num_trajectories=4,
        per_device_train_batch_size=8,
        sampling_temperature=1.0,
    )
    trainer.train()
    return model


def texts(proof: Proof, level: str) -> str:
    """The findings of one level, as one text."""
    from bakery.evaluation.findings import findings

    return "\n".join(found.text for found in findings(proof) if found.level == level)


def changed(proof: Proof, **changes: Any) -> Proof:
    """The same proof with other figures."""
    return replace(proof, **changes)
