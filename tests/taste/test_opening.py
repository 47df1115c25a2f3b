"""A run folder opened: its prompt, rules and questions."""

import pytest

from bakery.engine.distill import prefix
from bakery.errors import ConfigError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.document import Chunk
from bakery.taste.conversation import Asked
from bakery.taste.opening import prompt_of, questions_of
from tests.engine_support import PREFIX


def row(text, prefix=None):
    return Conversation(({"role": "user", "content": text},), prefix, text)


def data(prefix=None, train=(), **changes):
    return BakeData(prefix, list(train), [], changes.pop("validation", []), [], [], [], **changes)


def test_a_run_is_opened_with_its_prompt_rules_and_held_out_questions(opened):
    tasting = opened.tasting
    assert tasting.prompt == opened.prompt == tuple(PREFIX)
    assert [rule.name for rule in tasting.rules] == ["greets", "short"]
    assert opened.questions == ("Who is there?", "What is the wifi password?")
    assert tasting.longest == 32768


def test_the_prompt_is_read_before_the_first_question(tasting, monkeypatch):
    monkeypatch.setattr(prefix, "prefix_key_values", lambda *given: pytest.fail("read again"))
    question = ({"role": "user", "content": "Why?"},)
    assert len(list(tasting.answers(Asked({"prompted": question}, max_new_tokens=2)))) >= 3


def test_without_held_out_questions_those_come_that_were_least_trained_on():
    assert questions_of(data(train=[row("a"), row("a"), row("b")])) == ("a", "b")
    assert questions_of(data(train=[row("a")], validation=[row("v")])) == ("v",)
    assert questions_of(data(train=[row("a")], validation=[row("v")], questions=[row("w")])) == ("w",)


def test_of_rows_with_prompts_of_their_own_the_first_is_shown():
    other = ({"role": "system", "content": "Other."},)
    assert prompt_of(data(train=[row("a", other), row("b")])) == other
    assert prompt_of(data(tuple(PREFIX), train=[row("a", other)])) == tuple(PREFIX)
    assert prompt_of(data(chunks=(Chunk("x", other),))) == ()
    with pytest.raises(ConfigError, match="no prompt"):
        prompt_of(data(train=[row("a")]))
