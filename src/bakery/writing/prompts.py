"""Prompts that the model writes for its own bake: half about the context, half about the world it is used in.

Behind a whole context the model asks what people would ask, often the same; behind one clause of it alone it asks about
that clause, so that none is left out. Behind nothing it asks about the world.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation, Message, unanswered
from bakery.writing.plan import WritingPlan
from bakery.writing.selection import Written, is_usable, spread
from bakery.writing.topics import Topic
from bakery.writing.writer import Scene, Writer

_SURPLUS = 3
"""Messages that are written for each one wanted."""
_ROUNDS = 3
_USABLE = 0.25
"""Where less than this of the messages wanted is usable, the model is asked for them in plain words."""
_SIMILAR = 8
"""Given prompts that more is written like."""
_LATER_TURNS = 8
"""One of so many prompts about the context is the second one of a chat."""
_STREAM = 1_000
"""Seeds of one stream of messages."""


@dataclass(frozen=True)
class Share:
    """A scene, how many messages are wanted of it, and the topic they are about (none: anything).

    `later`: a row takes the scene's chat along; without, the message is the first one of its row.
    """

    scene: Scene
    count: int
    topic: Topic | None = None
    later: bool = False

    @property
    def text(self) -> str:
        """The words that a message may not merely repeat."""
        return self.topic.text if self.topic else ""


@dataclass
class PromptWriter:
    """Writes the prompts of one bake; what it has written once it does not write again.

    Args:
        writer: writes messages behind scenes.
        topics: the contexts, at least one.
        seed: of all that is written.
        taken: what has been written or given so far.
    """

    writer: Writer
    topics: Sequence[Topic]
    seed: int
    taken: Written = field(default_factory=Written)

    def prompts(self, plan: WritingPlan, given: Sequence[Conversation]) -> list[Conversation]:
        """Rows to learn from, none of them like a given one; fewer than planned where the model repeats itself."""
        for row in given:
            self.taken.add(last_words(row))
        later = plan.about // _LATER_TURNS
        about = self._messages(self._about(plan.about - later, given))
        return [*about, *self._later_turns(about, later), *self._messages([Share(Scene(), plan.world)])]

    def questions(self, count: int) -> list[Conversation]:
        """Held-out rows from a stream of their own; none is like a row to learn from."""
        shares = [*self._about(count - count // 2, ()), Share(Scene(), count // 2)]
        return self._messages(shares)

    def _about(self, count: int, given: Sequence[Conversation]) -> list[Share]:
        """Half of the messages behind whole contexts, or chats with given prompts, and half behind single clauses."""
        wholes = [Share(Scene(topic.prefix), 0, topic) for topic in self.topics]
        single = [
            Share(Scene(({"role": "system", "content": clause},)), 0, topic)
            for topic in self.topics
            for clause in topic.clauses
            if len(topic.clauses) > 1
        ]
        similar = self._similar(given)
        for_single = count // 2 if single else 0
        for_similar = (count - for_single) // 2 if similar else 0
        return [
            *divided(wholes, count - for_single - for_similar),
            *divided(similar, for_similar),
            *divided(single, for_single),
        ]

    def _similar(self, given: Sequence[Conversation]) -> list[Share]:
        """Chats in which a given prompt was answered: what a user says next is like it."""
        step = max(1, len(given) // _SIMILAR)
        rows = [unanswered(row) for row in given[::step][:_SIMILAR]]
        return [Share(Scene(topic.prefix, chat), 0, topic) for topic, chat in self._answered(rows)]

    def _answered(self, rows: Sequence[Conversation]) -> list[tuple[Topic, tuple[Message, ...]]]:
        """Rows with the teacher's reply, each with its topic; those without a topic or a reply are left out."""
        by_prefix = {repr(topic.prefix): topic for topic in self.topics}
        topics = [by_prefix.get(repr(row.prefix), self.topics[0]) for row in rows]
        replies = self.writer.replies(rows, self._next_seed()) if rows else []
        return [
            (topic, (*row.messages, {"role": "assistant", "content": reply}))
            for topic, row, reply in zip(topics, rows, replies, strict=True)
            if reply
        ]

    def _later_turns(self, about: Sequence[Conversation], count: int) -> list[Conversation]:
        """Chats of two questions, the first one answered: of rows spread evenly over those about the context."""
        if not count or not about:
            return []
        first = [about[at * len(about) // count] for at in range(min(count, len(about)))]
        shares = [Share(Scene(topic.prefix, chat), 1, topic, later=True) for topic, chat in self._answered(first)]
        return self._messages(shares)

    def _messages(self, shares: Sequence[Share]) -> list[Conversation]:
        """Rows with the messages of these shares; where a scene does not give enough, others give more.

        Raises:
            TemplateError, ViewError: the template cannot render what precedes a message.
        """
        shares = [share for share in shares if share.count]
        wanted, at = sum(share.count for share in shares), 0
        rows: list[Conversation] = []
        while at < _ROUNDS and len(rows) < wanted:
            more, usable = self._round(divided(shares, wanted - len(rows)) if rows else shares)
            rows += more
            at += 1
            if usable < _USABLE * wanted and not self.writer.by_request:
                self.writer, at = replace(self.writer, by_request=True), 0
        return rows

    def _round(self, shares: Sequence[Share]) -> tuple[list[Conversation], int]:
        """New rows, and how many different usable messages were written, new or not."""
        each, seed = _SURPLUS * max(share.count for share in shares), self._next_seed()
        rows: list[Conversation] = []
        usable = 0
        try:
            written = self.writer.write([share.scene for share in shares], each, seed)
        except (TemplateError, ViewError):
            if self.writer.by_request:
                raise
            return [], 0  # the template has no header to go on behind
        for share, texts in zip(shares, written, strict=True):
            different = Written()
            texts = [text for text in texts if is_usable(text, share.text) and different.add(text)]
            usable += len(texts)
            for text in spread([text for text in texts if text not in self.taken], share.count):
                self.taken.add(text)
                own = share.topic.prefix if share.topic and share.topic.own else None
                chat = share.scene.chat if share.later else ()
                rows.append(Conversation((*chat, {"role": "user", "content": text}), own, ""))
        return rows, usable

    def _next_seed(self) -> int:
        self.seed += _STREAM
        return self.seed


def last_words(row: Conversation) -> str:
    """The words of a row's last question."""
    return str(unanswered(row).messages[-1].get("content") or "")


def divided(shares: Sequence[Share], count: int) -> list[Share]:
    """These shares with `count` messages divided among them as evenly as possible."""
    bounds = [at * count // len(shares) for at in range(len(shares) + 1)] if shares else []
    return [replace(share, count=bounds[at + 1] - bounds[at]) for at, share in enumerate(shares)]
