"""Measuring a proof: what does not depend on the adapter first, then the same for the baked model.

measure_gap        how much the prompt changes, from a few short answers: known before the bake
measure_baseline   base and prompted
measure_proof      baked, and baked with the prompt as well, on the same rows with the same seeds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.evaluator import AnsweredRows, Comparison, Evaluator, first_difference
from bakery.evaluation.merging import measure_merged
from bakery.evaluation.proof import (
    NO_GAP_NATS,
    AnsweredQuestion,
    ConditionScore,
    Divergence,
    Gap,
    Generalisation,
    PositionDivergence,
    Proof,
    RuleScore,
    SetScore,
    TeacherNoise,
)
from bakery.evaluation.proof_rows import FLOOR_ROWS, ProofRows, as_rows
from bakery.evaluation.replies import Ask, Reply
from bakery.evaluation.request_cost import RequestCost, measure_request_cost
from bakery.evaluation.shown_answers import examples
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation, evenly
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.answers import is_right
from bakery.scoring.rules import Rule

GAP_ROWS, GAP_TOKENS = 16, 16
"""Rows, and tokens of their answers, from which the gap is known before the bake."""
_MOST_POSITIONS = 64
_FEWEST_ROWS_A_POSITION = 3


@dataclass(frozen=True)
class SetReplies:
    """One set of questions with the replies of some conditions, question by question."""

    questions: Sequence[ScoredQuestion]
    prompts: Sequence[PromptPair]
    replies: Mapping[Condition, Sequence[Reply]]


@dataclass(frozen=True)
class Baseline:
    """Everything of a proof that does not depend on the adapter, measured once.

    `before` and `generalisation` compare the base with the teacher; each holds the rows it was compared along.
    """

    evaluator: Evaluator
    rows: ProofRows
    sets: Mapping[str, SetReplies]
    before: Comparison
    floor: float
    side_effects: Mapping[str, AnsweredRows]
    generalisation: Mapping[str, Comparison]
    noise: TeacherNoise | None
    request_cost: RequestCost
    gap: Gap


def measure_baseline(evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS) -> Baseline:
    """Ask base and prompted, and let the teacher answer every row."""
    evaluator = replace(evaluator, on_progress=on_progress)
    asks = baseline_asks(evaluator, rows)
    replies = ask_baseline(evaluator, rows, asks)

    def answered(kind: str, name: str, own: Sequence[Conversation], *, anchor: bool = False) -> AnsweredRows:
        return evaluator.with_answers(own, asks[kind, name], replies[kind, name], anchor=anchor)

    sets = {
        name: SetReplies(
            questions, asks["sets", name, BASE].prompts, {own: replies["sets", name, own] for own in (BASE, PROMPTED)}
        )
        for name, questions in rows.sets.items()
    }
    main = sets[rows.measured_on]
    before = evaluator.compare(BASE, answered("measured", rows.measured_on, rows.measured))
    return Baseline(
        evaluator=evaluator,
        rows=rows,
        sets=sets,
        before=before,
        floor=_floor(evaluator, before.rows),
        side_effects={
            name: answered("side_effects", name, others, anchor=True) for name, others in rows.side_effects.items()
        },
        generalisation={
            name: evaluator.compare(BASE, answered("generalisation", name, others))
            for name, others in rows.generalisation.items()
        },
        noise=_noise(replies["noise", 1], replies["noise", 2]) if rows.noise else None,
        request_cost=measure_request_cost(evaluator.engine, main.prompts),
        gap=_gap(before, main),
    )


BaselineKey = tuple[Any, ...]
"""The kind of rows, their name, and the condition where several are asked."""


def baseline_asks(evaluator: Evaluator, rows: ProofRows) -> dict[BaselineKey, Ask]:
    """All that is asked of base and teacher."""
    asks: dict[BaselineKey, Ask] = {("measured", rows.measured_on): evaluator.ask_for_answers(rows.measured)}
    for name, own in rows.generalisation.items():
        asks["generalisation", name] = evaluator.ask_for_answers(own)
    for name, questions in rows.sets.items():
        prompts = evaluator.prompts(as_rows(questions))
        asks |= {("sets", name, condition): Ask(condition, prompts) for condition in (BASE, PROMPTED)}
        if rows.noise and name == rows.measured_on:
            asks |= {("noise", one): Ask(PROMPTED, prompts, 1.0, evaluator.seed + one) for one in (1, 2)}
    for name, own in rows.side_effects.items():
        asks["side_effects", name] = evaluator.ask_for_answers(own, anchor=True)
    return asks


def ask_baseline(
    evaluator: Evaluator, rows: ProofRows, asks: Mapping[BaselineKey, Ask]
) -> dict[BaselineKey, list[Reply]]:
    """All replies of base and teacher; under other prompts no longer ones than the rows ask for."""
    if rows.drift_tokens is None:
        return evaluator.ask(asks)
    drift = {key: ask for key, ask in asks.items() if key[0] == "side_effects"}
    others = {key: ask for key, ask in asks.items() if key not in drift}
    return {**evaluator.ask(others), **evaluator.beginnings(rows.drift_tokens).ask(drift)}


def measure_gap(
    evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS, *, short: bool = False
) -> Gap:
    """Only how much the prompt changes, which `measure_baseline` measures too.

    Args:
        evaluator: asks the model.
        rows: those of the proof.
        on_progress: told of every answer and comparison.
        short: a few rows and the beginnings of their answers suffice, unless these show no gap; no greedy answers are
            asked for.
    """
    evaluator = replace(evaluator, on_progress=on_progress)
    if not short:
        questions = rows.sets[rows.measured_on]
        prompts = evaluator.prompts(as_rows(questions))
        replies = evaluator.ask({condition: Ask(condition, prompts) for condition in (BASE, PROMPTED)})
        return _gap(_before(evaluator, rows.measured), SetReplies(questions, prompts, replies))
    beginning = evaluator
    if evaluator.builder.target_thinking:  # else the beginnings may be thoughts, which are not compared
        beginning = replace(evaluator.beginnings(GAP_TOKENS), thinking=None)
    gap = _gap(_before(beginning, evenly(rows.measured, GAP_ROWS)))
    # A few rows may be those on which the prompt does not matter: all of them say that it changes nothing, or none.
    return _gap(_before(evaluator, rows.measured)) if gap.is_none else gap


def refuse_no_gap(gap: Gap, allowed: bool) -> None:
    """Stop before a bake that has nothing to learn.

    Raises:
        DataError: the prompt changes (almost) nothing and that is not allowed.
    """
    if gap.is_none and not allowed:
        raise DataError(
            f"the prompt changes (almost) nothing on these rows: {gap.divergence.mean:.2g} nats per token (below "
            f"{NO_GAP_NATS:g}), and {gap.top_1.mean:.0%} of the next tokens are the same; give another prompt, or "
            "rows on which it matters (training_prompts, dataset), or set allow_no_gap: true to bake all the same"
        )


def measure_proof(baseline: Baseline, on_progress: ProgressCallback = NO_PROGRESS, *, merged: bool = False) -> Proof:
    """Measure the baked model like the baseline, with and without the prompt; with `merged` the merged model as well.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    evaluator, rows, before = replace(baseline.evaluator, on_progress=on_progress), baseline.rows, baseline.before
    conditions = (BAKED, BAKED_PROMPTED) if rows.both else (BAKED,)
    further = evaluator.ask(
        {(name, one): Ask(one, asked.prompts) for name, asked in baseline.sets.items() for one in conditions}
    )
    replies = {
        name: replace(asked, replies={**asked.replies, **{one: further[name, one] for one in conditions}})
        for name, asked in baseline.sets.items()
    }
    sets = {name: _score(asked) for name, asked in replies.items()}
    questions = [answered for score in sets.values() for answered in score.questions]
    main = rows.measured_on
    return Proof(
        measured_on=main,
        gap=baseline.gap,
        sets=sets,
        divergence=_divergence(evaluator, before, baseline.floor, both=rows.both),
        rules=tuple(_rule_score(rule, asked) for rule in rows.rules if (asked := _asked_about(rule, questions))),
        side_effects={name: evaluator.compare(BAKED, others).nats() for name, others in baseline.side_effects.items()},
        generalisation={name: _generalisation(evaluator, base) for name, base in baseline.generalisation.items()},
        noise=baseline.noise,
        request_cost=baseline.request_cost,
        examples=examples(evaluator, replies[main].prompts, sets[main].questions, rows.examples),
        leaks=rows.leaks,
        left_out=rows.left_out,
        cut_in_thoughts=before.rows.cut,
        merged=measure_merged(evaluator, before.rows) if merged else None,
    )


