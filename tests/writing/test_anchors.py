"""Anchors stand under other system prompts: never under the context, and never where a template takes none."""

from dataclasses import replace

from bakery.chat.views import ViewBuilder
from bakery.writing.anchors import write_anchors
from bakery.writing.selection import Written
from bakery.writing.topics import topics_of
from tests.chat.support import own
from tests.writing.support import FACTS, GIVEN, asked, bake_data

ROWS = [asked(text) for text in GIVEN]
TOPICS = topics_of(bake_data(ROWS))


def test_every_anchor_is_a_message_under_another_system_prompt(writer):
    anchors = write_anchors(writer, 6, ROWS, TOPICS, seed=1)
    assert len(anchors) == 6
    for anchor in anchors:
        assert [message["role"] for message in anchor.messages] == ["system", "user"]
        assert anchor.prefix == ()
        assert all(message["content"].strip() for message in anchor.messages)
    systems = [anchor.messages[0]["content"] for anchor in anchors]
    assert not any(system in Written([FACTS[0]["content"]]) for system in systems)
    assert len(set(systems)) > 1
    assert set(GIVEN) & {anchor.messages[1]["content"] for anchor in anchors}, "prompts to learn from, unprompted"
    assert write_anchors(writer, 6, ROWS, TOPICS, seed=1) == anchors


def test_none_are_written_where_none_are_wanted_or_the_template_takes_no_system_message(writer):
    assert write_anchors(writer, 0, ROWS, TOPICS, seed=1) == []
    without = replace(writer, builder=ViewBuilder(own("rejects_system")))
    assert write_anchors(without, 6, ROWS, TOPICS, seed=1) == []
