"""Measuring a proof: what can be measured before the bake, then the same questions again, and the figures side by side.

prepare   base and prompted, which do not depend on the adapter: the context gap is known before anything is trained
prove     baked, and baked with the prompt as well, on the same rows with the same seeds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bakery.chat.views import PromptPair
from bakery.engine.engine import Voice
from bakery.errors import DataError
from bakery.progress import UNWATCHED, Watch
from bakery.proof import estimates
from bakery.proof.certificate import (
    NO_GAP_NATS,
    Answers,
    Divergence,
    Gap,
    Noise,
    Position,
    Proof,
    RuleScore,
    ScoredSet,
    Spill,
    VoiceScore,
)
from bakery.proof.economics import Economics, measure_economics
from bakery.proof.evaluation import VOICES, Case, Columns, Examination, Reply, first_difference, right
from bakery.proof.gallery import exhibits
from bakery.proof.merging import measure_merged
from bakery.proof.probes import ProofRows, as_rows
from bakery.rows.data import Conversation, ScoredQuestion
from bakery.settings.rules import Rule

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
    replies: Mapping[Voice, Sequence[Reply]]


@dataclass(frozen=True)
class Exam:
    """Everything that does not depend on the adapter, measured once."""

    examination: Examination
    rows: ProofRows
    sets: Mapping[str, Asked]
    measured: Compared
    floor: float
    transparency: Mapping[str, Case]
    spill: Mapping[str, Compared]
    noise: Noise
    economics: Economics
    gap: Gap


def prepare(examination: Examination, rows: ProofRows, advance: Watch = UNWATCHED) -> Exam:
    """Ask base and prompted, and let the teacher speak on every row."""
    examination = replace(examination, watch=advance.aside())
    sets = {name: _ask(examination, questions, advance) for name, questions in rows.sets.items()}
    measured = _compared(examination, rows.measured[1], advance)
    again = examination.compare(Voice.PROMPTED, measured.case)
    transparency = {}
    for name, others in rows.transparency.items():
        transparency[name] = examination.case(others, anchor=True)
        advance(len(others))
    main = sets.get(rows.measured[0]) or next(iter(sets.values()))
    return Exam(
        examination=examination,
        rows=rows,
        sets=sets,
        measured=measured,
        floor=float(again.divergence.abs().mean()),
        transparency=transparency,
        spill={name: _compared(examination, others, advance) for name, others in rows.spill.items()},
        noise=_noise(examination, main, advance),
        economics=measure_economics(examination.engine, main.prompts),
        gap=_gap(measured.base, main),
    )


def measure_gap(examination: Examination, rows: ProofRows, advance: Watch = UNWATCHED) -> Gap:
    """Only how much the prompt changes, which is what `prepare` finds out too."""
    examination = replace(examination, watch=advance.aside())
    name, measured = rows.measured
    asked = _ask(examination, rows.sets.get(name) or next(iter(rows.sets.values())), advance)
    return _gap(_compared(examination, measured, advance).base, asked)


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


def prove(exam: Exam, advance: Watch = UNWATCHED, *, merged: bool = False) -> Proof:
    """Ask the baked model the same, with and without the prompt, and set the figures side by side; merged as well."""
    examination = replace(exam.examination, watch=advance.aside())
    sets = {name: _score(_ask_baked(examination, asked, advance)) for name, asked in exam.sets.items()}
    after = examination.compare(Voice.BAKED, exam.measured.case)
    both = examination.compare(Voice.BOTH, exam.measured.case)
    advance(2 * len(exam.rows.measured[1]))
    transparency = {}
    for name, case in exam.transparency.items():
        transparency[name] = examination.compare(Voice.BAKED, case).nats()
        advance(len(exam.rows.transparency[name]))
    spill = {}
    for name, compared in exam.spill.items():
        spill[name] = _spill(compared.base, examination.compare(Voice.BAKED, compared.case))
        advance(len(exam.rows.spill[name]))
    name = exam.rows.measured[0]
    main = name if name in sets else next(iter(sets))
    return Proof(
        rows=name,
        gap=exam.gap,
        sets=sets,
        divergence=_divergence(exam.measured.base, after, both, exam.floor),
        rules=_rule_scores(exam.rows.rules, [said for found in sets.values() for said in found.answers]),
        transparency=transparency,
        spill=spill,
        noise=exam.noise,
        economics=exam.economics,
        gallery=exhibits(examination, exam.sets[main].prompts, sets[main].answers),
        leaks=exam.rows.leaks,
        merged=measure_merged(examination, exam.measured.case) if merged else None,
    )


def _ask(examination: Examination, questions: Sequence[ScoredQuestion], advance: Watch) -> Asked:
    prompts = examination.prompts(as_rows(questions))
    replies = {}
    for voice in (Voice.BASE, Voice.PROMPTED):
        replies[voice] = examination.replies(voice, prompts)
        advance(len(prompts))
    return Asked(questions, prompts, replies)


def _ask_baked(examination: Examination, asked: Asked, advance: Watch) -> Asked:
    replies = dict(asked.replies)
    for voice in (Voice.BAKED, Voice.BOTH):
        replies[voice] = examination.replies(voice, asked.prompts)
        advance(len(asked.prompts))
    return Asked(asked.questions, asked.prompts, replies)


def _compared(examination: Examination, rows: Sequence[Conversation], advance: Watch) -> Compared:
    case = examination.case(rows)
    advance(len(rows))
    compared = Compared(case, examination.compare(Voice.BASE, case))
    advance(len(rows))
    return compared


def _noise(examination: Examination, asked: Asked, advance: Watch) -> Noise:
    """Two samples of the prompted model at temperature 1 on the same questions."""
    seed = examination.seed
    one, other = (
        examination.replies(Voice.PROMPTED, asked.prompts, temperature=1.0, seed=s) for s in (seed + 1, seed + 2)
    )
    advance(len(asked.prompts))
    return Noise(_agreement(one, other), _first_difference(one, other))


def _gap(base: Columns, asked: Asked) -> Gap:
    sums, counts = base.by_prompt(base.divergence)
    return Gap(
        divergence=base.nats(),
        largest_row=max(total / count for total, count in zip(sums, counts, strict=True)),
        top_1=base.top_1(),
        agreement=_agreement(asked.replies[Voice.BASE], asked.replies[Voice.PROMPTED]),
    )


def _score(asked: Asked) -> ScoredSet:
    """One set of questions, all voices answered."""
    scored = all(question.answers for question in asked.questions)
    rights = {voice: right(asked.replies[voice], asked.questions) for voice in VOICES} if scored else None
    answers = tuple(
        Answers(
            question,
            {voice: asked.replies[voice][at] for voice in VOICES},
            {voice: bool(rights[voice][at]) for voice in VOICES} if rights else None,
        )
        for at, question in enumerate(asked.questions)
    )
    recovered = estimates.share_recovered(*(rights[voice] for voice in VOICES[:3])) if rights else None
    voices = {
        voice: _voice_score(asked.replies[voice], asked.replies[Voice.PROMPTED], rights[voice] if rights else None)
        for voice in VOICES
    }
    return ScoredSet(voices, recovered, answers)


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
        top_1={Voice.BASE: before.top_1(), Voice.BAKED: after.top_1(), Voice.BOTH: both.top_1()},
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


def _spill(before: Columns, after: Columns) -> Spill:
    return Spill(before.nats(), after.nats(), _share_closed(before, after))


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
            voice: estimates.share([float(rule.holds(said.replies[voice].text, said.question.text)) for said in asked])
            for voice in VOICES
        }
        found.append(RuleScore(rule, kept, len(asked)))
    return tuple(found)
