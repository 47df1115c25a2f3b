"""Questions about a document that the model writes itself: self-study (Eyuboglu et al. 2025, arXiv 2506.06266).

Behind the bare header of a user's turn the model goes on with questions, about a chunk or about one sentence of it
alone. Asked in plain words for messages of several kinds, it writes what a header does not bring about: requests to
structure, to summarise, to use, and statements that contradict the text. A model whose replies to such requests are no
questions about the text (small ones answer them with statements) is not asked for more of them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation, Message, evenly
from bakery.rows.relevance import ChunkIndex
from bakery.writing.plan import WritingPlan
from bakery.writing.prompts import divided, last_words
from bakery.writing.selection import Written, is_usable
from bakery.writing.topics import Topic
from bakery.writing.vocabulary import Vocabulary
from bakery.writing.writer import Scene, Writer

ASKING = (
    "Write one question about a detail of this text. Name what it is about, as nobody else sees the text. "
    "Write only the question, in the language of the text.",
    "Write one question whose answer needs two places of this text. Name what it is about, as nobody else sees the "
    "text. Write only the question, in the language of the text.",
)
OTHERS = (
    "Write one request to put facts of this text into a list, a table or JSON. Name which facts, as nobody else sees "
    "the text. Write only the request, in the language of the text.",
    "Write one request to summarise a part of this text. Name the part, as nobody else sees the text. Write only the "
    "request, in the language of the text.",
    "Write one request of somebody who has a task of his own for which he needs what this text says. Name what it is "
    "about. Write only the request, in the language of the text.",
    "Write one message that gets a detail of this text wrong, so that it has to be corrected. Name what it is about. "
    "Write only the message, in the language of the text.",
)
REQUESTS = (*ASKING, *OTHERS)
"""Asking, asking across places, structuring, summarising, using, contradicting."""

QUESTIONS_A_SENTENCE = 8
"""Messages to learn from for each sentence of the document."""
_FEW_MESSAGES = 512
"""Twice as many for a sentence while that makes no more than these: few sentences say little about each other."""
_ABOUT_A_WORLD, _WORLD = 8, 128
"""Messages about the document for each one about anything, and the most of the latter."""
_STOPPING, _HELD_OUT = 64, 256
"""Questions that tell when training is done, and those of the proof: one for each sentence, and no more than this."""
_LONGEST = 64
"""New tokens of a message behind a header: more, and it is a speech and no question."""
_SURPLUS = 3
"""Messages that are written for each one wanted."""
_ROUNDS = 3
_ALONE = 0.75
"""The share of the messages behind a header that is written behind single sentences."""
_ASKED = 0.5
"""The share of all messages that the model is asked for in plain words, if it can be."""
_TRIAL = 8
"""So many chunks, and so many questions on each at most, tell whether a way of writing gives anything usable."""
_USABLE = 0.5
_QUESTION_MARKS = ("?", "？", "؟")
_STREAM = 1_000
"""Seeds of one stream of messages."""


def document_plan(plan: WritingPlan, topics: Sequence[Topic]) -> WritingPlan:
    """The plan for a document: as many messages as it has sentences to be asked about.

    Args:
        plan: what would be written for a context of so many clauses.
        topics: the document's chunks.
    """
    sentences = sum(len(topic.clauses) for topic in topics)
    about = max(QUESTIONS_A_SENTENCE * sentences, min(_FEW_MESSAGES, 2 * QUESTIONS_A_SENTENCE * sentences))
    return replace(
        plan,
        about=about if plan.about else 0,
        world=min(_WORLD, about // _ABOUT_A_WORLD) if plan.world else 0,
        stopping=_STOPPING if plan.stopping else 0,
        held_out=min(_HELD_OUT, max(plan.held_out, sentences)) if plan.held_out else 0,
    )


@dataclass(frozen=True)
class _Wanted:
    """How many messages are wanted about a chunk, and what precedes them."""

    scene: Scene
    topic: int
    count: int


@dataclass
class DocumentWriter:
    """Writes the messages of one document; what it has written once it does not write again.

    Args:
        writer: writes messages behind scenes.
        topics: the document's chunks, in order.
        seed: of all that is written.
        taken: what has been written or given so far.
    """

    writer: Writer
    topics: Sequence[Topic]
    seed: int
    taken: Written = field(default_factory=Written)

    def __post_init__(self) -> None:
        self.writer = replace(self.writer, longest=_LONGEST)
        self._index = ChunkIndex([topic.text for topic in self.topics])
        self._vocabulary = Vocabulary([clause for topic in self.topics for clause in topic.clauses])
        self._asking: bool | None = None

    def can_write(self) -> bool:
        """Whether the model writes usable messages, behind headers or asked in plain words; a few tell."""
        try:
            (texts,) = self.writer.write([self._scene(0)], [2 * _TRIAL], self.seed)
        except (TemplateError, ViewError):
            texts = []
        usable = {text for text in texts if is_usable(text, self.topics[0].text)}
        return 2 * len(usable) >= _TRIAL or self._can_be_asked()

    def prompts(self, plan: WritingPlan, given: Sequence[Conversation]) -> list[Conversation]:
        """Rows to learn from, none of them like a given one; fewer than planned where the model repeats itself."""
        for row in given:
            self.taken.add(last_words(row))
        asked = self._in_plain_words(round(_ASKED * plan.about)) if self._can_be_asked() else []
        about = self._behind_headers(plan.about - len(asked))
        if asked and len(about) + len(asked) < plan.about:  # a model that writes nothing behind headers
            asked += self._in_plain_words(plan.about - len(about) - len(asked))
        return [*about, *asked, *self._about_anything(plan.world)]

    def questions(self, count: int) -> list[Conversation]:
        """Held-out rows from a stream of their own, evenly over the document; none is like a row to learn from."""
        rows = self._behind_headers(count, alone=1.0)
        if len(rows) < count and self._can_be_asked():
            rows += self._in_plain_words(count - len(rows))
        return rows[:count]

    def _can_be_asked(self) -> bool:
        """Whether the model writes questions about a chunk when it is asked for them."""
        if self._asking is None:
            topics = evenly(range(len(self.topics)), _TRIAL)
            each = max(2, 2 * _TRIAL // len(topics))
            written = self._asked(ASKING).write(
                [self._scene(at) for at in topics], [each] * len(topics), self._next_seed()
            )
            different = Written()
            usable = [
                text
                for texts in written
                for text in texts
                if text.endswith(_QUESTION_MARKS) and self._vocabulary.is_about(text) and different.add(text)
            ]
            self._asking = len(usable) >= _USABLE * each * len(topics)
        return self._asking

    def _behind_headers(self, count: int, alone: float = _ALONE) -> list[Conversation]:
        """Rows about the document, a share of them from behind single sentences, the others from behind chunks."""
        sentences = [
            _Wanted(Scene(_system(clause)), at, 0) for at, topic in enumerate(self.topics) for clause in topic.clauses
        ]
        chunks = [_Wanted(self._scene(at), at, 0) for at, topic in enumerate(self.topics) if topic.clauses]
        for_sentences = round(alone * count) if len(sentences) > 1 else 0
        try:
            return [
                *self._rows(_divided(sentences, for_sentences), self.writer),
                *self._rows(_divided(chunks, count - for_sentences), self.writer),
            ]
        except (TemplateError, ViewError):  # the template has no header to go on behind
            return []

    def _in_plain_words(self, count: int) -> list[Conversation]:
        """Rows about the document that the model writes when it is asked for messages of several kinds."""
        wanted = [_Wanted(self._scene(at), at, 0) for at, topic in enumerate(self.topics) if topic.clauses]
        return self._rows(_divided(wanted, count), self._asked(REQUESTS))

    def _about_anything(self, count: int) -> list[Conversation]:
        """Rows from behind nothing."""
        try:
            (texts,) = self.writer.write([Scene()], [_SURPLUS * count], self._next_seed()) if count else ([],)
        except (TemplateError, ViewError):
            return []
        usable = [text for text in texts if is_usable(text, "") and text not in self.taken]
        return [self._row(text, None, at) for at, text in enumerate(self._taken_of(usable, count))]

    def _rows(self, wanted: Sequence[_Wanted], writer: Writer) -> list[Conversation]:
        """Rows with the messages that are wanted; where too few are usable, more are written, a few times."""
        rows: list[Conversation] = []
        for _ in range(_ROUNDS):
            wanted = [one for one in wanted if one.count]
            if not wanted:
                break
            scenes, counts = [one.scene for one in wanted], [_SURPLUS * one.count for one in wanted]
            written = writer.write(scenes, counts, self._next_seed())
            missing = []
            for one, texts in zip(wanted, written, strict=True):
                usable = [text for text in texts if is_usable(text, self.topics[one.topic].text)]
                chosen: list[str] = []
                for candidates in self._vocabulary.best_first(usable):
                    chosen += self._taken_of(candidates, one.count - len(chosen))
                rows += [self._row(text, one.topic, 0) for text in chosen]
                missing.append(replace(one, count=one.count - len(chosen)))
            wanted = missing
        return rows

    def _taken_of(self, texts: Sequence[str], count: int) -> list[str]:
        """At most `count` of the texts that are like none taken before, drawn at random.

        Behind one sentence all ask for the same, and the draw has every wording as often as the model writes it. A
        choice for many words would leave out the shortest wordings, each word of which others have too.
        """
        drawn = random.Random(self.seed).sample(list(texts), len(texts))
        return list(islice((text for text in drawn if self.taken.add(text)), max(0, count)))

    def _row(self, text: str, topic: int | None, turn: int) -> Conversation:
        """A row behind the chunk that it is about; behind the one whose turn it is where that is not clear."""
        chunk = self._index.chunk_of(text, topic)
        behind = self.topics[turn % len(self.topics) if chunk is None else chunk]
        return Conversation(({"role": "user", "content": text},), behind.prefix if behind.own else None, "")

    def _scene(self, topic: int) -> Scene:
        """What precedes a message about a chunk: that chunk alone."""
        return Scene(_system(self.topics[topic].text))

    def _asked(self, requests: Sequence[str]) -> Writer:
        return replace(self.writer, by_request=True, requests=requests)

    def _next_seed(self) -> int:
        self.seed += _STREAM
        return self.seed


def _divided(wanted: Sequence[_Wanted], count: int) -> list[_Wanted]:
    """These with `count` messages divided among them as evenly as possible."""
    counts = divided(count, [1] * len(wanted)) if wanted else []
    return [replace(one, count=own) for one, own in zip(wanted, counts, strict=True)]


def _system(content: str) -> tuple[Message, ...]:
    return ({"role": "system", "content": content},)
