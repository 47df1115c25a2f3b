"""A conversation with a bake: what is asked goes in, events come out as the answers grow; no page and no terminal.

Nothing of a conversation is remembered here: whoever asks gives all earlier messages, so that any number of
conversations can go on side by side.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from bakery.chat.views import PromptPair, ViewBuilder
from bakery.engine.distill.conditions import BASE, Condition, adapter_names
from bakery.engine.distill.engine import Engine
from bakery.engine.distill.side_by_side import ReadToken, SideBySide
from bakery.errors import DataError
from bakery.rows.conversations import Conversation, Message
from bakery.rows.document import Chunk
from bakery.rows.relevance import ChunkIndex
from bakery.scoring.rules import Rule

BASE_COLUMN, REFERENCE, BAKED_COLUMN = "base", "prompted", "baked"
"""Keys of the columns: the model as it was, the one from which all are measured, and the first baked one."""
_PROBES = ("Hello.", "Why?")
"""Two questions that begin differently: what is the same in front of both is the prompt."""


@dataclass(frozen=True)
class Column:
    """Who can be asked.

    Args:
        key: its name in what is asked and in what is told.
        name: what people read.
        condition: under which the model answers.
        baked: whether its adapter was baked, so that its strength can be chosen.
    """

    key: str
    name: str
    condition: Condition
    baked: bool = False


def columns_of(teacher: Condition, baked: Sequence[str]) -> tuple[Column, ...]:
    """Base and prompted model, and an adapter for each of these names.

    Args:
        teacher: the condition of the prompted model.
        baked: what people are to read of each run, in the order in which their adapters were loaded.
    """
    keys = [BAKED_COLUMN if number == 1 else f"{BAKED_COLUMN}-{number}" for number in range(1, len(baked) + 1)]
    adapters = [Condition(((adapter, 1.0),)) for adapter in adapter_names(len(baked))]
    return (
        Column(BASE_COLUMN, "base", BASE),
        Column(REFERENCE, "prompted", teacher),
        *(Column(*own, baked=True) for own in zip(keys, baked, adapters, strict=True)),
    )


@dataclass(frozen=True)
class Asked:
    """What is asked of whom, and how.

    Args:
        messages: by column, its conversation so far, which ends with the user's question.
        prompt: what the prompted model sees before it; none: the prompt of the bake.
        strength: of the adapters, 1 as they were trained.
        temperature: of the answers; 0 takes the likeliest tokens.
        seed: of the random numbers, the same for all columns.
        max_new_tokens: of each answer.
        compared: whether every token is read by all models, or only by the one that writes it.
    """

    messages: Mapping[str, Sequence[Message]]
    prompt: Sequence[Message] | None = None
    strength: float = 1.0
    temperature: float = 0.0
    seed: int = 0
    max_new_tokens: int = 256
    compared: bool = True


@dataclass(frozen=True)
class Begun:
    """The question is understood; `prompt` is what the prompted model sees."""

    prompt: tuple[Message, ...]


@dataclass(frozen=True)
class Piece:
    """One token of an answer.

    Args:
        column: whose answer.
        text: what it adds to the text; nothing for a token without text, and for the first ones of a character.
        shown: its own text, as among the likeliest.
        probability: of the token, by the model that reads it.
        nats: the divergence of each model from the prompted one in front of it.
        likeliest: the most probable tokens by the model that reads them, each with its probability.
    """

    column: str
    text: str
    shown: str
    probability: Mapping[str, float]
    nats: Mapping[str, float]
    likeliest: Mapping[str, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class Ended:
    """An answer is complete: whether the model ended it itself, and which clauses of the prompt it keeps to."""

    column: str
    text: str
    stopped: bool
    rules: tuple[tuple[str, bool], ...]


Event = Begun | Piece | Ended


@dataclass
class GrowingText:
    """The text of an answer, token by token; a character of several tokens appears with its last one."""

    tokenizer: PreTrainedTokenizerBase
    ids: list[int] = field(default_factory=list)
    text: str = ""

    def add(self, token: int, *, last: bool) -> str:
        """What this token adds."""
        self.ids.append(token)
        whole = str(self.tokenizer.decode(self.ids, skip_special_tokens=True))
        if whole.endswith("\ufffd") and not last:
            return ""
        added, self.text = whole[len(self.text) :], whole
        return added


@dataclass(frozen=True)
class Tasting:
    """A prompt that can be tried, with what was baked of it.

    Args:
        engine: asks the model.
        builder: makes the views.
        columns: who can be asked, in the order in which they are shown.
        prompt: what the prompted model sees; empty where every question has a part of a document of its own.
        rules: the clauses of the prompt.
        chunks: the parts of a document, of which the prompted model sees the one that a question is about.
        longest: how many tokens the model reads; none: it does not say.
    """

    engine: Engine
    builder: ViewBuilder
    columns: tuple[Column, ...]
    prompt: tuple[Message, ...]
    rules: tuple[Rule, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    longest: int | None = None
    _shared: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def answers(self, asked: Asked) -> Generator[Event, None, None]:
        """The answers, token by token in turn; once it is closed, nothing more is computed.

        Raises:
            DataError: the conversation is longer than the model reads, or its template refuses it.
        """
        columns = [column for column in self.keys if column in asked.messages]
        prompt = self.prompt_of(asked)
        yield Begun(prompt)
        pairs = [self._pair(asked.messages[column], prompt) for column in columns]
        read = self.keys if asked.compared else tuple(columns)
        conditions = tuple(self.condition(column, asked.strength) for column in read)
        reference = read.index(REFERENCE) if asked.compared else None
        settings = self.engine.sampling_settings(
            max_new_tokens=min(asked.max_new_tokens, self._room(pairs)), temperature=asked.temperature, seed=asked.seed
        )
        texts = {column: GrowingText(self.engine.tokenizer) for column in columns}
        side = SideBySide(self.engine, conditions, reference)
        authors = [read.index(column) for column in columns]
        for token in side.stream(pairs, authors, settings, self._prefix_ids(pairs[0], prompt)):
            column = columns[token.answer]
            yield self._piece(token, column, read, texts[column])
            if token.last:
                question = str(asked.messages[column][-1]["content"])
                yield self._ended(column, texts[column].text, question, stopped=token.id in settings.stop_ids)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all columns."""
        return tuple(column.key for column in self.columns)

    def condition(self, key: str, strength: float) -> Condition:
        """Under which condition a column answers."""
        (column,) = (column for column in self.columns if column.key == key)
        return column.condition.at(strength) if column.baked and strength != 1 else column.condition

    def prompt_of(self, asked: Asked) -> tuple[Message, ...]:
        """What the prompted model sees: what was given, what was baked, or the part of the document in question."""
        if asked.prompt is not None:
            return tuple(message for message in asked.prompt if str(message["content"]).strip())
        if self.prompt or not self.chunks:
            return self.prompt
        (*_, last) = next(iter(asked.messages.values()))
        chosen = ChunkIndex([chunk.text for chunk in self.chunks]).chunk_of(str(last["content"]))
        return self.chunks[chosen or 0].prefix

    def _pair(self, messages: Sequence[Message], prompt: tuple[Message, ...]) -> PromptPair:
        """Both views; equal where there is no prompt."""
        return self.builder.prompts(Conversation(tuple(messages), prompt, ""), anchor=not prompt)

    def _prefix_ids(self, pair: PromptPair, prompt: tuple[Message, ...]) -> tuple[int, ...]:
        """The tokens of a prompt, with which every prompted view begins."""
        if not prompt:
            return ()
        if pair.prefix_key not in self._shared:
            one, other = (self._pair(({"role": "user", "content": probe},), prompt).teacher_ids for probe in _PROBES)
            same = takewhile(lambda ids: ids[0] == ids[1], zip(one, other, strict=False))
            self._shared[pair.prefix_key] = tuple(token for token, _ in same)
        return self._shared[pair.prefix_key]

    def _room(self, pairs: Sequence[PromptPair]) -> int:
        """How many tokens the answers may have."""
        tokens = max(len(ids) for pair in pairs for ids in (pair.teacher_ids, pair.student_ids))
        if self.longest is None:
            return 2**20
        if tokens >= self.longest:
            raise DataError(
                f"prompt and conversation have {tokens:,} tokens, and the model reads {self.longest:,} at most; "
                "start a new conversation"
            )
        return self.longest - tokens

    def _piece(self, token: ReadToken, column: str, read: Sequence[str], text: GrowingText) -> Piece:
        decode = self.engine.tokenizer.decode
        likeliest = [tuple((str(decode([one.id])), one.probability) for one in own) for own in token.likeliest]
        return Piece(
            column,
            text.add(token.id, last=token.last),
            str(decode([token.id])),
            dict(zip(read, token.probability, strict=True)),
            dict(zip(read, token.divergence, strict=True)) if token.divergence else {},
            dict(zip(read, likeliest, strict=True)),
        )

    def _ended(self, column: str, text: str, question: str, *, stopped: bool) -> Ended:
        about = [rule for rule in self.rules if rule.applies(question)]
        return Ended(column, text, stopped, tuple((rule.name, rule.holds(text, question)) for rule in about))


def with_answer(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """A conversation with the answer to its last question."""
    return (*messages, {"role": "assistant", "content": text})


def with_question(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """A conversation with one more question."""
    return (*messages, {"role": "user", "content": text})
