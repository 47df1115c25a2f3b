"""How the proof asks and compares: rows to views, conditions to replies, replies to figures; nothing is written here.

`AnsweredRows` are rows with the teacher's answers: any condition can be compared along them, before and after the bake.
Every divergence is KL(teacher || condition) at temperature 1 in nats per token, summed by prompt.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.distill.conditions import BAKED, BAKED_PROMPTED, BASE, PROMPTED, Condition
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.samplers.sampler import ThinkingBound, Trajectory
from bakery.engine.distill.teacher import CachedTeacher, Teacher
from bakery.errors import DataError
from bakery.evaluation import estimates
from bakery.evaluation.estimates import Estimate
from bakery.evaluation.replies import Ask, KnownReplies, Reply, Request
from bakery.progress import NO_PROGRESS, ProgressCallback
from bakery.rows.conversations import Conversation
from bakery.settings.arguments import BakeryConfig

CONDITIONS = (BASE, PROMPTED, BAKED, BAKED_PROMPTED)
NAMES = {BASE: "base", PROMPTED: "prompted", BAKED: "baked", BAKED_PROMPTED: "baked_prompted"}
"""What the conditions are called in results.json."""

Adapters = tuple[tuple[str, float], ...]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class AnsweredRows:
    """Rows with the teacher's answers and its distribution at each of their tokens."""

    pairs: tuple[ViewPair, ...]
    teacher: Teacher
    cut: int = 0  # answers that were cut in their thoughts and are left out, as thoughts are not learned

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

    Every answer and every comparison of a row is reported as one piece of work. Answers and what the teacher said to
    them are remembered: the adapters must stay as they are.
    """

    engine: Engine
    builder: ViewBuilder
    max_new_tokens: int
    seed: int
    teacher: CachedTeacher = field(repr=False)
    known: KnownReplies = field(repr=False)
    on_progress: ProgressCallback = NO_PROGRESS
    strength: float = 1.0
    thinking: ThinkingBound | None = None

    @classmethod
    def by(
        cls,
        engine: Engine,
        builder: ViewBuilder,
        max_new_tokens: int,
        seed: int,
        earlier: "Evaluator | None" = None,
        thinking_length: int | None = None,
    ) -> "Evaluator":
        """The proof is always told in forward KL at temperature 1, whatever the bake minimised.

        Args:
            engine: asks the model.
            builder: makes the views.
            max_new_tokens: longest answer.
            seed: of the answers that are drawn.
            earlier: whose answers of the teacher need not be asked for again.
            thinking_length: longest thoughts before an answer; none: they count to the answer.
        """
        engine = replace(engine, temperature=1.0, beta=0.0, remembered={})
        known = earlier.known.of(engine.teacher_condition.adapters) if earlier else KnownReplies()
        teacher = earlier.teacher if earlier else engine.teacher([])
        bound = ThinkingBound.of(thinking_length, builder.thinking)
        return cls(engine, builder, max_new_tokens, seed, teacher, known, thinking=bound)

    @classmethod
    def for_bake(
        cls, engine: Engine, builder: ViewBuilder, args: BakeryConfig, earlier: "Evaluator | None" = None
    ) -> "Evaluator":
        """The same with the lengths and the seed of a bake with these settings."""
        longest = args.eval_max_new_tokens or args.trajectory_length
        return cls.by(engine, builder, longest, args.seed + 2, earlier, args.thinking_length)

    def at(self, strength: float) -> "Evaluator":
        """The same for an adapter at another strength."""
        return replace(self, engine=replace(self.engine, remembered={}), strength=strength)

    def beginnings(self, tokens: int) -> "Evaluator":
        """The same for answers of at most so many tokens."""
        return replace(self, max_new_tokens=min(tokens, self.max_new_tokens))

    def prompts(self, rows: Sequence[Conversation], *, anchor: bool = False) -> list[PromptPair]:
        """Both views of unanswered rows."""
        return [self.builder.prompts(row, anchor=anchor) for row in rows]

    def learn(self, answers: Iterable[tuple[PromptPair, Trajectory]], temperature: float) -> None:
        """Take these for answers that the teacher gave when it was asked for them at this temperature."""
        if temperature != 1.0:
            return
        for prompt, answer in answers:
            asked = Request(self.actual(PROMPTED), tuple(prompt.teacher_ids), 1.0, self.seed, self.thinking)
            self.known.replies.setdefault(asked, self._reply(answer))

    def _reply(self, said: Trajectory) -> Reply:
        thinking = self.builder.thinking
        begin = (thinking.answer(said.ids) if thinking else None) or 0
        answer = self._text(said.ids[begin:]) if begin else ""
        return Reply(self._text(said.ids), said.ids, said.stopped, begin, answer, said.forced)

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.engine.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def ask(self, asks: Mapping[Key, Ask]) -> dict[Key, list[Reply]]:
        """The replies to all of these questions; what is asked under one state of the adapters is one batch.

        The conditions are those of `CONDITIONS`. What is known is not asked again.
        """
        requests = {
            key: replace(one, condition=self.actual(one.condition)).requests(self.thinking) for key, one in asks.items()
        }
        missing: dict[Adapters, dict[Request, PromptPair]] = {}
        for key, one in asks.items():
            for request, prompt in zip(requests[key], one.prompts, strict=True):
                if self.known.reply(request, self.max_new_tokens) is None:
                    missing.setdefault(request.condition.adapters, {})[request] = prompt
        self.on_progress(sum(map(len, requests.values())) - sum(map(len, missing.values())))
        for adapters, prompts in missing.items():
            self._sample(Condition(adapters), prompts)
        return {key: [self._known(request) for request in own] for key, own in requests.items()}

    def replies(
        self, condition: Condition, prompts: Sequence[PromptPair], *, temperature: float = 0.0, seed: int = 0
    ) -> list[Reply]:
        """One reply a prompt, the most likely words at temperature 0."""
        return self.ask({None: Ask(condition, prompts, temperature, seed)})[None]

    def _known(self, request: Request) -> Reply:
        reply = self.known.reply(request, self.max_new_tokens)
        assert reply is not None
        return reply

    def _sample(self, condition: Condition, wanted: Mapping[Request, PromptPair]) -> None:
        """Ask, and remember the replies; only the adapters of the condition count."""
        prompted = self.actual(PROMPTED)
        asked = []
        for request, prompt in wanted.items():
            alike = [replace(request, thinking=None)]
            if condition.adapters != prompted.adapters:  # a baked model mostly says what the prompted one says
                alike.append(replace(request, condition=prompted, ids=tuple(prompt.teacher_ids)))
            draft = self.known.draft(request, *alike)
            asked.append(request.sampling_prompt(prompt.prefix_key, draft))
        settings = self.engine.sampling_settings(max_new_tokens=self.max_new_tokens, thinking=self.thinking)
        sampled = self.engine.sampler(condition).sample(asked, settings, self.on_progress)
        for request, one in zip(wanted, sampled, strict=True):
            self.known.replies[request] = self._reply(one)

    def ask_for_answers(self, rows: Sequence[Conversation], *, anchor: bool = False) -> Ask:
        """The question for the answers that rows lack: of the teacher, at temperature 1.

        With `anchor` the teacher sees what the student sees: it is the base.
        """
        prompts = self.prompts([row for row in rows if not row.answered], anchor=anchor)
        return Ask(PROMPTED, prompts, temperature=1.0, seed=self.seed)

    def with_answers(
        self, rows: Sequence[Conversation], asked: Ask, written: Sequence[Reply], *, anchor: bool = False
    ) -> AnsweredRows:
        """Rows with their answers; `written` holds those to `asked`, which `ask_for_answers` made of the rows.

        Answers that were cut in their thoughts are left out where thoughts are not learned.

        Raises:
            DataError: all were.
        """
        given = [pair for row in rows if row.answered for pair in self.builder.views(row, anchor=anchor)]
        self.on_progress(len(rows) - len(asked.prompts))
        learned = [(reply, self.builder.learned_of(reply.ids, reply.forced)) for reply in written]
        pairs = zip(asked.prompts, learned, strict=True)
        given += [prompt.with_answer(reply.ids, targets) for prompt, (reply, targets) in pairs if targets]
        if rows and not given:
            raise DataError(
                "target_thinking: none of the teacher's answers got out of its thoughts, so nothing can be measured; "
                "set thinking_length, or a longer eval_max_new_tokens (or trajectory_length)"
            )
        return replace(self.with_teacher(given), cut=sum(not targets for _, targets in learned))

    def answered(self, rows: Sequence[Conversation], *, anchor: bool = False) -> AnsweredRows:
        """Rows with their answers; where one is missing, it is asked for."""
        asked = self.ask_for_answers(rows, anchor=anchor)
        return self.with_answers(rows, asked, self.ask({None: asked})[None], anchor=anchor)

    def with_teacher(self, pairs: Sequence[ViewPair]) -> AnsweredRows:
        """These rows with their teacher; its signal is stored unless it can only give whole logits."""
        if self.engine.shortcuts.states_are_logits:
            return AnsweredRows(tuple(pairs), self.engine.live_teacher())
        self.teacher.read(pairs, self.on_progress.tokens_only())
        return AnsweredRows(tuple(pairs), self.teacher)

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
