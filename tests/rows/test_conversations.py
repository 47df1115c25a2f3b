"""Rows of every promised shape become the same conversations; what is not understood is refused, never dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import DataError
from bakery.rows.conversations import as_row, conversations, conversations_from_prompts
from tests.rows.support import assistant, messages, system, user


def test_prompt_and_completion_as_message_lists():
    rows = [{"prompt": [system("s"), user("a")], "completion": [assistant("b")]}]
    assert messages(conversations(rows)) == [(system("s"), user("a"), assistant("b"))]
    assert messages(conversations([{"prompt": [user("a"), assistant("b"), user("c")]}])) == [
        (user("a"), assistant("b"), user("c"))
    ]
    with pytest.raises(DataError, match="completion: must end with the assistant's message"):
        conversations([{"prompt": [user("a")], "completion": [user("b")]}])


def test_sharegpt_conversations():
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    assert messages(conversations([{"conversations": turns}])) == [(system("s"), user("a"), assistant("b"))]
    assert messages(conversations([{"conversations": [user("a"), assistant("b")]}])) == [(user("a"), assistant("b"))]


def test_multi_turn_rows_are_kept_whole():
    turns = [system("s"), user("a"), assistant("b"), user("c"), assistant("d")]
    assert messages(conversations([{"messages": turns}])) == [tuple(turns)]
    (asked,) = conversations([{"messages": turns[:-1]}])
    assert not asked.answered
    assert asked.messages == tuple(turns[:-1])


def test_tool_calls_reasoning_and_parts_survive_and_nulls_of_tables_do_not():
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "a"}], "tool_calls": None, "name": None},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "content": "4", "tool_call_id": "1"},
        {"role": "assistant", "content": "b", "reasoning_content": "because"},
    ]
    (row,) = conversations([{"messages": turns}])
    assert row.messages == ({"role": "user", "content": turns[0]["content"]}, *turns[1:])


def test_inline_prompts():
    rows = conversations_from_prompts(["a", {"messages": [system("s"), user("b")]}], "anchor_prompts")
    assert messages(rows) == [(user("a"),), (system("s"), user("b"))]
    assert [row.source for row in rows] == ["anchor_prompts 1", "anchor_prompts 2"]


turn = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "bot"]),
        "content": st.text(max_size=2),
        "from": st.sampled_from(["human", "gpt"]),
        "value": st.none() | st.text(max_size=2),
    },
)


names = st.sampled_from(
    ["messages", "prompt", "input", "response", "answer", "conversations", "prefix_messages", "promt", "x"]
)


row = st.dictionaries(names, st.none() | st.text(max_size=3) | st.integers() | st.lists(turn, max_size=3), max_size=3)


@given(st.lists(row | st.text(max_size=2) | st.none() | st.integers(), max_size=3))
def test_any_rows_are_understood_or_refused_with_their_location(rows):
    try:
        rows_read = conversations(rows, "name")
    except DataError as error:
        problem = str(error)
    else:
        problem = ""
        assert len(rows_read) == len(rows)
        assert all(one.messages and one.messages[0]["role"] != "assistant" for one in rows_read)
        assert all(isinstance(turn["content"], str) for one in rows_read for turn in one.messages)
    assert not problem or problem.startswith("name")
    assert "\n" not in problem


@pytest.mark.parametrize("speaker", ["alien", None, [], 3])
def test_an_unknown_speaker_is_refused_with_the_known_ones(speaker):
    with pytest.raises(DataError, match=r"message 1: unknown speaker .* allowed are human, user, gpt"):
        conversations([{"conversations": [{"from": speaker, "value": "a"}]}])


def test_rows_with_and_without_answers_do_not_mix():
    rows = [{"messages": [user("a"), assistant("b")]}, {"messages": [user("c")]}]
    with pytest.raises(DataError, match="rows row 2: has none, but rows row 1 has an answer; put rows with answers"):
        conversations(rows)


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([assistant("a")], "the assistant speaks first"),
        ([system("a")], "ends without a question"),
        ([user("a"), system("b")], "ends without a question"),
        ([user("")], "message 1: an empty question"),
        ([user("a"), assistant("")], "message 2: an empty answer"),
    ],
)
def test_a_chat_in_a_wrong_order_is_refused(turns, says):
    with pytest.raises(DataError, match=says):
        conversations([{"messages": turns}])


@pytest.mark.parametrize("own", [{}, {"prefix_messages": []}, {"prefix_messages": [system("p")]}])
def test_a_conversation_as_a_row_becomes_the_same_conversation_again(own):
    (row,) = conversations([{"messages": [user("a"), assistant("b")], **own}], "rows")
    assert conversations([as_row(row)], "rows") == [row]
