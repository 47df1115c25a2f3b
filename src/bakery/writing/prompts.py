"""Prompts that the model writes for its own bake: some about the context, some about the world it is used in.

Behind a whole context the model asks what people would ask, often the same; behind one clause of it alone it asks about
that clause, so that none is left out. Behind nothing it asks about the world.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation, Message, evenly, unanswered
from bakery.writing.plan import WritingPlan
from bakery.writing.selection import Asked, Written, covering, is_usable, spread, uncovered
from bakery.writing.topics import Topic
from bakery.writing.writer import Scene, Writer

_ROUNDS = 3
"""Times that a model is asked again for what is still missing."""
_SURPLUS = 3
"""Messages that are written for each one wanted."""
_TRIAL, _USABLE = 16, 0.25
"""So many messages tell whether a way of writing gives anything, and the share of them that has to be usable."""
_SIMILAR = 8
"""Given prompts that more is written like."""
_LATER_TURNS = 8
"""One of so many prompts about the context is the second one of a chat."""
_GLANCE = 48
"""Tokens of a reply that tell which clauses it touches."""
_STREAM = 1_000
"""Seeds of one stream of messages."""


@dataclass(frozen=True)
class Share:
    """A scene, how many messages are to be written behind it, and the number of the topic they are about."""

    scene: Scene
    count: int
    topic: int | None = None


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

    def can_write(self) -> bool:
        """Whether the model writes usable messages: behind a header, or where it does not, when asked in plain words.

        A few messages tell, so that a model that writes nothing costs nothing; from then on what works is done.
        """
        topic = self.topics[0]
        for by_request in (False, True):
            writer = replace(self.writer, by_request=by_request)
            try:
                (texts,) = writer.write([Scene(topic.prefix)], [_TRIAL], self.seed)
            except (TemplateError, ViewError):
                continue  # the template has no header to go on behind, or cannot render the request
            if len({text for text in texts if is_usable(text, topic.text)}) >= _USABLE * _TRIAL:
                self.writer = writer
                return True
        return False

    def prompts(self, plan: WritingPlan, given: Sequence[Conversation]) -> list[Conversation]:
        """Rows to learn from, none of them like a given one; fewer than planned where the model repeats itself."""
        for row in given:
            self.taken.add(last_words(row))
        later = plan.about // _LATER_TURNS
        about = self._about(plan.about - later, self._similar(given))
        return [*about, *self._later_turns(about, later), *self._world(plan.world)]

    def questions(self, count: int) -> list[Conversation]:
        """Held-out rows from a stream of their own; none is like a row to learn from."""
        return [*self._about(count - count // 2), *self._world(count // 2)]

    def _about(self, count: int, similar: Sequence[Share] = ()) -> list[Conversation]:
        """Messages about the contexts, spread over their clauses; `similar`: chats that also lead to such messages."""
        if not count:
            return []
        wanted = divided(count, [max(1, len(topic.clauses)) for topic in self.topics])
        asked: list[list[Asked]] = [[] for _ in self.topics]
        shares = [*self._behind_wholes(wanted), *self._behind_clauses(wanted, asked), *similar]
        for _ in range(_ROUNDS):
            for topic, own in self._new(shares, self._write(shares), asked):
                asked[topic].append(own)
            shares = self._behind_clauses(wanted, asked)
            if not shares and all(len(own) >= number for own, number in zip(asked, wanted, strict=True)):
                break
            shares = shares or self._behind_wholes(wanted)
        chosen = [
            covering(own, topic.clauses, number) for own, topic, number in zip(asked, self.topics, wanted, strict=True)
        ]
        return [
            self._row(text, topic)
            for topic, own in zip(self.topics, chosen, strict=True)
            for text in own
            if self.taken.add(text)
        ]

    def _new(
        self, shares: Sequence[Share], written: Sequence[Sequence[str]], asked: Sequence[Sequence[Asked]]
    ) -> list[tuple[int, Asked]]:
        """Messages that were not written before, by topic, with the teacher's replies."""
        known = [{one.text for one in own} for own in asked]
        texts = dict.fromkeys(
            (share.topic or 0, text)
            for share, own in zip(shares, written, strict=True)
            for text in own
            if text not in self.taken and text not in known[share.topic or 0]
        )
        rows = [self._row(text, self.topics[topic]) for topic, text in texts]
        replies = self.writer.replies(rows, self._next_seed(), _GLANCE) if rows else []
        return [(topic, Asked(text, reply)) for (topic, text), reply in zip(texts, replies, strict=True)]

    def _world(self, count: int) -> list[Conversation]:
        """Messages about anything, as they are written behind nothing."""
        texts: list[str] = []
        for _ in range(_ROUNDS if count else 0):
            (written,) = self._write([Share(Scene(), _SURPLUS * count)])
            texts += [text for text in written if text not in self.taken]
            if len(set(texts)) >= count:
                break
        return [self._row(text) for text in spread(list(dict.fromkeys(texts)), count) if self.taken.add(text)]

    def _behind_wholes(self, wanted: Sequence[int]) -> list[Share]:
        """Behind a whole context the model asks what people would ask."""
        return [
            Share(Scene(topic.prefix), count, number)
            for number, (topic, count) in enumerate(zip(self.topics, wanted, strict=True))
            if count
        ]

    def _behind_clauses(self, wanted: Sequence[int], asked: Sequence[Sequence[Asked]]) -> list[Share]:
        """Behind one clause alone it asks about that clause: for those that too few messages touch."""
        shares: list[Share] = []
        for number, (topic, count) in enumerate(zip(self.topics, wanted, strict=True)):
            missing = uncovered(asked[number], topic.clauses, count) if len(topic.clauses) > 1 else {}
            shares += [
                Share(Scene(({"role": "system", "content": topic.clauses[clause]},)), _SURPLUS * short, number)
                for clause, short in missing.items()
            ]
        return shares

    def _similar(self, given: Sequence[Conversation]) -> list[Share]:
        """Chats in which a given prompt was answered: what a user says next is like it."""
        rows = evenly([unanswered(row) for row in given], _SIMILAR)
        return [Share(Scene(self.topics[topic].prefix, chat), _SURPLUS, topic) for topic, chat in self._answered(rows)]

    def _answered(self, rows: Sequence[Conversation]) -> list[tuple[int, tuple[Message, ...]]]:
        """Rows with the teacher's reply, each with the number of its topic; those without a reply are left out."""
        numbers = {repr(topic.prefix): number for number, topic in enumerate(self.topics)}
        replies = self.writer.replies(rows, self._next_seed()) if rows else []
        return [
            (numbers.get(repr(row.prefix), 0), (*row.messages, {"role": "assistant", "content": reply}))
            for row, reply in zip(rows, replies, strict=True)
            if reply
        ]

    def _later_turns(self, about: Sequence[Conversation], count: int) -> list[Conversation]:
        """Chats of two questions, the first one answered: of rows spread evenly over those about the context."""
        chats = self._answered(evenly(about, count))
        shares = [Share(Scene(self.topics[topic].prefix, chat), _SURPLUS, topic) for topic, chat in chats]
        rows = []
        for share, texts in zip(shares, self._write(shares), strict=True):
            text = next((text for text in texts if self.taken.add(text)), None)
            rows += [self._row(text, self.topics[share.topic or 0], share.scene.chat)] if text else []
        return rows

    def _row(self, text: str, topic: Topic | None = None, chat: tuple[Message, ...] = ()) -> Conversation:
        own = topic.prefix if topic and topic.own else None
        return Conversation((*chat, {"role": "user", "content": text}), own, "")

    def _write(self, shares: Sequence[Share]) -> list[list[str]]:
        """Usable messages of each share.

        Raises:
            TemplateError, ViewError: the template cannot render what precedes a message.
        """
        if not shares:
            return []
        scenes, counts = [share.scene for share in shares], [share.count for share in shares]
        written = self.writer.write(scenes, counts, self._next_seed())
        contexts = ["" if share.topic is None else self.topics[share.topic].text for share in shares]
        return [
            [text for text in texts if is_usable(text, context)]
            for texts, context in zip(written, contexts, strict=True)
        ]

    def _next_seed(self) -> int:
        self.seed += _STREAM
        return self.seed


def last_words(row: Conversation) -> str:
    """The words of a row's last question."""
    return str(unanswered(row).messages[-1].get("content") or "")


def divided(count: int, weights: Sequence[int]) -> list[int]:
    """`count` in whole parts, as near to the weights as possible."""
    bounds = [count * total // sum(weights) for total in accumulate(weights, initial=0)]
    return [after - before for before, after in pairwise(bounds)]
