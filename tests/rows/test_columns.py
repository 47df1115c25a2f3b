"""Columns: every promised name is known, doubt is refused, and a choice settles it."""

import pytest

from bakery.errors import DataError
from bakery.rows.columns import Columns, find_columns
from bakery.rows.conversations import conversations
from bakery.rows.sources import Row
from tests.rows.support import ANSWERED, ASKED, PAIRS, assistant, messages, user


@pytest.mark.parametrize("prompt", ["prompt", "user_message", "input", "question", "instruction"])
@pytest.mark.parametrize("response", ["response", "completion", "output", "answer"])
def test_every_pair_of_column_names(prompt, response):
    rows = [{prompt: one["prompt"], response: one["response"], "id": 7} for one in PAIRS]
    assert messages(conversations(rows)) == ANSWERED
    assert messages(conversations([{prompt: one["prompt"]} for one in PAIRS])) == ASKED


def test_a_choice_settles_which_column_is_meant():
    rows = [{"instruction": "a", "input": "", "output": "b", "answer": "c"}]
    with pytest.raises(DataError, match="choose with prompt_column: input or instruction"):
        conversations(rows)
    chosen = conversations(rows, prompt_column="instruction", response_column="output")
    assert messages(chosen) == [(user("a"), assistant("b"))]
    chats = [{"messages": [user("a"), assistant("b")], "prompt": "x"}]
    assert messages(conversations(chats, prompt_column="messages")) == [(user("a"), assistant("b"))]
    assert messages(conversations(chats, prompt_column="prompt")) == [(user("x"),)]


def test_a_prompt_column_that_repeats_the_chat_is_no_second_candidate():
    rows = [{"prompt": "a", "prompt_id": "7", "messages": [user("a"), assistant("b")]}]
    assert messages(conversations(rows)) == [(user("a"), assistant("b"))]
    with pytest.raises(DataError, match="messages or prompt"):
        conversations([*rows, {"prompt": "other", "prompt_id": "8", "messages": [user("a"), assistant("b")]}])


def columns(*names):
    return find_columns(names, [Row(dict.fromkeys(names, "a"), "row 1")], "rows")


def test_columns_that_mean_nothing_are_left_alone():
    assert columns("question", "answer", "id", "topic") == Columns("question", "answer")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("promt",), "is 'promt' meant to be 'prompt'?"),
        (("text",), "no column holds the prompt (its columns: text); name it messages or prompt"),
        (("prompt", "respnse"), "unknown column 'respnse'; did you mean 'response'?"),
        (("messages", "prefix_mesages"), "unknown column 'prefix_mesages'; did you mean 'prefix_messages'?"),
        (("prompt", "answer", "output"), "the response could be column output or answer"),
    ],
)
def test_doubt_is_refused_with_the_names_in_question(names, says):
    with pytest.raises(DataError) as refused:
        columns(*names)
    assert says in str(refused.value)
