"""Measuring a proof: what can be measured before the bake, then the same questions again, and the figures side by side.

measure_baseline   base and prompted, which do not depend on the adapter: the gap is known before anything is trained
measure_proof      baked, and baked with the prompt as well, on the same rows with the same seeds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bakery.chat.views import PromptPair
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.evaluator import CONDITIONS, Case, Columns, Evaluator, Reply, first_difference, right
from bakery.evaluation.merging import measure_merged
from bakery.evaluation.proof import (
    NO_GAP_NATS,
    Answers,
    Divergence,
    Gap,
    Generalisation,
    Noise,
    Position,
    Proof,
    RuleScore,
    ScoredSet,
    VoiceScore,
)
from bakery.evaluation.proof_rows import ProofRows, as_rows
from bakery.evaluation.request_cost import RequestCost, measure_request_cost
from bakery.evaluation.shown_answers import exhibits
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import Rule

_POSITIONS = 64
_ROWS_A_POSITION = 3


@dataclass(frozen=True)
class Compared:
    """A case and how far the base is from its teacher."""

    case: Case
    base: Columns


@dataclass(frozen=True)
class Asked:
    """One set of questions and what was said to them so far."""

    questions: Sequence[ScoredQuestion]
    prompts: Sequence[PromptPair]
    replies: Mapping[Condition, Sequence[Reply]]


@dataclass(frozen=True)
class Exam:
    """Everything that does not depend on the adapter, measured once."""

    evaluator: Evaluator
    rows: ProofRows
    sets: Mapping[str, Asked]
    measured: Compared
    floor: float
    side_effects: Mapping[str, Case]
    generalisation: Mapping[str, Compared]
    noise: Noise
    request_cost: RequestCost
    gap: Gap


def measure_baseline(evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS) -> Exam:
    """Ask base and prompted, and let the teacher speak on every row."""
    evaluator = replace(evaluator, watch=on_progress.tokens_only())
    sets = {name: _ask(evaluator, questions, on_progress) for name, questions in rows.sets.items()}
    measured = _compared(evaluator, rows.measured[1], on_progress)
    again = evaluator.compare(PROMPTED, measured.case)
    side_effects = {}
    for name, others in rows.side_effects.items():
        side_effects[name] = evaluator.case(others, anchor=True)
        on_progress(len(others))
    main = sets.get(rows.measured[0]) or next(iter(sets.values()))
    return Exam(
        evaluator=evaluator,
        rows=rows,
        sets=sets,
        measured=measured,
        floor=float(again.divergence.abs().mean()),
        side_effects=side_effects,
        generalisation={
            name: _compared(evaluator, others, on_progress) for name, others in rows.generalisation.items()
        },
        noise=_noise(evaluator, main, on_progress),
        request_cost=measure_request_cost(evaluator.engine, main.prompts),
        gap=_gap(measured.base, main),
    )


def measure_gap(evaluator: Evaluator, rows: ProofRows, on_progress: ProgressCallback = NO_PROGRESS) -> Gap:
    """Only how much the prompt changes, which is what `measure_baseline` finds out too."""
    evaluator = replace(evaluator, watch=on_progress.tokens_only())
    name, measured = rows.measured
    asked = _ask(evaluator, rows.sets.get(name) or next(iter(rows.sets.values())), on_progress)
    return _gap(_compared(evaluator, measured, on_progress).base, asked)


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


def measure_proof(exam: Exam, on_progress: ProgressCallback = NO_PROGRESS, *, merged: bool = False) -> Proof:
    """Ask the baked model the same, with and without the prompt, and set the figures side by side; merged as well."""
    evaluator = replace(exam.evaluator, watch=on_progress.tokens_only())
    sets = {name: _score(_ask_baked(evaluator, asked, on_progress)) for name, asked in exam.sets.items()}
    after = evaluator.compare(BAKED, exam.measured.case)
    both = evaluator.compare(BAKED_PROMPTED, exam.measured.case)
    on_progress(2 * len(exam.rows.measured[1]))
    side_effects = {}
    for name, case in exam.side_effects.items():
        side_effects[name] = evaluator.compare(BAKED, case).nats()
        on_progress(len(exam.rows.side_effects[name]))
    generalisation = {}
    for name, compared in exam.generalisation.items():
        generalisation[name] = _spill(compared.base, evaluator.compare(BAKED, compared.case))
        on_progress(len(exam.rows.generalisation[name]))
    name = exam.rows.measured[0]
    main = name if name in sets else next(iter(sets))
    return Proof(
        rows=name,
        gap=exam.gap,
        sets=sets,
        divergence=_divergence(exam.measured.base, after, both, exam.floor),
        rules=_rule_scores(exam.rows.rules, [said for found in sets.values() for said in found.answers]),
        side_effects=side_effects,
        generalisation=generalisation,
        noise=exam.noise,
        request_cost=exam.request_cost,
        gallery=exhibits(evaluator, exam.sets[main].prompts, sets[main].answers),
        leaks=exam.rows.leaks,
        merged=measure_merged(evaluator, exam.measured.case) if merged else None,
    )


def _ask(evaluator: Evaluator, questions: Sequence[ScoredQuestion], on_progress: ProgressCallback) -> Asked:
    prompts = evaluator.prompts(as_rows(questions))
    replies = {}
    for condition in (BASE, PROMPTED):
        replies[condition] = evaluator.replies(condition, prompts)
        on_progress(len(prompts))
    return Asked(questions, prompts, replies)


def _ask_baked(evaluator: Evaluator, asked: Asked, on_progress: ProgressCallback) -> Asked:
    replies = dict(asked.replies)
    for condition in (BAKED, BAKED_PROMPTED):
        replies[condition] = evaluator.replies(condition, asked.prompts)
        on_progress(len(asked.prompts))
    return Asked(asked.questions, asked.prompts, replies)


def _compared(evaluator: Evaluator, rows: Sequence[Conversation], on_progress: ProgressCallback) -> Compared:
    case = evaluator.case(rows)
    on_progress(len(rows))
    compared = Compared(case, evaluator.compare(BASE, case))
    on_progress(len(rows))
    return compared


def _noise(evaluator: Evaluator, asked: Asked, on_progress: ProgressCallback) -> Noise:
    """Two samples of the prompted model at temperature 1 on the same questions."""
    seed = evaluator.seed
    one, other = (evaluator.replies(PROMPTED, asked.prompts, temperature=1.0, seed=s) for s in (seed + 1, seed + 2))
    on_progress(len(asked.prompts))
    return Noise(_agreement(one, other), _first_difference(one, other))


def _gap(base: Columns, asked: Asked) -> Gap:
    sums, counts = base.by_prompt(base.divergence)
    return Gap(
        divergence=base.nats(),
        largest_row=max(total / count for total, count in zip(sums, counts, strict=True)),
        top_1=base.top_1(),
        agreement=_agreement(asked.replies[BASE], asked.replies[PROMPTED]),
    )


def _score(asked: Asked) -> ScoredSet:
    """One set of questions, all conditions answered."""
    scored = all(question.answers for question in asked.questions)
    rights = (
        {condition: right(asked.replies[condition], asked.questions) for condition in CONDITIONS} if scored else None
    )
    answers = tuple(
        Answers(
            question,
            {condition: asked.replies[condition][at] for condition in CONDITIONS},
            {condition: bool(rights[condition][at]) for condition in CONDITIONS} if rights else None,
        )
        for at, question in enumerate(asked.questions)
    )
    recovered = estimates.share_recovered(*(rights[condition] for condition in CONDITIONS[:3])) if rights else None
    conditions = {
        condition: _voice_score(
            asked.replies[condition], asked.replies[PROMPTED], rights[condition] if rights else None
        )
        for condition in CONDITIONS
    }
    return ScoredSet(conditions, recovered, answers)


def _voice_score(replies: Sequence[Reply], prompted: Sequence[Reply], rights: list[float] | None) -> VoiceScore:
    return VoiceScore(
        accuracy=estimates.share(rights) if rights else None,
        agreement=_agreement(replies, prompted),
        first_difference=_first_difference(replies, prompted),
        length=estimates.mean([len(reply.ids) for reply in replies]),
        stopped=estimates.share([float(reply.stopped) for reply in replies]),
    )


def _agreement(one: Sequence[Reply], other: Sequence[Reply]) -> estimates.Estimate:
    return estimates.share([float(a.ids == b.ids) for a, b in zip(one, other, strict=True)])


def _first_difference(one: Sequence[Reply], other: Sequence[Reply]) -> float | None:
    places = (first_difference(a.ids, b.ids) for a, b in zip(one, other, strict=True))
    return estimates.median([place for place in places if place is not None])


def _divergence(before: Columns, after: Columns, both: Columns, floor: float) -> Divergence:
    return Divergence(
        before=before.nats(),
        after=after.nats(),
        both=both.nats(),
        share_closed=_share_closed(before, after),
        top_1={BASE: before.top_1(), BAKED: after.top_1(), BAKED_PROMPTED: both.top_1()},
        entropy=before.entropy(),
        floor=floor,
        positions=_positions(before, after),
        tokens=before.divergence.numel(),
    )


def _positions(before: Columns, after: Columns) -> tuple[Position, ...]:
    """Token by token, as far as enough answers reach."""
    rows = list(zip(before.by_row(before.divergence), after.by_row(after.divergence), strict=True))
    enough = min(len(rows), _ROWS_A_POSITION)
    found = []
    for place in range(_POSITIONS):
        there = [(b[place], a[place]) for b, a in rows if len(b) > place]
        if len(there) < enough:
            break
        was, now = (estimates.mean(column) for column in zip(*there, strict=True))
        found.append(Position(place + 1, len(there), was, now))
    return tuple(found)


def _spill(before: Columns, after: Columns) -> Generalisation:
    return Generalisation(before.nats(), after.nats(), _share_closed(before, after))


def _share_closed(before: Columns, after: Columns) -> estimates.Estimate | None:
    return estimates.share_closed(before.by_prompt(before.divergence)[0], after.by_prompt(after.divergence)[0])


def _rule_scores(rules: Sequence[Rule], answers: Sequence[Answers]) -> tuple[RuleScore, ...]:
    """Every rule on the answers it applies to; a rule that applies to none is an error.

    Raises:
        DataError: no question matches a rule's `when`.
    """
    found = []
    for rule in rules:
        asked = [said for said in answers if rule.applies(said.question.text)]
        if not asked:
            raise DataError(
                f"rules: {rule.name}: no question matches when: {rule.when!r}; correct it or add a question"
            )
        kept = {
            condition: estimates.share(
                [float(rule.holds(said.replies[condition].text, said.question.text)) for said in asked]
            )
            for condition in CONDITIONS
        }
        found.append(RuleScore(rule, kept, len(asked)))
    return tuple(found)
