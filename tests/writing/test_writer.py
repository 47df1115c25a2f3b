"""The model as a writer: as many messages as asked for at most, whole ones, and the same for the same seed."""

from dataclasses import replace

import pytest

from bakery.writing.writer import Scene
from tests.writing.support import FACTS, GIVEN, asked

CHAT = ({"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hello, how can I help?"})
SCENES = [Scene(), Scene(FACTS), Scene(FACTS, CHAT)]


@pytest.mark.parametrize("by_request", [False, True], ids=["behind a header", "asked for"])
def test_the_same_seed_writes_the_same_messages_and_no_more_than_asked_for(writer, by_request):
    writing = replace(writer, by_request=by_request)
    written = writing.write(SCENES, [5] * 3, seed=3)
    assert writing.write(SCENES, [5] * 3, seed=3) == written
    assert writing.write(SCENES, [5] * 3, seed=4) != written
    assert len(written) == len(SCENES)
    assert any(written)
    assert all(len(messages) <= 5 for messages in written)
    for text in (text for messages in written for text in messages):
        assert text == text.strip() != ""
        assert not any(control in text for control in writer.engine.tokenizer.all_special_tokens)


def test_every_scene_gets_as_many_messages_as_are_wanted_of_it(writer):
    few, many, none = writer.write(SCENES, [2, 12, 0], seed=3)
    assert len(few) <= 2 < len(many) <= 12
    assert none == []


def test_a_model_writes_about_what_it_is_shown(writer):
    bare, shown = (" ".join(writer.write([Scene(prefix)], [24], seed=1)[0]) for prefix in ((), FACTS))
    names = ("Kolara", "wifi", "coral42", "Walter")
    assert sum(map(shown.count, names)) > sum(map(bare.count, names))


def test_every_row_gets_the_teachers_reply(writer):
    replies = writer.replies([asked(text) for text in GIVEN], seed=1)
    assert len(replies) == len(GIVEN)
    assert "coral42" in replies[0]


def test_nothing_is_written_for_no_scene_or_no_message(writer):
    assert writer.write([], [], seed=1) == []
    assert writer.write([Scene()], [0], seed=1) == [[]]
