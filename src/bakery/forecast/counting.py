"""The work of a bake, counted part by part from its rows, before any of it is done."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bakery.chat.views import ViewBuilder
from bakery.evaluation.proof_rows import EXAMPLES, ProofRows, as_rows
from bakery.evaluation.proving import GAP_ROWS, GAP_TOKENS
from bakery.forecast.figures import Stage, Work, reading_work, sampling_work, training_work
from bakery.forecast.sizes import Sizes, sizes_of
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation

_PREFILLS = 6
"""Requests of which the time is taken, with the prompt and without."""


@dataclass(frozen=True)
class Rules:
    """What of the settings and of the model the amount of work depends on.

    Args:
        trajectories: answers sampled for every prompt.
        longest: new tokens of one of them at most.
        proof_longest: new tokens of an answer of the proof at most.
        answer: tokens of an answer in the mean, as far as is known.
        budget: tokens of one pass.
        batch: rows of an optimiser step.
        live: whether the teacher is asked at every step.
        shares: whether rows may share the computation of a prefix.
        merged: whether the merged model is proved too.
        gap_longest: new tokens of an answer by which the gap is measured, at most.
    """

    trajectories: int
    longest: int
    proof_longest: int
    answer: float
    budget: int
    batch: int
    live: bool = False
    shares: bool = True
    merged: bool = False
    gap_longest: int = GAP_TOKENS

    @property
    def reply(self) -> float:
        """Tokens of an answer of the proof, in the mean."""
        return min(self.answer, self.proof_longest)


@dataclass(frozen=True)
class TrainingRows:
    """The sizes of all rows that a trainer is given."""

    train: Sizes
    anchors: Sizes
    validation: Sizes

    @classmethod
    def of(cls, builder: ViewBuilder, data: BakeData, rules: Rules) -> "TrainingRows":
        """Those of these rows."""
        train, validation = (sizes_of(builder, rows, shares=rules.shares) for rows in (data.train, data.validation))
        return cls(train, sizes_of(builder, data.anchors, anchor=True, shares=rules.shares), validation)

    def pairs(self, rules: Rules) -> int:
        """Rows to train on, once all are answered."""
        return sum(own.answered + own.unanswered * rules.trajectories for own in (self.train, self.anchors))

    def tokens(self, rules: Rules, *, teacher: bool = False) -> float:
        """Tokens of all of them together, in the student's views or the teacher's."""
        return sum(
            (own.answered + own.unanswered * rules.trajectories) * _length(own, rules, teacher)
            for own in (self.train, self.anchors)
        )

    def targets(self, rules: Rules) -> float:
        """Target tokens of all of them together."""
        return sum(
            own.answered * own.targets + own.unanswered * rules.trajectories * rules.answer
            for own in (self.train, self.anchors)
        )


def _length(own: Sizes, rules: Rules, teacher: bool) -> float:
    """Tokens of one answered row."""
    length = own.teacher if teacher else own.student
    return length if own.answered else length + rules.answer


def sampling_stage(rows: TrainingRows, rules: Rules) -> Stage:
    """The answers that are missing, and the signal at their tokens."""
    kinds = [own for own in (rows.train, rows.anchors) if own.unanswered]
    count = sum(own.unanswered for own in kinds) * rules.trajectories
    if not count:
        return Stage("sampling")
    read = sum(own.unanswered * own.teacher for own in kinds)
    work = sampling_work(count, rules.answer, rules.longest, read / count)
    signal = Work(targets=0 if rules.live else count * rules.answer)
    return Stage("sampling", work + signal + Work(read=sum(own.shared for own in kinds)))


def teacher_stage(rows: TrainingRows, rules: Rules) -> Stage:
    """The teacher reads what was not sampled from it."""
    work = Work()
    for own in (rows.train, rows.anchors):
        if own.answered and not rules.live:
            work += reading_work(own.answered, own.teacher, own.targets, rules.budget) + Work(read=own.shared)
    return Stage("teacher", work)


def training_stage(rows: TrainingRows, rules: Rules, steps: float, measurements: float) -> Stage:
    """Optimiser steps, and measurements on validation rows between them."""
    count = max(1, rows.pairs(rules))
    base, adapted = Work(), training_work(steps, rules.batch, rows.tokens(rules) / count)
    if rules.live:
        base += Work(read=steps * rules.batch * rows.tokens(rules, teacher=True) / count, passes=steps)
    own = rows.validation
    if own.rows and measurements:
        sampled, answered = own.unanswered * rules.trajectories, own.answered
        targets = own.targets if answered else rules.answer
        base += sampling_work(sampled, rules.answer, rules.longest, own.teacher / rules.trajectories)
        base += reading_work(answered, own.teacher, targets, rules.budget) + Work(targets=sampled * rules.answer)
        read = reading_work(sampled + answered, _length(own, rules, False), targets, rules.budget)
        adapted += read.times(measurements)
    return Stage("training", base, adapted)


@dataclass(frozen=True)
class ProofSizes:
    """The sizes of the rows of a proof, by the names of their sets."""

    asked: Mapping[str, Sizes]
    main: str
    measured: Sizes
    side_effects: Sequence[Sizes]
    generalisation: Sequence[Sizes]

    @classmethod
    def of(cls, builder: ViewBuilder, rows: ProofRows, rules: Rules) -> "ProofSizes":
        """Those of these rows."""

        def sizes(own: Sequence[Conversation], *, anchor: bool = False) -> Sizes:
            return sizes_of(builder, own, anchor=anchor, shares=rules.shares)

        return cls(
            {name: sizes(as_rows(own)) for name, own in rows.sets.items()},
            rows.measured_on,
            sizes(rows.measured),
            [sizes(own, anchor=True) for own in rows.side_effects.values()],
            [sizes(own) for own in rows.generalisation.values()],
        )


def gap_stage(rows: ProofSizes, rules: Rules) -> Stage:
    """The beginnings of a few answers of the teacher, and the base along them: known before the bake."""
    own = rows.measured
    count = min(GAP_ROWS, own.rows)
    own = replace(own, rows=count, answered=min(own.answered, count))
    short = replace(rules, proof_longest=min(rules.gap_longest, rules.proof_longest))
    work = _answered(own, short) + _compared(own, short, prompted=False)
    return Stage("gap", work + Work(views=count, read=own.shared))


def proof_stage(rows: ProofSizes, rules: Rules) -> Stage:
    """Base, prompted and baked model, asked and compared."""
    base, adapted = Work(), Work()
    for own in rows.asked.values():
        base += _replies(own, rules, prompted=False) + _replies(own, rules, prompted=True)
        adapted += _replies(own, rules, prompted=False) + _replies(own, rules, prompted=True)
    main = rows.asked[rows.main]
    base += _replies(main, rules, prompted=True).times(2)
    for own in rows.side_effects:
        base += _answered(own, rules) + Work(views=own.rows)
        adapted += _compared(own, rules, prompted=False)
    for own in [rows.measured, *rows.generalisation]:
        base += _answered(own, rules) + _compared(own, rules, prompted=False) + Work(views=own.rows)
        adapted += _compared(own, rules, prompted=False)
    base += _compared(rows.measured, rules, prompted=True)
    adapted += _compared(rows.measured, rules, prompted=True) + Work(read=main.shared)
    if rules.merged:
        adapted += _compared(rows.measured, rules, prompted=False)
    shared = max(own.shared for own in [main, rows.measured, *rows.generalisation])
    requests = _PREFILLS * (main.teacher + main.student + shared)
    base += Work(views=sum(own.rows for own in rows.asked.values()), read=shared + requests, passes=2 * _PREFILLS)
    shown = min(EXAMPLES, main.rows)
    read = [
        reading_work(shown, length + rules.reply, rules.reply, rules.budget) for length in (main.teacher, main.student)
    ]
    return Stage("proof", base + read[0].times(3), adapted + read[1].times(3))


def _replies(own: Sizes, rules: Rules, *, prompted: bool) -> Work:
    """One reply to every row."""
    return sampling_work(own.rows, rules.reply, rules.proof_longest, own.teacher if prompted else own.student)


def _answered(own: Sizes, rules: Rules) -> Work:
    """The teacher answers what has no answer yet, and reads all."""
    sampled = sampling_work(own.unanswered, rules.reply, rules.proof_longest, own.teacher)
    return sampled + _compared(own, rules, prompted=True)


def _compared(own: Sizes, rules: Rules, *, prompted: bool) -> Work:
    """All rows read with their answers."""
    targets = own.targets if own.answered else rules.reply
    length = (own.teacher if prompted else own.student) + (0 if own.answered else targets)
    return reading_work(own.rows, length, targets, rules.budget)


def measurements_within(steps: float, first: int, growth: float) -> float:
    """Measurements of a bake without a known end: at step 1, at `first`, and at steps ever further apart."""
    return 2 + math.log(max(1.0, steps / first), growth)
