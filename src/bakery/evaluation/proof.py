"""What a proof consists of: every figure of a bake with its error, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakery.engine.distill.conditions import BASE, Condition
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.evaluator import Reply
from bakery.evaluation.request_cost import RequestCost
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import Rule

NO_GAP_NATS = 0.01
NO_GAP_ROW_NATS = 0.1
"""A prompt that moves the model by less than this on average, and in no row by more than this, changes nothing."""


@dataclass(frozen=True)
class Gap:
    """How much the prompt changes before anything is trained.

    Args:
        divergence: of the un-prompted base from the prompted one, nats per token.
        largest_row: the same for the row with the most.
        top_1: share of tokens at which both would say the same, given the same words before.
        agreement: share of greedy answers that are the same, token for token.
    """

    divergence: Estimate
    largest_row: float
    top_1: Estimate
    agreement: Estimate

    @property
    def is_none(self) -> bool:
        """Whether the prompt changes (almost) nothing."""
        return self.divergence.mean < NO_GAP_NATS and self.largest_row < NO_GAP_ROW_NATS


@dataclass(frozen=True)
class Position:
    """Divergence from the teacher at the k-th token of the answers (from 1), over those that are so long."""

    place: int
    n: int
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class Divergence:
    """Distance from the prompted teacher along its own answers, nats per token.

    Args:
        before: of the base.
        after: of the baked model.
        both: of the baked model that is prompted all the same.
        share_closed: 1: the baked model is the prompted one; 0: nothing was gained; None: there was no gap.
        top_1: by condition, the share of tokens at which condition and teacher would say the same.
        entropy: the teacher's own.
        floor: of the teacher from itself, by other batches: what rounding alone amounts to.
        positions: token by token.
        tokens: how many were compared.
    """

    before: Estimate
    after: Estimate
    both: Estimate
    share_closed: Estimate | None
    top_1: Mapping[Condition, Estimate]
    entropy: Estimate
    floor: float
    positions: tuple[Position, ...]
    tokens: int


@dataclass(frozen=True)
class Answers:
    """What the conditions say to one question, and who is right if an answer is expected."""

    question: ScoredQuestion
    replies: Mapping[Condition, Reply]
    right: Mapping[Condition, bool] | None


@dataclass(frozen=True)
class VoiceScore:
    """One condition on one set of questions, greedy.

    Args:
        accuracy: share of right answers, if answers are expected.
        agreement: share of answers equal to the prompted ones, token for token.
        first_difference: tokens before the first different one, the median over the answers that differ.
        length: tokens of an answer.
        stopped: share of answers that ended by themselves.
    """

    accuracy: Estimate | None
    agreement: Estimate
    first_difference: float | None
    length: Estimate
    stopped: Estimate


@dataclass(frozen=True)
class ScoredSet:
    """One set of questions. `recovered`: (baked - base) / (prompted - base) of the right answers."""

    conditions: Mapping[Condition, VoiceScore]
    recovered: Estimate | None
    answers: tuple[Answers, ...]

    @property
    def scored(self) -> bool:
        """Whether answers are expected."""
        return self.conditions[BASE].accuracy is not None


@dataclass(frozen=True)
class RuleScore:
    """How often each condition keeps to one rule, over the `n` questions it applies to."""

    rule: Rule
    conditions: Mapping[Condition, Estimate]
    n: int


@dataclass(frozen=True)
class Generalisation:
    """Distance from the prompted teacher on rows unlike the training rows, before and after."""

    before: Estimate
    after: Estimate
    share_closed: Estimate | None


@dataclass(frozen=True)
class Noise:
    """The prompted model against itself: two samples at temperature 1."""

    agreement: Estimate
    first_difference: float | None


@dataclass(frozen=True)
class Painted:
    """One answer in the gallery: its tokens as text, each with the divergence there in nats."""

    pieces: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Exhibit:
    """One question of the gallery with the answers to look at.

    The base's and the baked answer are painted with their own divergence from the teacher along them; the prompted
    answer with the baked model's along it.
    """

    answers: Answers
    painted: Mapping[Condition, Painted]


@dataclass(frozen=True)
class Merged:
    """The merged model against base and adapter apart, along the teacher's answers.

    Args:
        divergence: nats per token.
        largest: the largest difference in the log-probability of any token of the answers.
        agreement: share of tokens at which both would say the same.
        lost: share of the adapter's change that was lost to rounding; None where the base is quantised.
    """

    divergence: Estimate
    largest: float
    agreement: Estimate
    lost: float | None


@dataclass(frozen=True)
class Proof:
    """Everything that was measured of one bake.

    Args:
        rows: the name of the rows the divergence was measured on: heldout, eval, validation or (trained on!) training.
        gap: before the bake.
        sets: answers by set of questions.
        divergence: from the prompted teacher.
        rules: clause by clause.
        side_effects: by rows under prompts of their own, how far the baked model is from the base; should be 0.
        generalisation: by rows unlike the training ones.
        noise: the teacher against itself.
        request_cost: what a request saves.
        gallery: answers to look at.
        leaks: by file, how many of its rows were trained on as well.
        merged: the merged model, if that was asked for.
    """

    rows: str
    gap: Gap
    sets: Mapping[str, ScoredSet]
    divergence: Divergence
    rules: tuple[RuleScore, ...]
    side_effects: Mapping[str, Estimate]
    generalisation: Mapping[str, Generalisation]
    noise: Noise
    request_cost: RequestCost
    gallery: tuple[Exhibit, ...]
    leaks: Mapping[str, int]
    merged: Merged | None = None

    @property
    def drift(self) -> Estimate | None:
        """The one figure for what else changed: on the user's own rows where there are some, else on neutral ones."""
        return self.side_effects.get("anchor_file") or self.side_effects.get("neutral")

    @property
    def main_set(self) -> ScoredSet:
        """The questions asked of the rows that were measured."""
        return self.sets.get(self.rows) or next(iter(self.sets.values()))
