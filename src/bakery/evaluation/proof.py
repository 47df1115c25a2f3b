"""What a proof consists of: every figure of a bake with its error, as plain data.

The field names are the keys of results.json; docs/results.md describes each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bakery.engine.distill.conditions import Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.replies import Reply
from bakery.evaluation.request_cost import RequestCost
from bakery.rows.questions import ScoredQuestion

NO_GAP_NATS = 0.01
NO_GAP_ROW_NATS = 0.1
"""A prompt that moves the model by less than this on average, and in no row by more than this, changes nothing."""

TITLES = {
    "heldout": "held-out questions",
    "eval": "evaluation questions",
    "written": "questions the model wrote",
    "validation": "validation rows",
    "training": "training rows",
    "anchor_file": "your prompts",
    "neutral": "neutral prompts",
}
"""What people read for the name of a set of rows."""


@dataclass(frozen=True)
class Gap:
    """How far the base is from the prompted model before anything is trained."""

    divergence: Estimate  # nats per token
    largest_row: float  # the divergence of the row with the most
    top_1: Estimate  # share of tokens at which both choose the same next token, given the same tokens before
    agreement: Estimate | None = None  # share of greedy answers that are equal, token for token; None: not asked

    @property
    def is_none(self) -> bool:
        """Whether the prompt changes (almost) nothing."""
        return self.divergence.mean < NO_GAP_NATS and self.largest_row < NO_GAP_ROW_NATS


@dataclass(frozen=True)
class PositionDivergence:
    """Divergence from the teacher at one token position (from 1), over the `n` answers that are long enough."""

    position: int
    n: int
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class Divergence:
    """Divergence from the prompted teacher along its own answers, nats per token."""

    before: Estimate  # of the base
    after: Estimate  # of the baked model
    baked_prompted: Estimate | None  # of the baked model that is given the prompt as well; None: no time for it
    share_closed: Estimate | None  # 1 - after / before; None where there was no gap
    tokens: int  # compared
    teacher_entropy: Estimate  # the teacher's own uncertainty
    floor: float  # of the teacher from itself in other batches, which is rounding alone
    top_1: Mapping[Condition, Estimate]  # share of tokens at which it and the teacher choose the same next token
    positions: tuple[PositionDivergence, ...]  # by token position of the answer


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question with the reply of every condition; `right`: whose replies are, where an answer is expected."""

    question: ScoredQuestion
    replies: Mapping[Condition, Reply]
    right: Mapping[Condition, bool] | None


@dataclass(frozen=True)
class ConditionScore:
    """One condition on one set of questions, greedy."""

    accuracy: Estimate | None  # share of right answers; None where no answers are expected
    agreement: Estimate  # share of answers equal to the prompted ones, token for token
    first_difference: float | None  # tokens before the first different one, the median over the answers that differ
    length: Estimate  # tokens per answer
    stopped: Estimate  # share of answers that ended before the length limit


@dataclass(frozen=True)
class SetScore:
    """One set of questions; `recovered`: (baked - base) / (prompted - base) of the accuracy, where that is known."""

    conditions: Mapping[Condition, ConditionScore]
    recovered: Estimate | None
    questions: tuple[AnsweredQuestion, ...]


@dataclass(frozen=True)
class RuleScore:
    """The share of answers of each condition that follow one rule, over the `n` questions it applies to."""

    name: str
    check: str
    n: int
    conditions: Mapping[Condition, Estimate]


@dataclass(frozen=True)
class Generalisation:
    """Divergence from the prompted teacher on rows unlike the training rows, of the base and of the baked model."""

    before: Estimate
    after: Estimate
    share_closed: Estimate | None


@dataclass(frozen=True)
class TeacherNoise:
    """How far two samples of the prompted model at temperature 1 agree."""

    agreement: Estimate
    first_difference: float | None


@dataclass(frozen=True)
class Example:
    """One question, and by condition its reply as (text, nats) for each token.

    Base and baked reply show their own divergence from the teacher, the prompted reply that of the baked model.
    """

    answered: AnsweredQuestion
    tokens: Mapping[Condition, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class MergeCheck:
    """The merged model against base and adapter apart, along the teacher's answers."""

    divergence: Estimate  # nats per token
    agreement: Estimate  # share of tokens at which both choose the same next token
    largest_difference: float  # of the log-probability of any token of the answers
    lost: float | None  # share of the adapter's change that rounding lost; None where the base is quantised


@dataclass(frozen=True)
class TrainingEnd:
    """How the training of a bake came to its end, by which settings, and what its rows leave out."""

    steps: int  # of the optimiser
    epochs: float  # passes over the rows
    limit: str | None  # the setting that ended it, as "max_minutes: 5"; None where more training did not help
    falling: bool  # whether the divergence was still getting better
    untouched: tuple[str, ...] = ()  # clauses of the context whose names and numbers no row holds
    rows: int = 0  # that were trained on, anchors left out
    anchors: int = 0  # rows on which the model was to stay as it is
    loss: float | None = None  # divergence on the training rows at the end, nats per token; None where none was logged
    rank: int = 16  # of the adapter
    learning_rate: float = 5e-4  # at its peak
    usual_rate: float = 5e-4  # what it is for a model of this width, unless it is given


@dataclass(frozen=True)
class Proof:
    """Everything that was measured of one bake."""

    measured_on: str  # the name of the rows behind `divergence`, one of `sets`; `training` if there were no others
    gap: Gap  # before the bake
    sets: Mapping[str, SetScore]  # scores by set of questions
    divergence: Divergence  # from the prompted teacher
    rules: tuple[RuleScore, ...]  # one score for each rule
    side_effects: Mapping[str, Estimate]  # divergence from the base, by rows under other prompts; should be 0
    generalisation: Mapping[str, Generalisation]  # by rows unlike the training rows
    noise: TeacherNoise | None  # of sampling from the teacher; None where there was no time for it
    request_cost: RequestCost  # what a request saves
    examples: tuple[Example, ...]  # answers to look at
    leaks: Mapping[str, int]  # by file, how many of its rows were trained on as well
    merged: MergeCheck | None = None  # the merged model, if that was asked for
    left_out: tuple[str, ...] = ()  # what was not measured for want of time
    cut_in_thoughts: int = 0  # answers of the measured rows that were left out, as thoughts are not learned
    training: TrainingEnd | None = None  # of the bake; None where an adapter is proved that was there already

    @property
    def drifted_on(self) -> str | None:
        """The name of the rows under other prompts on which the model has changed most."""
        return max(self.side_effects, key=lambda name: self.side_effects[name].mean, default=None)

    @property
    def drift(self) -> Estimate | None:
        """The one figure for side effects: the largest over the sets of rows under other prompts."""
        return self.side_effects[self.drifted_on] if self.drifted_on else None

    @property
    def main_set(self) -> SetScore:
        """The questions of the rows behind `divergence`."""
        return self.sets[self.measured_on]
