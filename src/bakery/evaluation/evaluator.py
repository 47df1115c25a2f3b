"""How the proof asks and compares: rows to views, conditions to replies, replies to figures; nothing is written here.

`AnsweredRows` are rows with the teacher's answers: any condition can be compared along them, before and after the bake.
Every divergence is KL(teacher || condition) at temperature 1 in nats per token, summed by prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.teacher import Teacher
from bakery.evaluation import estimates
from bakery.evaluation.estimates import Estimate
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation
from bakery.settings.arguments import BakeryConfig

CONDITIONS = (BASE, PROMPTED, BAKED, BAKED_PROMPTED)
NAMES = {BASE: "base", PROMPTED: "prompted", BAKED: "baked", BAKED_PROMPTED: "baked_prompted"}
"""What the conditions are called in results.json."""


@dataclass(frozen=True)
class Reply:
    """What one condition said to one question. `stopped`: it ended its turn by itself."""

    text: str
    ids: tuple[int, ...]
    stopped: bool


@dataclass(frozen=True)
class AnsweredRows:
    """Rows with the teacher's answers and its distribution at each of their tokens."""

    pairs: tuple[ViewPair, ...]
    teacher: Teacher

    @property
    def prompts(self) -> list[str]:
        """Which prompt each pair belongs to: the pairs of one row have its name."""
        return [pair.source or str(number) for number, pair in enumerate(self.pairs)]


@dataclass(frozen=True)
class Comparison:
    """A condition compared with the teacher, token by token: [N] each, in the order of the rows' pairs."""

    rows: AnsweredRows
    divergence: Tensor
    teacher_entropy: Tensor
    agreement: Tensor

    def by_row(self, column: Tensor) -> list[list[float]]:
        """A column [N] as one list a pair."""
        sizes = [len(pair.teacher_targets) for pair in self.rows.pairs]
        return [part.tolist() for part in torch.split(column.double().cpu(), sizes)]

    def by_prompt(self, column: Tensor) -> tuple[list[float], list[float]]:
        """Sums and token counts of a column [N], the pairs of one row taken together."""
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for prompt, values in zip(self.rows.prompts, self.by_row(column), strict=True):
            sums[prompt] = sums.get(prompt, 0.0) + sum(values)
            counts[prompt] = counts.get(prompt, 0.0) + len(values)
        return list(sums.values()), list(counts.values())

    def nats(self) -> Estimate:
        """Divergence in nats per token."""
        return estimates.ratio(*self.by_prompt(self.divergence))

    def top_1(self) -> Estimate:
        """Share of tokens at which both would say the same, given the same words before."""
        return estimates.ratio(*self.by_prompt(self.agreement))

    def entropy(self) -> Estimate:
        """The teacher's own uncertainty, nats per token."""
        return estimates.ratio(*self.by_prompt(self.teacher_entropy))


@dataclass(frozen=True)
class Evaluator:
    """How the model is asked: by which engine, through which views, how long its answers may be, at which strength.

    Every answer and every comparison of a row is reported as one piece of work.
    """

    engine: Engine
    builder: ViewBuilder
    max_new_tokens: int
    seed: int
    on_progress: ProgressCallback = NO_PROGRESS
    strength: float = 1.0
    known: dict[tuple[Condition, int, tuple[int, ...]], Reply] = field(default_factory=dict, repr=False, compare=False)
    """Greedy replies by condition, longest length and what was read; only as long as the adapter stays as it is."""

    @classmethod
    def by(cls, engine: Engine, builder: ViewBuilder, max_new_tokens: int, seed: int) -> "Evaluator":
        """The proof is always told in forward KL at temperature 1, whatever the bake minimised."""
        return cls(replace(engine, temperature=1.0, beta=0.0), builder, max_new_tokens, seed)

    @classmethod
    def for_bake(cls, engine: Engine, builder: ViewBuilder, args: BakeryConfig) -> "Evaluator":
        """The same with the lengths and the seed of a bake with these settings."""
        return cls.by(engine, builder, args.eval_max_new_tokens or args.trajectory_length, args.seed + 2)

    def prompts(self, rows: Sequence[Conversation], *, anchor: bool = False) -> list[PromptPair]:
        """Both views of unanswered rows."""
        return [self.builder.prompts(row, anchor=anchor) for row in rows]

    def replies(
        self, condition: Condition, prompts: Sequence[PromptPair], *, temperature: float = 0.0, seed: int = 0
    ) -> list[Reply]:
        """One reply a prompt, the most likely words at temperature 0; those are asked for once."""
        actual = self.actual(condition)
        if temperature:
            replies = self._ask(actual, prompts, temperature, seed)
        else:
            read = [one.teacher_ids if actual.prompted else one.student_ids for one in prompts]
            keys = [(actual, self.max_new_tokens, tuple(ids)) for ids in read]
            new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self.known}
            self.known.update(zip(new, self._ask(actual, list(new.values()), temperature, seed), strict=True))
            replies = [self.known[key] for key in keys]
        self.on_progress(len(prompts))
        return replies

    def _ask(self, condition: Condition, prompts: Sequence[PromptPair], temperature: float, seed: int) -> list[Reply]:
        if not prompts:
            return []
        trajectories = self.engine.answers(
            condition,
            prompts,
            max_new_tokens=self.max_new_tokens,
            temperature=temperature,
            seed=seed,
            on_progress=self.on_progress.tokens_only(),
        )
        decode = self.engine.tokenizer.decode
        return [
            Reply(str(decode(list(one.ids), skip_special_tokens=True)).strip(), one.ids, one.stopped)
            for one in trajectories
        ]

    def answered(self, rows: Sequence[Conversation], *, anchor: bool = False) -> AnsweredRows:
        """Rows with their answers; where one is missing, the teacher's tokens at temperature 1 are taken.

        With `anchor` the teacher sees what the student sees: it is the base.
        """
        given = [pair for row in rows if row.answered for pair in self.builder.views(row, anchor=anchor)]
        prompts = self.prompts([row for row in rows if not row.answered], anchor=anchor)
        written = self.replies(PROMPTED, prompts, temperature=1.0, seed=self.seed)
        self.on_progress(len(rows) - len(prompts))
        return self.with_teacher(
            [*given, *(prompt.with_answer(reply.ids) for prompt, reply in zip(prompts, written, strict=True))]
        )

    def with_teacher(self, pairs: Sequence[ViewPair]) -> AnsweredRows:
        """These rows with their teacher; its signal is stored unless it can only give whole logits."""
        if self.engine.shortcuts.states_are_logits:
            return AnsweredRows(tuple(pairs), self.engine.live_teacher())
        return AnsweredRows(tuple(pairs), self.engine.teacher(pairs, self.on_progress.tokens_only()))

    def compare(self, condition: Condition, rows: AnsweredRows) -> Comparison:
        """How far the model under a condition is from the teacher, at every token of the rows' answers."""
        tokens = self.on_progress.tokens_only()
        divergence = self.engine.compare(self.actual(condition), rows.pairs, rows.teacher, tokens)
        self.on_progress(len(set(rows.prompts)))
        return Comparison(rows, *divergence)

    def actual(self, condition: Condition) -> Condition:
        """One of `CONDITIONS` as this engine has it: its own teacher, and its student at the strength to be proved."""
        student = self.engine.student_condition.at(self.strength)
        return {
            BASE: BASE,
            PROMPTED: self.engine.teacher_condition,
            BAKED: student,
            BAKED_PROMPTED: replace(student, prompted=True),
        }[condition]


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """How many tokens two answers share at their beginning; None when they are equal."""
    if tuple(one) == tuple(other):
        return None
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
