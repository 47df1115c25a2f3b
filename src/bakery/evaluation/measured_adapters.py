"""Several adapters of one base asked the same as the base and the prompted model: replies, and figures by prompt.

What does not depend on the adapters is measured once (`proving.measure_baseline`); of each adapter only what can be
held against another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED, Condition
from bakery.evaluation.evaluator import Comparison, Evaluator
from bakery.evaluation.paired import FigureName, PairedFigure
from bakery.evaluation.proof import AnsweredQuestion
from bakery.evaluation.proof_rows import ProofRows
from bakery.evaluation.proving import Baseline, SetReplies, answered_questions
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.scoring.rules import Rule


@dataclass(frozen=True)
class MeasuredAdapters:
    """What several adapters did: every question with all replies by set of questions, and every figure by prompt."""

    questions: Mapping[str, tuple[AnsweredQuestion, ...]]
    figures: tuple[PairedFigure, ...]


def comparable_rows(rows: ProofRows) -> ProofRows:
    """The rows of a proof that adapters are compared on."""
    return replace(rows, generalisation={}, examples=0, both=False, noise=False)


def work(rows: ProofRows) -> int:
    """Answers and comparisons of each adapter."""
    return sum(map(len, (*rows.sets.values(), *rows.side_effects.values()))) + len(rows.measured)


def measure_adapters(
    baseline: Baseline, adapters: Sequence[Condition], on_progress: ProgressCallback = NO_PROGRESS
) -> MeasuredAdapters:
    """Ask the model under each of these conditions what base and prompted model were asked, with the same seeds."""
    evaluators = {
        condition: replace(
            baseline.evaluator,
            engine=replace(baseline.evaluator.engine, student_condition=condition),
            on_progress=on_progress,
        )
        for condition in adapters
    }
    questions = {name: answered_questions(_asked(own, evaluators)) for name, own in baseline.sets.items()}
    return MeasuredAdapters(questions, tuple(_figures(baseline, questions, evaluators)))


def _asked(asked: SetReplies, evaluators: Mapping[Condition, Evaluator]) -> SetReplies:
    """One set of questions with the replies of base, prompted and every adapter."""
    further = {condition: own.replies(BAKED, asked.prompts) for condition, own in evaluators.items()}
    return replace(asked, replies={**asked.replies, **further})


def _figures(
    baseline: Baseline,
    questions: Mapping[str, Sequence[AnsweredQuestion]],
    evaluators: Mapping[Condition, Evaluator],
) -> list[PairedFigure]:
    """All figures, those about the prompt's effect first."""
    main = baseline.rows.measured_on
    before = baseline.before
    after = {condition: own.compare(BAKED, before.rows) for condition, own in evaluators.items()}
    figures = _distances(main, before, after)
    for name, answered in questions.items():
        if all(one.right is not None for one in answered):
            right = {c: [bool(one.right and one.right[c]) for one in answered] for c in (BASE, PROMPTED, *evaluators)}
            figures.append(_zero_one("right", name, answered, right))
    same = {
        condition: [one.replies[condition].answer_ids == one.replies[PROMPTED].answer_ids for one in questions[main]]
        for condition in (BASE, *evaluators)
    }
    figures.append(_zero_one("same", main, questions[main], same))
    everything = [one for answered in questions.values() for one in answered]
    figures += [one for rule in baseline.rows.rules if (one := _rule(rule, everything))]
    drifts = []
    for name, rows in baseline.side_effects.items():
        moved = {condition: own.compare(BAKED, rows) for condition, own in evaluators.items()}
        drifts.append(_drift(name, moved))
    return figures + sorted(drifts, key=_largest, reverse=True)


def _distances(about: str, before: Comparison, after: Mapping[Condition, Comparison]) -> list[PairedFigure]:
    """The share of the gap that is closed, where there is one, and the divergence from the prompted model."""
    prompts = _prompts(before)
    base, tokens = (tuple(column) for column in before.by_prompt(before.divergence))
    nats = {BASE: base, **{condition: _sums(one) for condition, one in after.items()}}
    divergence = PairedFigure("divergence", about, prompts, tokens, nats)
    if sum(base) <= 0:
        return [divergence]
    closed = {c: tuple(b - own for b, own in zip(base, sums, strict=True)) for c, sums in nats.items() if c != BASE}
    return [PairedFigure("share_closed", about, prompts, base, closed), divergence]


def _drift(about: str, moved: Mapping[Condition, Comparison]) -> PairedFigure:
    first = next(iter(moved.values()))
    tokens = tuple(first.by_prompt(first.divergence)[1])
    return PairedFigure("drift", about, _prompts(first), tokens, {c: _sums(one) for c, one in moved.items()})


def _largest(drift: PairedFigure) -> float:
    return max(sum(sums) for sums in drift.sums.values()) / sum(drift.counts)


def _rule(rule: Rule, answered: Sequence[AnsweredQuestion]) -> PairedFigure | None:
    """Whose answers follow a rule, over the questions that it applies to; None where there is none."""
    asked = [one for one in answered if rule.applies(one.question.text)]
    if not asked:
        return None
    holds = {c: [rule.holds(one.replies[c].judged, one.question.text) for one in asked] for c in asked[0].replies}
    return _zero_one("rule", rule.name, asked, holds)


def _zero_one(
    name: FigureName, about: str, answered: Sequence[AnsweredQuestion], holds: Mapping[Condition, Sequence[bool]]
) -> PairedFigure:
    sums = {condition: tuple(map(float, own)) for condition, own in holds.items()}
    return PairedFigure(name, about, tuple(one.question.source for one in answered), (1.0,) * len(answered), sums)


def _prompts(comparison: Comparison) -> tuple[str, ...]:
    """The names of the prompts, in the order of `Comparison.by_prompt`."""
    return tuple(dict.fromkeys(comparison.rows.prompts))


def _sums(comparison: Comparison) -> tuple[float, ...]:
    """Nats from the teacher, by prompt."""
    return tuple(comparison.by_prompt(comparison.divergence)[0])
