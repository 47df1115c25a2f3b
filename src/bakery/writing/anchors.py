"""Anchors that are written for a bake: messages under other system prompts, where the model is to stay as it is.

A quarter of the system prompts are shipped, the model writes the others. Half of the messages are written behind them,
half are prompts to learn from: what the bake teaches must not be said under another prompt either.
"""

import json
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation, Message
from bakery.writing.prompts import last_words
from bakery.writing.selection import Written, is_usable, spread
from bakery.writing.topics import Topic
from bakery.writing.writer import Scene, Writer

_SHIPPED = Path(__file__).parent / "systems.json"
_FEWEST_WORDS = 3
_SHIPPED_SHARE = 4
"""One of so many system prompts is a shipped one, where the model writes enough of its own."""
_SURPLUS = 4
"""System prompts that are written for each one wanted."""


def write_anchors(
    writer: Writer, count: int, rows: Sequence[Conversation], topics: Sequence[Topic], seed: int
) -> list[Conversation]:
    """`count` anchors, or none where the template takes no system message.

    Args:
        writer: writes system prompts and messages.
        count: how many.
        rows: what is learned.
        topics: the contexts; no anchor has a system prompt like one of them.
        seed: of all that is written.
    """
    if not count:
        return []
    try:
        writer.builder.prompts(Conversation((_system("Be kind."), _user("Hello.")), (), "an anchor"), anchor=True)
    except (TemplateError, ViewError):
        return []
    shipped = json.loads(_SHIPPED.read_text("utf-8"))
    own = _written_systems(writer, count - count // _SHIPPED_SHARE, topics, seed)
    systems = own + list(islice(cycle(shipped), count - len(own)))
    scenes = [Scene((_system(system),)) for system in systems]
    try:
        written = writer.write(scenes[::2], [3] * len(scenes[::2]), seed + 1)
    except (TemplateError, ViewError):
        written = [[] for _ in scenes[::2]]
    learned = cycle([last_words(row) for row in rows])
    anchors = []
    for at, system in enumerate(systems):
        text = next((text for text in written[at // 2] if is_usable(text, system)), None) if at % 2 == 0 else None
        messages = (_system(system), _user(text or next(learned)))
        anchors.append(Conversation(messages, (), ""))
    return anchors


def _written_systems(writer: Writer, count: int, topics: Sequence[Topic], seed: int) -> list[str]:
    """At most `count` system prompts of the model's own; none where it cannot be made to write some."""
    if writer.by_request:
        return []
    try:
        (texts,) = writer.write([Scene(role="system")], [_SURPLUS * count], seed)
    except (TemplateError, ViewError):
        return []
    other = Written(topic.text for topic in topics)
    usable = [text for text in texts if is_usable(text, "") and len(text.split()) >= _FEWEST_WORDS and other.add(text)]
    return spread(usable, count)


def _system(content: str) -> Message:
    return {"role": "system", "content": content}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
