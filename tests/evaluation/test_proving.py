"""Measuring a proof: the gap alone is the proof's, progress counts all work, scores follow from the replies."""

from dataclasses import replace

import pytest

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.evaluator import CONDITIONS, Evaluator
from bakery.evaluation.proof_rows import as_rows
from bakery.evaluation.proving import SetReplies, answered_questions, measure_baseline, measure_gap, measure_proof
from bakery.evaluation.replies import Ask, KnownReplies, Reply
from bakery.progress import ProgressCallback
from tests.engine_support import make_trainer, tiny_model
from tests.proof_support import proof_rows


class Counter(ProgressCallback):
    """Counts the work it is told of."""

    def __init__(self) -> None:
        self.amount = self.tokens = 0

    def __call__(self, amount: int, tokens: int = 0, *, reused: bool = False) -> None:
        self.amount += amount
        self.tokens += tokens

    def tokens_only(self) -> ProgressCallback:
        counter = self

        class TokensOnly(ProgressCallback):
            def __call__(self, amount: int, tokens: int = 0, *, reused: bool = False) -> None:
                counter(0, tokens)

        return TokensOnly()


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp("run"), model=tiny_model(trained=True))
    return Evaluator.by(trainer.engine, trainer.session.builder, max_new_tokens=12, seed=5)


def test_progress_ends_at_the_announced_work(evaluator):
    rows = proof_rows()
    before, after = Counter(), Counter()
    baseline = measure_baseline(evaluator, rows, before)
    measure_proof(baseline, after)
    assert (before.amount, after.amount) == rows.work
    assert before.tokens > before.amount
    assert after.tokens > after.amount


def test_a_row_of_several_answers_is_compared_as_one_piece_of_work(evaluator):
    rows = evaluator.answered(proof_rows().measured)
    same = replace(rows, pairs=tuple(replace(pair, source="one row") for pair in rows.pairs))
    for answered, amount in ((rows, 8), (same, 1)):
        counter = Counter()
        replace(evaluator, on_progress=counter).compare(BASE, answered)
        assert counter.amount == amount
        assert counter.tokens >= sum(len(pair.teacher_targets) for pair in rows.pairs)


def test_a_given_answer_counts_as_much_as_one_that_is_written(evaluator):
    first, *others = proof_rows().measured
    given = replace(first, messages=(*first.messages, {"role": "assistant", "content": "Ahoy!"}))
    counter = Counter()
    replace(evaluator, on_progress=counter).answered([given, *others])
    assert counter.amount == 8


def test_the_gap_alone_is_that_of_the_baseline(evaluator):
    assert measure_gap(evaluator, proof_rows()) == measure_baseline(evaluator, proof_rows()).gap


def test_right_answers_and_agreement_are_those_behind_the_thoughts(evaluator):
    fresh = replace(evaluator, known=KnownReplies())
    prompts = fresh.prompts(as_rows(proof_rows().sets["heldout"]))
    for number, condition in enumerate(CONDITIONS):
        answer = "Ahoy!" if condition in (PROMPTED, BAKED) else "Well."
        ids = (5, 6, number, 7, *((8,) if answer == "Ahoy!" else (9,)), 2)
        reply = Reply(f"Ahoy! {answer}", ids, True, begin=4, answer=answer)
        for request in Ask(fresh.actual(condition), prompts).requests():
            fresh.known.replies[request] = reply
    proof = measure_proof(measure_baseline(fresh, proof_rows([{"name": "greets", "regex": "^Ahoy!"}])))
    (score,), (rule,) = proof.sets.values(), proof.rules
    scores = [score.conditions[condition] for condition in CONDITIONS]
    assert [one.accuracy.mean for one in scores] == [0, 1, 1, 0]
    assert [one.agreement.mean for one in scores] == [0, 1, 1, 0]
    assert [rule.conditions[condition].mean for condition in CONDITIONS] == [0, 1, 1, 0]


def test_a_few_beginnings_tell_the_gap_and_all_rows_that_there_is_none(evaluator):
    rows = proof_rows()
    many = replace(rows, measured=[replace(row, source=f"{row.source} {n}") for n in range(3) for row in rows.measured])
    gap = measure_gap(evaluator, many, short=True)
    assert (gap.divergence.n, gap.agreement) == (16, None)
    blind = Evaluator.by(replace(evaluator.engine, teacher_condition=BASE), evaluator.builder, 12, seed=5)
    none = measure_gap(blind, many, short=True)
    assert (none.is_none, none.divergence.n) == (True, 24)


