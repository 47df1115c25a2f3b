"""The price of a proof: never fewer rows than a verdict needs, more rows for more time, and nothing is asked twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.engine.distill.samplers.local import LocalSampler
from bakery.evaluation.budget import seconds_a_reply, some, within
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.proof_rows import EXAMPLES, ProofRows
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from tests.engine_support import make_trainer, tiny_model

law = settings(max_examples=60, deadline=None, database=None)
sizes = st.integers(1, 80)


def conversation(name: str) -> Conversation:
    return Conversation(({"role": "user", "content": f"What is {name}?"},), None, name)


def made_rows(main: int = 48, other: int = 30, own: int = 40, neutral: int = 24, topics: int = 20) -> ProofRows:
    """Rows of every kind, so many of each."""

    def rows(name, count):
        return [conversation(f"{name} {number}") for number in range(count)]

    def questions(name, count):
        return [ScoredQuestion(row.messages, (), row.source) for row in rows(name, count)]

    return ProofRows(
        sets={"heldout": questions("heldout", main), "eval": questions("eval", other)},
        measured_on="heldout",
        measured=rows("heldout", main),
        side_effects={"anchor_file": rows("own", own), "neutral": rows("neutral", neutral)},
        generalisation={"neutral": rows("topic", topics)},
        rules=(),
        leaks={},
    )


def counts(rows: ProofRows) -> list[int]:
    """How many rows there are of every kind, the most valuable first; of what is measured or not, 1 or 0."""
    drift = (rows.side_effects.get("anchor_file", ()), rows.side_effects.get("neutral", ()))
    then = rows.sets.get("eval", ()), rows.generalisation.get("neutral", ())
    first = [len(rows.sets["heldout"]), int(rows.drift_tokens is None)]
    return [*first, *map(len, drift), int(rows.both), *map(len, then), rows.examples, int(rows.noise)]


@law
@given(sizes, sizes, sizes, sizes, sizes, st.floats(-100, 2000))
def test_there_are_never_fewer_than_a_verdict_needs_nor_more_than_there_are(main, other, own, neutral, topics, replies):
    whole = made_rows(main, other, own, neutral, topics)
    chosen = within(whole, replies)
    assert len(chosen.measured) == len(chosen.sets["heldout"]) >= min(16, main)
    assert len(chosen.side_effects["anchor_file"]) >= min(16, own)
    assert all(few <= many for few, many in zip(counts(chosen), counts(whole), strict=True))
    asked = {question.source for question in chosen.sets["heldout"]}
    assert asked == {row.source for row in chosen.measured}


@law
@given(st.floats(0, 2000), st.floats(0, 500))
def test_more_time_never_costs_what_is_worth_most(replies, more):
    before, after = (counts(within(made_rows(), time)) for time in (replies, replies + more))
    first = next((at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]), None)
    assert first is None or after[first] > before[first]


def test_with_time_for_all_nothing_is_left_out_and_with_none_it_is_said():
    whole = within(made_rows(), 1e6)
    assert (counts(whole), whole.left_out) == (counts(made_rows()), ())
    assert whole.examples == EXAMPLES
    least = within(made_rows(), 0)
    assert counts(least) == [16, 0, 16, 0, 0, 0, 0, 0, 0]
    assert least.left_out == (
        "32 of 48 held-out questions",
        "24 of 40 your prompts (drift)",
        "all 24 neutral prompts (drift)",
        "all 30 evaluation questions",
        "all 20 neutral prompts (other topics)",
        "what comes after the first 32 tokens of an answer (drift)",
        "the baked model with the prompt",
    )


@law
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_larger_draw_has_those_of_a_smaller_one_in_their_order(size, one, other):
    rows = list(range(size))
    small, large = some(rows, min(one, other)), some(rows, max(one, other))
    assert len(small) == min(size, one, other)
    assert set(small) <= set(large)
    assert large == sorted(large)


@pytest.fixture
def evaluator(tmp_path):
    trainer = make_trainer(tmp_path, model=tiny_model(trained=True))
    return Evaluator.by(trainer.engine, trainer.session.builder, max_new_tokens=6, seed=5)


def test_the_first_questions_are_timed_and_never_asked_again(evaluator, monkeypatch):
    rows, clock = made_rows(), iter([10.0, 90.0])
    # Base, prompted and baked model on 16 questions, drawn answers of the teacher to these and to 16 drift rows.
    assert seconds_a_reply(evaluator, rows, lambda: next(clock)) == 80 / (5 * 16)
    sampled: list = []
    sample = LocalSampler.sample

    def counted(self, prompts, *rest):
        sampled.extend(prompts)
        return sample(self, prompts, *rest)

    monkeypatch.setattr(LocalSampler, "sample", counted)
    prompts = evaluator.prompts([*some(rows.measured, 16)])
    for condition in (BASE, PROMPTED, BAKED):
        evaluator.replies(condition, prompts)
    evaluator.answered(some(rows.measured, 16))
    assert sampled == []
    evaluator.at(0.5).replies(BAKED, prompts)
    assert len(sampled) == 16, "another strength is another model"
    evaluator.answered(rows.measured)
    assert len(sampled) == 16 + 32, "of more rows only the others are asked"
