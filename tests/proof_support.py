"""What the proof's tests share: a short evaluator of a model with an adapter against a prompt, and made-up proofs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from peft import PeftModel

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE
from bakery.evaluation.estimates import Estimate, mean
from bakery.evaluation.evaluator import CONDITIONS, Evaluator
from bakery.evaluation.findings import findings
from bakery.evaluation.proof import (
    AnsweredQuestion,
    ConditionScore,
    Divergence,
    Example,
    Gap,
    Generalisation,
    PositionDivergence,
    Proof,
    SetScore,
    TeacherNoise,
)
from bakery.evaluation.proof_rows import ProofRows, as_rows, neutral
from bakery.evaluation.proving import Baseline, measure_baseline, measure_proof
from bakery.evaluation.replies import Reply
from bakery.evaluation.request_cost import RequestCost
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
        measured_on="heldout",
        measured=as_rows(questions),
        side_effects={"neutral": others},
        generalisation={"neutral": generalisation},
        rules=parse_rules(rules),
        leaks={},
    )


def baseline_of(
    folder: Path, model: PeftModel, *, prefix: Any = PREFIX, rows: ProofRows | None = None, longest: int = 12
) -> Baseline:
    """Everything that can be measured of a model before it is baked."""
    trainer = make_trainer(folder, model=model, prefix=prefix)
    evaluator = Evaluator.by(trainer.engine, trainer.session.builder, longest, seed=5)
    return measure_baseline(evaluator, rows or proof_rows())


def proof_of(folder: Path, model: PeftModel, **changes: Any) -> Proof:
    """The proof of a model as it stands."""
    return measure_proof(baseline_of(folder, model, **changes))


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
    return "\n".join(one.text for one in findings(proof) if one.level == level)


def nats(figure: float) -> Estimate:
    """A figure with a narrow interval over twenty prompts."""
    return Estimate(figure, 0.01, 20, figure - 0.02, figure + 0.02)


def share(figure: float, high: float | None = None) -> Estimate:
    """A share with a wide interval over twenty prompts."""
    high = min(1.0, figure + 0.2) if high is None else high
    return Estimate(figure, 0.1, 20, max(0.0, figure - 0.2), high)


def made_proof(
    *,
    gap: float = 2.0,
    largest_row: float = 3.0,
    before: float = 2.0,
    after: float = 0.1,
    baked_prompted: float = 0.1,
    accuracy: float | None = 0.9,
    baked_accuracy: Estimate | None = None,
    length: float = 10.0,
    elsewhere: float = 0.8,
    measured_on: str = "heldout",
    **changes: Any,
) -> Proof:
    """A proof of made-up figures, good unless they say something else; `changes` replace whole fields."""
    right = None if accuracy is None else share(accuracy)
    whole = ConditionScore(right, share(1.0), None, nats(10.0), share(1.0))
    baked = replace(whole, accuracy=baked_accuracy or right, length=nats(length), first_difference=3.0)
    replies = dict.fromkeys(CONDITIONS, Reply("Ahoy!", (1, 2), True))
    question = ScoredQuestion(({"role": "user", "content": ASKED[0]},), ("Ahoy!",), "asked row 1")
    answered = AnsweredQuestion(question, replies, dict.fromkeys(CONDITIONS, True))
    closed = nats(1 - after / before)
    top_1 = {condition: share(0.9) for condition in (BASE, BAKED, BAKED_PROMPTED)}
    position = PositionDivergence(1, 20, nats(before), nats(after))
    proof = Proof(
        measured_on=measured_on,
        gap=Gap(nats(gap), largest_row, share(0.3), share(0.1)),
        sets={
            measured_on: SetScore(
                {**dict.fromkeys(CONDITIONS, whole), BAKED: baked}, mean([0.5]) if right else None, (answered,)
            )
        },
        divergence=Divergence(
            nats(before), nats(after), nats(baked_prompted), closed, 80, nats(1.0), 1e-7, top_1, (position,)
        ),
        rules=(),
        side_effects={"neutral": nats(0.05)},
        generalisation={"neutral": Generalisation(nats(before), nats(after), share(elsewhere))},
        noise=TeacherNoise(share(0.2), 2.0),
        request_cost=RequestCost(80.0, 0.02, 0.01, 0.009, 1 << 20),
        examples=(Example(answered, {BASE: (("Ahoy", 3.0), ("!", 0.05))}),),
        leaks={},
    )
    return replace(proof, **changes)
