"""Asking and comparing: any condition along the teacher's answers, every figure summed by prompt."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED
from bakery.engine.distill.samplers.local import LocalSampler
from bakery.engine.distill.samplers.sampler import Trajectory
from bakery.errors import DataError
from bakery.evaluation.evaluator import CONDITIONS, Evaluator, first_difference
from bakery.evaluation.proof_rows import as_rows
from bakery.evaluation.replies import Ask
from tests.engine_support import make_trainer, thinking_tokenizer, tiny_model
from tests.proof_support import proof_rows


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_the_first_difference_is_where_common_beginnings_end(one, other):
    position = first_difference(one, other)
    if position is None:
        assert one == other
    else:
        assert one[:position] == other[:position]
        assert one[position : position + 1] != other[position : position + 1]


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp("run"), model=tiny_model(trained=True))
    return Evaluator.by(trainer.engine, trainer.session.builder, max_new_tokens=8, seed=5)


def test_a_missing_answer_is_written_by_the_teacher_and_a_given_one_is_taken(evaluator):
    asked, *_ = as_rows(proof_rows().sets["heldout"])
    given = replace(asked, messages=(*asked.messages, {"role": "assistant", "content": "Ahoy!"}))
    (pair,) = evaluator.answered([given]).pairs
    target_ids = [pair.student_ids[target] for target in pair.student_targets]
    assert evaluator.engine.tokenizer.decode(target_ids, skip_special_tokens=True).strip() == "Ahoy!"
    (written,) = evaluator.replies(PROMPTED, evaluator.prompts([asked]), temperature=1.0, seed=evaluator.seed)
    (pair,) = evaluator.answered([asked]).pairs
    assert tuple(pair.student_ids[target] for target in pair.student_targets) == written.ids


def test_every_condition_is_compared_in_its_own_view(evaluator):
    rows = evaluator.answered(as_rows(proof_rows().sets["heldout"]))
    distance = {condition: evaluator.compare(condition, rows).nats().mean for condition in CONDITIONS}
    assert distance[PROMPTED] == pytest.approx(0, abs=1e-6), "the teacher is no distance from itself"
    assert len({round(nats, 6) for nats in distance.values()}) == 4
    assert min(distance[BASE], distance[BAKED], distance[BAKED_PROMPTED]) > 1e-3


def test_the_teacher_of_an_anchor_is_the_base(evaluator):
    rows = evaluator.answered(as_rows(proof_rows().sets["heldout"]), anchor=True)
    assert evaluator.compare(BASE, rows).nats().mean == pytest.approx(0, abs=1e-6)
    assert evaluator.compare(BAKED, rows).nats().mean > 1e-3


def test_sums_by_prompt_hold_every_token_once(evaluator):
    rows = evaluator.answered(as_rows(proof_rows().sets["heldout"]))
    comparison = evaluator.compare(BAKED, rows)
    sums, counts = comparison.by_prompt(comparison.divergence)
    assert len(sums) == 8
    assert sum(counts) == comparison.divergence.numel() == sum(len(pair.teacher_targets) for pair in rows.pairs)
    assert sum(sums) == pytest.approx(comparison.divergence.double().sum().item())
    same = replace(comparison, rows=replace(rows, pairs=tuple(replace(pair, source="one") for pair in rows.pairs)))
    assert len(same.by_prompt(comparison.divergence)[0]) == 1, "the pairs of one row are one prompt"


def test_a_question_gets_the_same_drawn_answer_whatever_is_asked_with_it(evaluator):
    rows = as_rows(proof_rows().sets["heldout"])
    fresh = [Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5) for _ in range(2)]
    together, (alone,) = fresh[0].answered(rows).pairs, fresh[1].answered(rows[3:4]).pairs
    assert together[3] == alone


def test_a_longer_answer_goes_on_from_a_shorter_one_and_is_that_of_no_draft(evaluator):
    prompts = evaluator.prompts(as_rows(proof_rows().sets["heldout"]))
    short, fresh = (Evaluator.by(evaluator.engine, evaluator.builder, size, seed=5) for size in (3, 8))
    short.replies(PROMPTED, prompts, temperature=1.0, seed=5)
    longer = Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5, earlier=short)
    assert longer.replies(PROMPTED, prompts, temperature=1.0, seed=5) == fresh.replies(
        PROMPTED, prompts, temperature=1.0, seed=5
    )


def test_what_is_asked_together_is_one_batch_for_each_state_of_the_adapters(evaluator, monkeypatch):
    prompts, batches = evaluator.prompts(as_rows(proof_rows().sets["heldout"])), []
    decode = LocalSampler._decode
    monkeypatch.setattr(LocalSampler, "_decode", lambda *rest: batches.append(1) or decode(*rest))
    fresh = Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5)
    asks = {condition: Ask(condition, prompts) for condition in CONDITIONS}
    replies = fresh.ask({**asks, "drawn": Ask(PROMPTED, prompts, 1.0, 5)})
    assert len(batches) == 2
    for condition in CONDITIONS:
        alone = Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5)
        assert replies[condition] == alone.replies(condition, prompts)


def test_an_answer_that_training_was_measured_on_is_not_asked_for_again(evaluator):
    (row,) = as_rows(proof_rows().sets["heldout"])[:1]
    (prompt,) = evaluator.prompts([row])
    answer = Trajectory(0, 0, (5, 6, 7, 8, 9, 10, 11, 12), stopped=False)
    pair = prompt.with_answer(answer.ids)
    fresh = Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5)
    fresh.learn([(prompt, answer)], temperature=0.7)
    assert fresh.answered([row]).pairs != (pair,), "drawn at another temperature it is another answer"
    fresh = Evaluator.by(evaluator.engine, evaluator.builder, 8, seed=5)
    fresh.learn([(prompt, answer)], temperature=1.0)
    (answered,) = fresh.answered([row]).pairs
    assert answered.teacher_ids == pair.teacher_ids


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    trainer = make_trainer(
        tmp_path_factory.mktemp("thinker"), model=tiny_model(trained=True), processing_class=thinking_tokenizer()
    )
    # The rows of the trainer have answers without thoughts.
    trainer.session.builder.thinking_off = {}
    return Evaluator.by(trainer.engine, trainer.session.builder, 6, seed=5, thinking_length=4)


def test_thoughts_are_bounded_for_every_condition_and_what_is_put_in_is_not_compared(thinker):
    rows = as_rows(proof_rows().sets["heldout"])
    prompts = thinker.prompts(rows)
    closing = thinker.thinking.tokens.closing
    for condition in CONDITIONS:
        for reply in thinker.replies(condition, prompts):
            assert reply.forced == range(4, 4 + len(closing))
            assert reply.ids[4 : 4 + len(closing)] == closing
            assert reply.begin == 4 + len(closing)
            assert len(reply.answer_ids) == 6 or reply.stopped
            assert reply.answer == thinker.engine.tokenizer.decode(reply.answer_ids, skip_special_tokens=True).strip()
    written = thinker.ask({None: thinker.ask_for_answers(rows)})[None]
    for pair, reply in zip(thinker.answered(rows).pairs, written, strict=True):
        learned = (*reply.ids[:4], *reply.answer_ids)
        assert tuple(pair.student_ids[at] for at in pair.student_targets) == learned


def test_a_longer_answer_behind_bounded_thoughts_goes_on_from_a_shorter_one(thinker):
    prompts = thinker.prompts(as_rows(proof_rows().sets["heldout"]))
    short, fresh = (Evaluator.by(thinker.engine, thinker.builder, size, seed=5, thinking_length=4) for size in (2, 6))
    cut = short.replies(PROMPTED, prompts)
    longer = Evaluator.by(thinker.engine, thinker.builder, 6, seed=5, earlier=short, thinking_length=4)
    assert longer.replies(PROMPTED, prompts) == fresh.replies(PROMPTED, prompts)
    short = Evaluator.by(thinker.engine, thinker.builder, 2, seed=5, earlier=longer, thinking_length=4)
    assert [reply.ids for reply in short.replies(PROMPTED, prompts)] == [reply.ids for reply in cut]


def test_answers_cut_in_thoughts_that_are_not_learned_are_counted_and_refused_where_all_are(thinker, monkeypatch):
    rows = as_rows(proof_rows().sets["heldout"])
    unbounded = replace(thinker, thinking=None)
    monkeypatch.setattr(unbounded.builder, "target_thinking", False)
    with pytest.raises(DataError, match="none of the teacher's answers got out of its thoughts"):
        unbounded.answered(rows)
    answered = thinker.answered(rows)
    assert (answered.cut, len(answered.pairs)) == (0, 8)
    asked = thinker.ask_for_answers(rows)
    written = thinker.ask({None: asked})[None]
    for pair, reply in zip(answered.pairs, written, strict=True):
        assert tuple(pair.student_ids[at] for at in pair.student_targets) == reply.answer_ids
    some = [replace(reply, ids=reply.ids[:4], forced=range(0)) for reply in written[:3]]
    without = thinker.with_answers(rows, asked, [*some, *written[3:]])
    assert (without.cut, len(without.pairs)) == (3, 5)