def test_scores_are_those_of_the_replies(evaluator):
    first = measure_proof(measure_baseline(evaluator, proof_rows()))
    prompted = [one.replies[PROMPTED].text for one in first.main_set.questions]
    proof = measure_proof(measure_baseline(evaluator, proof_rows(answers=[*prompted[:4], *["never said"] * 4])))
    scores = proof.main_set.conditions
    assert list(scores) == list(CONDITIONS)
    assert scores[PROMPTED].agreement.mean == 1.0
    assert scores[PROMPTED].first_difference is None
    for condition, score in scores.items():
        one_by_one = [one.right[condition] for one in proof.main_set.questions]
        assert score.accuracy.mean == sum(one_by_one) / 8
        assert score.length.mean == sum(len(one.replies[condition].ids) for one in proof.main_set.questions) / 8
    assert scores[PROMPTED].accuracy.mean >= 0.5
    base, baked, teacher = (scores[condition].accuracy.mean for condition in (BASE, BAKED, PROMPTED))
    assert proof.main_set.recovered.mean == pytest.approx((baked - base) / (teacher - base))


def test_questions_without_an_expected_answer_have_no_accuracy(evaluator):
    rows = proof_rows()
    asked = [replace(question, answers=()) for question in rows.sets["heldout"]]
    (score,) = measure_proof(measure_baseline(evaluator, replace(rows, sets={"heldout": asked}))).sets.values()
    assert score.recovered is None
    assert all(one.accuracy is None for one in score.conditions.values())
    assert all(one.right is None for one in score.questions)


def test_positions_reach_as_far_as_three_answers_do(evaluator):
    rows = proof_rows()
    answers = [{"role": "assistant", "content": "Ahoy! " * count} for count in range(1, 9)]
    measured = [replace(row, messages=(*row.messages, a)) for row, a in zip(rows.measured, answers, strict=True)]
    baseline = measure_baseline(evaluator, replace(rows, measured=measured))
    positions = measure_proof(baseline).divergence.positions
    by_row = baseline.before.by_row(baseline.before.divergence)
    lengths = sorted(map(len, by_row))
    assert lengths[0] < lengths[-3] < lengths[-1]
    assert [at.position for at in positions] == list(range(1, lengths[-3] + 1))
    for at in positions:
        column = [row[at.position - 1] for row in by_row if len(row) >= at.position]
        assert at.n == len(column)
        assert at.before.mean == pytest.approx(sum(column) / len(column))


def test_a_rule_is_scored_on_the_questions_it_applies_to(evaluator):
    proof = measure_proof(
        measure_baseline(evaluator, proof_rows([{"name": "short", "max_words": 1000, "when": "^Who|^Why"}]))
    )
    (score,) = proof.rules
    assert (score.name, score.check, score.n) == ("short", "max_words", 2)
    assert [share.mean for share in score.conditions.values()] == [1.0] * 4


def test_where_time_is_short_the_drift_is_that_of_the_beginnings_of_answers(evaluator):
    whole = measure_baseline(evaluator, proof_rows()).side_effects["neutral"]
    short = measure_baseline(evaluator, replace(proof_rows(), drift_tokens=3)).side_effects["neutral"]
    for answer, beginning in zip(whole.pairs, short.pairs, strict=True):
        assert 1 <= len(beginning.teacher_targets) <= 3 < len(answer.teacher_targets)
        assert answer.teacher_ids[: len(beginning.teacher_ids)] == beginning.teacher_ids
    others = [measure_baseline(evaluator, replace(proof_rows(), drift_tokens=n)).before.divergence for n in (None, 3)]
    assert others[0].equal(others[1]), "nothing else is shorter"


def test_what_is_judged_is_the_answer_behind_the_thoughts():
    (question, *_) = proof_rows().sets["heldout"]
    silent, said = Reply("Ahoy! I think.", (1, 2), True, 1, "No."), Reply("Hm. Ahoy!", (1, 2), True, 1, "Ahoy!")
    asked = SetReplies([question], [], {BASE: [silent], PROMPTED: [said]})
    (answered,) = answered_questions(asked)
    assert answered.right == {BASE: False, PROMPTED: True}
    unknown = replace(asked, questions=[replace(question, answers=())])
    assert answered_questions(unknown)[0].right is None
