"""The proof of a bake: base, prompted and baked on the same questions, the divergence closed, and what else changed.

Every figure is measured on rows that were never trained on and carries its error bar:

    accuracy     share of questions answered right, +- the standard error of a mean of 0s and 1s
    divergence   KL from the prompted teacher, nats per token of the teacher's own answers, before and after the bake
    drift        KL from the base on rows the bake should not touch (`anchor_file`), nats per token
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import regex
import torch
from torch import Tensor

from bakery.data import Conversation, ScoredQuestion
from bakery.engine import Engine, Voice
from bakery.views import PromptPair, ViewBuilder, ViewPair

_REGEX_SECONDS = 1.0


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, over n independent units."""

    mean: float
    stderr: float
    n: int


@dataclass(frozen=True)
class Answers:
    """What the three say to one question."""

    question: ScoredQuestion
    base: str
    prompted: str
    baked: str


@dataclass(frozen=True)
class ScoredSet:
    """One file of questions: how often each of the three is right, and what they said."""

    base: Estimate
    prompted: Estimate
    baked: Estimate
    answers: tuple[Answers, ...]


@dataclass(frozen=True)
class Divergence:
    """Distance from the prompted teacher before and after, nats per token; errors over questions."""

    before: Estimate
    after: Estimate
    tokens: int

    @property
    def share_closed(self) -> float:
        """1: the baked model is the prompted one; 0: nothing was gained."""
        return 1 - self.after.mean / self.before.mean if self.before.mean > 0 else 0.0


@dataclass(frozen=True)
class Proof:
    """Everything that was measured of one bake.

    Args:
        scores: by file, `heldout` and `eval`.
        divergence: from the prompted teacher; `divergence_rows` says on which rows.
        drift: from the base where baking should change nothing, if there are such rows.
    """

    scores: dict[str, ScoredSet]
    divergence: Divergence
    divergence_rows: str
    drift: Estimate | None


@dataclass(frozen=True)
class Examination:
    """How the model is asked: by which engine, through which views, how long it may speak."""

    engine: Engine
    builder: ViewBuilder
    max_new_tokens: int
    seed: int

    def prompts(self, rows: Sequence[Conversation], *, anchor: bool = False) -> list[PromptPair]:
        """Both views of unanswered rows."""
        return [self.builder.prompts(row, anchor=anchor) for row in rows]

    def say(self, voice: Voice, prompts: Sequence[PromptPair]) -> list[str]:
        """One greedy answer a prompt, as its reader sees it."""
        found = self.engine.answers(voice, prompts, max_new_tokens=self.max_new_tokens)
        decode = self.engine.tokenizer.decode
        return [str(decode(list(answer.ids), skip_special_tokens=True)).strip() for answer in found]

    def answered(self, rows: Sequence[Conversation], *, anchor: bool = False) -> list[ViewPair]:
        """Views of rows; where an answer is missing the teacher writes one at temperature 1, kept as tokens."""
        given = [pair for row in rows if row.answered for pair in self.builder.views(row, anchor=anchor)]
        prompts = self.prompts([row for row in rows if not row.answered], anchor=anchor)
        written = self.engine.answers(
            Voice.PROMPTED, prompts, max_new_tokens=self.max_new_tokens, temperature=1.0, seed=self.seed
        )
        return given + [prompt.with_answer(answer.ids) for prompt, answer in zip(prompts, written, strict=True)]


def mean_and_error(values: Sequence[float]) -> Estimate:
    """Mean and standard error (sample standard deviation / sqrt n) of independent values.

    Raises:
        ValueError: when there are none.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no value to take a mean of")
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1) if n > 1 else 0.0
    return Estimate(mean, sqrt(variance / n), n)


def score_questions(
    examination: Examination, questions: Sequence[ScoredQuestion], advance: Callable[[int], None] = lambda _: None
) -> ScoredSet:
    """Ask base, prompted and baked the same questions, greedily, and score what they say by `is_right`."""
    prompts = examination.prompts(as_rows(questions))
    said = {}
    for voice in (Voice.BASE, Voice.PROMPTED, Voice.BAKED):
        said[voice] = examination.say(voice, prompts)
        advance(len(prompts))

    def accuracy(voice: Voice) -> Estimate:
        return mean_and_error([float(is_right(*pair)) for pair in zip(said[voice], questions, strict=True)])

    return ScoredSet(
        base=accuracy(Voice.BASE),
        prompted=accuracy(Voice.PROMPTED),
        baked=accuracy(Voice.BAKED),
        answers=tuple(Answers(*row) for row in zip(questions, *said.values(), strict=True)),
    )


def is_right(said: str, question: ScoredQuestion) -> bool:
    """Whether an answer is one of those expected: equal to it, or as the question's `check` says.

    An expected answer is never empty (`load_scored_rows` refuses it), so no reply is right by containing nothing.
    """
    if question.check == "contains":
        return any(answer.strip() in said for answer in question.answers)
    if question.check == "regex":
        return any(regex.search(answer, said, timeout=_REGEX_SECONDS) for answer in question.answers)
    return any(answer.strip() == said for answer in question.answers)


def measure_divergence(
    examination: Examination, rows: Sequence[Conversation], advance: Callable[[int], None] = lambda _: None
) -> Divergence:
    """KL from the prompted teacher, adapter off and on, along given answers or ones it writes at temperature 1."""
    pairs = examination.answered(rows)
    teacher = examination.engine.teacher(pairs)
    advance(len(rows))
    before = examination.engine.compare(Voice.BASE, pairs, teacher).divergence
    after = examination.engine.compare(Voice.BAKED, pairs, teacher).divergence
    advance(2 * len(rows))
    return Divergence(per_token(before, pairs), per_token(after, pairs), tokens=before.numel())


def measure_drift(
    examination: Examination, rows: Sequence[Conversation], advance: Callable[[int], None] = lambda _: None
) -> Estimate:
    """KL of the adapted model from the base along the base's own answers, where both see the same: nats per token."""
    pairs = examination.answered(rows, anchor=True)
    found = examination.engine.compare(Voice.BAKED, pairs, examination.engine.teacher(pairs)).divergence
    advance(len(rows))
    return per_token(found, pairs)


def per_token(divergence: Tensor, pairs: Sequence[ViewPair]) -> Estimate:
    """Mean over tokens [N] with its error over rows: tokens of one answer are not independent.

    The mean is a ratio of sums (nats over tokens); its error is that of a ratio estimate (Cochran 1977, eq. 6.9).
    """
    sizes = [len(pair.teacher_targets) for pair in pairs]
    sums = torch.stack([part.sum() for part in torch.split(divergence.double(), sizes)])
    counts = torch.tensor(sizes, dtype=torch.double, device=sums.device)
    rows = len(sizes)
    mean = sums.sum() / counts.sum()
    spread = ((sums - mean * counts) ** 2).sum() / max(1, rows - 1)
    return Estimate(float(mean), float((spread / rows).sqrt() / counts.mean()), rows)


def as_rows(questions: Sequence[ScoredQuestion]) -> list[Conversation]:
    """Questions without their answers: what the three are asked."""
    return [Conversation(question.messages, question.prefix, question.source) for question in questions]