def _before(evaluator: Evaluator, rows: Sequence[Conversation]) -> Comparison:
    """The base compared with the teacher."""
    return evaluator.compare(BASE, evaluator.answered(rows))


def _floor(evaluator: Evaluator, rows: AnsweredRows) -> float:
    """The teacher against itself in another batch, on a few rows: rounding alone."""
    few = replace(rows, pairs=rows.pairs[:FLOOR_ROWS])
    return float(evaluator.compare(PROMPTED, few).divergence.abs().mean())


def _noise(one: Sequence[Reply], other: Sequence[Reply]) -> TeacherNoise:
    """Two samples of the prompted model at temperature 1 to the same questions."""
    return TeacherNoise(_agreement(one, other), _first_difference(one, other))


def _gap(base: Comparison, asked: SetReplies | None = None) -> Gap:
    sums, counts = base.by_prompt(base.divergence)
    return Gap(
        divergence=base.nats(),
        largest_row=max(total / count for total, count in zip(sums, counts, strict=True)),
        top_1=base.top_1(),
        agreement=_agreement(asked.replies[BASE], asked.replies[PROMPTED]) if asked else None,
    )


def answered_questions(asked: SetReplies) -> tuple[AnsweredQuestion, ...]:
    """Every question with all replies and, where all questions expect an answer, which replies are right."""
    expected = all(question.answers for question in asked.questions)
    answered = []
    for number, question in enumerate(asked.questions):
        replies = {condition: own[number] for condition, own in asked.replies.items()}
        right = {
            condition: is_right(reply.judged, question.text, question.answers, question.check)
            for condition, reply in replies.items()
        }
        answered.append(AnsweredQuestion(question, replies, right if expected else None))
    return tuple(answered)


