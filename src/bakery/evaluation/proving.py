"""Measuring a proof: what does not depend on the adapter first, then the same for the baked model.

measure_baseline   base and prompted, before anything is trained: the context gap is known before the bake
measure_proof      baked, and baked with the prompt as well, on the same rows with the same seeds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.evaluator import AnsweredRows, Comparison, Evaluator, Reply, first_difference, right
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
from bakery.evaluation.proof_rows import ProofRows, as_rows
from bakery.evaluation.request_cost import RequestCost, measure_request_cost
from bakery.evaluation.shown_answers import examples
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import Rule

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
    noise: TeacherNoise
    request_cost: RequestCost
    gap: Gap


def measure_baseline(evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS) -> Baseline:
    """Ask base and prompted, and let the teacher answer every row."""
    evaluator = replace(evaluator, watch=on_progress.tokens_only())
    sets = {name: _ask(evaluator, questions, on_progress) for name, questions in rows.sets.items()}
    main = sets[rows.measured_on]
    before = _before(evaluator, rows.measured, on_progress)
    again = evaluator.compare(PROMPTED, before.rows)
    side_effects = {}
    for name, others in rows.side_effects.items():
        side_effects[name] = evaluator.answered(others, anchor=True)
        on_progress(len(others))
    return Baseline(
        evaluator=evaluator,
        rows=rows,
        sets=sets,
        before=before,
        floor=float(again.divergence.abs().mean()),
        side_effects=side_effects,
        generalisation={name: _before(evaluator, others, on_progress) for name, others in rows.generalisation.items()},
        noise=_noise(evaluator, main, on_progress),
        request_cost=measure_request_cost(evaluator.engine, main.prompts),
        gap=_gap(before, main),
    )


def measure_gap(evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS) -> Gap:
    """Only how much the prompt changes, which `measure_baseline` measures too."""
    evaluator = replace(evaluator, watch=on_progress.tokens_only())
    replies = _ask(evaluator, rows.sets[rows.measured_on], on_progress)
    return _gap(_before(evaluator, rows.measured, on_progress), replies)


def refuse_no_gap(gap: Gap, allowed: bool) -> None:
    """Stop before a bake that has nothing to learn.

    Raises:
        DataError: the prompt changes (almost) nothing and that is not allowed.
    """
    if gap.is_none and not allowed:
        raise DataError(
            f"the prompt changes (almost) nothing on these rows: {gap.divergence.mean:.2g} nats per token (below "
            f"{NO_GAP_NATS:g}), {gap.agreement.mean:.0%} of the greedy answers are the same; give rows on which it "
            "matters, or set allow_no_gap: true to bake all the same"
        )


def measure_proof(baseline: Baseline, on_progress: ProgressCallback = NO_PROGRESS, *, merged: bool = False) -> Proof:
    """Measure the baked model like the baseline, with and without the prompt; with `merged` the merged model as well.

    Raises:
        ModelError: the adapter cannot be merged.
    """
    evaluator = replace(baseline.evaluator, watch=on_progress.tokens_only())
    rows, before = baseline.rows, baseline.before
    sets = {
        name: _score(_ask_further(evaluator, asked, (BAKED, BAKED_PROMPTED), on_progress))
        for name, asked in baseline.sets.items()
    }
    after = evaluator.compare(BAKED, before.rows)
    baked_prompted = evaluator.compare(BAKED_PROMPTED, before.rows)
    on_progress(2 * len(rows.measured))
    side_effects = {}
    for name, answered in baseline.side_effects.items():
        side_effects[name] = evaluator.compare(BAKED, answered).nats()
        on_progress(len(rows.side_effects[name]))
    generalisation = {}
    for name, base in baseline.generalisation.items():
        baked = evaluator.compare(BAKED, base.rows)
        generalisation[name] = Generalisation(base.nats(), baked.nats(), _share_closed(base, baked))
        on_progress(len(rows.generalisation[name]))
    questions = [answered for score in sets.values() for answered in score.questions]
    name = rows.measured_on
    return Proof(
        measured_on=name,
        gap=baseline.gap,
        sets=sets,
        divergence=_divergence(before, after, baked_prompted, baseline.floor),
        rules=tuple(_rule_score(rule, questions) for rule in rows.rules),
        side_effects=side_effects,
        generalisation=generalisation,
        noise=baseline.noise,
        request_cost=baseline.request_cost,
        examples=examples(evaluator, baseline.sets[name].prompts, sets[name].questions),
        leaks=rows.leaks,
        merged=measure_merged(evaluator, before.rows) if merged else None,
    )


def _ask(evaluator: Evaluator, questions: Sequence[ScoredQuestion], on_progress: ProgressCallback) -> SetReplies:
    """The replies that do not depend on the adapter."""
    unasked = SetReplies(questions, evaluator.prompts(as_rows(questions)), {})
    return _ask_further(evaluator, unasked, (BASE, PROMPTED), on_progress)


def _ask_further(
    evaluator: Evaluator, asked: SetReplies, conditions: Sequence[Condition], on_progress: ProgressCallback
) -> SetReplies:
    replies = dict(asked.replies)
    for condition in conditions:
        replies[condition] = evaluator.replies(condition, asked.prompts)
        on_progress(len(asked.prompts))
    return replace(asked, replies=replies)


def _before(evaluator: Evaluator, rows: Sequence[Conversation], on_progress: ProgressCallback) -> Comparison:
    """The base compared with the teacher."""
    answered = evaluator.answered(rows)
    on_progress(len(rows))
    comparison = evaluator.compare(BASE, answered)
    on_progress(len(rows))
    return comparison


def _noise(evaluator: Evaluator, asked: SetReplies, on_progress: ProgressCallback) -> TeacherNoise:
    """Two samples of the prompted model at temperature 1 to the same questions."""
    one, other = (
        evaluator.replies(PROMPTED, asked.prompts, temperature=1.0, seed=evaluator.seed + sample) for sample in (1, 2)
    )
    on_progress(len(asked.prompts))
    return TeacherNoise(_agreement(one, other), _first_difference(one, other))


def _gap(base: Comparison, asked: SetReplies) -> Gap:
    sums, counts = base.by_prompt(base.divergence)
    return Gap(
        divergence=base.nats(),
        largest_row=max(total / count for total, count in zip(sums, counts, strict=True)),
        top_1=base.top_1(),
        agreement=_agreement(asked.replies[BASE], asked.replies[PROMPTED]),
    )


def _score(asked: SetReplies) -> SetScore:
    """One set of questions that every condition has answered."""
    rights: dict[Condition, list[float]] = {}
    if all(question.answers for question in asked.questions):
        rights = {condition: right(replies, asked.questions) for condition, replies in asked.replies.items()}
    answered = tuple(
        AnsweredQuestion(
            question,
            {condition: replies[number] for condition, replies in asked.replies.items()},
            {condition: bool(values[number]) for condition, values in rights.items()} or None,
        )
        for number, question in enumerate(asked.questions)
    )
    recovered = estimates.share_recovered(rights[BASE], rights[PROMPTED], rights[BAKED]) if rights else None
    conditions = {
        condition: _condition_score(replies, asked.replies[PROMPTED], rights.get(condition))
        for condition, replies in asked.replies.items()
    }
    return SetScore(conditions, recovered, answered)


def _condition_score(
    replies: Sequence[Reply], prompted: Sequence[Reply], rights: Sequence[float] | None
) -> ConditionScore:
    return ConditionScore(
        accuracy=estimates.share(rights) if rights else None,
        agreement=_agreement(replies, prompted),
        first_difference=_first_difference(replies, prompted),
        length=estimates.mean([len(reply.ids) for reply in replies]),
        stopped=estimates.share([float(reply.stopped) for reply in replies]),
    )


def _agreement(one: Sequence[Reply], other: Sequence[Reply]) -> estimates.Estimate:
    return estimates.share([float(a.ids == b.ids) for a, b in zip(one, other, strict=True)])


def _first_difference(one: Sequence[Reply], other: Sequence[Reply]) -> float | None:
    positions = (first_difference(a.ids, b.ids) for a, b in zip(one, other, strict=True))
    return estimates.median([position for position in positions if position is not None])


def _divergence(before: Comparison, after: Comparison, baked_prompted: Comparison, floor: float) -> Divergence:
    return Divergence(
        before=before.nats(),
        after=after.nats(),
        baked_prompted=baked_prompted.nats(),
        share_closed=_share_closed(before, after),
        tokens=before.divergence.numel(),
        teacher_entropy=before.entropy(),
        floor=floor,
        top_1={BASE: before.top_1(), BAKED: after.top_1(), BAKED_PROMPTED: baked_prompted.top_1()},
        positions=_positions(before, after),
    )


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


def _rule_score(rule: Rule, answered: Sequence[AnsweredQuestion]) -> RuleScore:
    asked = [one for one in answered if rule.applies(one.question.text)]
    shares = {
        condition: estimates.share([float(rule.holds(one.replies[condition].text, one.question.text)) for one in asked])
        for condition in asked[0].replies
    }
    return RuleScore(rule.name, rule.check, len(asked), shares)