def _score(asked: SetReplies) -> SetScore:
    """One set of questions that every condition has answered."""
    answered = answered_questions(asked)
    judged = [one.right for one in answered if one.right is not None]
    rights = {condition: [float(right[condition]) for right in judged] for condition in asked.replies} if judged else {}
    conditions = {
        condition: ConditionScore(
            accuracy=estimates.share(rights[condition]) if rights else None,
            agreement=_agreement(replies, asked.replies[PROMPTED]),
            first_difference=_first_difference(replies, asked.replies[PROMPTED]),
            length=estimates.mean([len(reply.ids) for reply in replies]),
            stopped=estimates.share([float(reply.stopped) for reply in replies]),
        )
        for condition, replies in asked.replies.items()
    }
    recovered = estimates.share_recovered(rights[BASE], rights[PROMPTED], rights[BAKED]) if rights else None
    return SetScore(conditions, recovered, answered)


def _agreement(one: Sequence[Reply], other: Sequence[Reply]) -> estimates.Estimate:
    return estimates.share([float(a.answer_ids == b.answer_ids) for a, b in zip(one, other, strict=True)])


def _first_difference(one: Sequence[Reply], other: Sequence[Reply]) -> float | None:
    positions = (first_difference(a.answer_ids, b.answer_ids) for a, b in zip(one, other, strict=True))
    return estimates.median([position for position in positions if position is not None])


def _divergence(evaluator: Evaluator, before: Comparison, floor: float, *, both: bool) -> Divergence:
    after = evaluator.compare(BAKED, before.rows)
    prompted = evaluator.compare(BAKED_PROMPTED, before.rows) if both else None
    top_1 = {BASE: before.top_1(), BAKED: after.top_1(), **({BAKED_PROMPTED: prompted.top_1()} if prompted else {})}
    return Divergence(
        before=before.nats(),
        after=after.nats(),
        baked_prompted=prompted.nats() if prompted else None,
        share_closed=_share_closed(before, after),
        tokens=before.divergence.numel(),
        teacher_entropy=before.entropy(),
        floor=floor,
        top_1=top_1,
        positions=_positions(before, after),
    )


def _generalisation(evaluator: Evaluator, before: Comparison) -> Generalisation:
    after = evaluator.compare(BAKED, before.rows)
    return Generalisation(before.nats(), after.nats(), _share_closed(before, after))


def _positions(before: Comparison, after: Comparison) -> tuple[PositionDivergence, ...]:
    """By token position, as far as enough answers reach."""
    rows = list(zip(before.by_row(before.divergence), after.by_row(after.divergence), strict=True))
    positions: list[PositionDivergence] = []
    for index in range(_MOST_POSITIONS):
        pairs = [(base[index], baked[index]) for base, baked in rows if len(base) > index]
        if len(pairs) < min(len(rows), _FEWEST_ROWS_A_POSITION):
            break
        base, baked = (estimates.mean(column) for column in zip(*pairs, strict=True))
        positions.append(PositionDivergence(index + 1, len(pairs), base, baked))
    return tuple(positions)


def _share_closed(before: Comparison, after: Comparison) -> estimates.Estimate | None:
    return estimates.share_closed(before.by_prompt(before.divergence)[0], after.by_prompt(after.divergence)[0])


def _asked_about(rule: Rule, answered: Sequence[AnsweredQuestion]) -> list[AnsweredQuestion]:
    return [one for one in answered if rule.applies(one.question.text)]


def _rule_score(rule: Rule, asked: Sequence[AnsweredQuestion]) -> RuleScore:
    shares = {
        condition: estimates.share(
            [float(rule.holds(one.replies[condition].judged, one.question.text)) for one in asked]
        )
        for condition in asked[0].replies
    }
    return RuleScore(rule.name, rule.check, len(asked), shares)
