"""Tools of rows and prefixes: read in every form, carried with the row, and the same again when written."""

import json

import datasets
import pytest

from bakery.errors import DataError
from bakery.rows.conversations import as_row, conversations, conversations_from_prompts, load_rows, prompt_key
from bakery.rows.datasets import create_conversational_dataset, load_dataset
from bakery.rows.tools import joined_tools, split_tools, with_tools
from tests.rows.support import ANSWERED, assistant, save, system, user


def tool(name, **properties):
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TIDE = tool("tide", harbour={"type": "string", "default": None})
WIND = tool("wind", mast={"type": "integer"})
BARE = {"name": "fog", "parameters": {}}
PLAIN_TIDE = tool("tide", harbour={"type": "string"})
CHAT = [user("Is it high?"), assistant("Aye.")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ([WIND, BARE], (WIND, BARE)),
        (json.dumps([TIDE]), (TIDE,)),
        ([TIDE], (TIDE,)),
    ],
)
def test_a_row_has_the_tools_of_its_column(given, expected):
    (row,) = conversations([{"messages": CHAT, "tools": given}])
    assert row.tools == expected
    assert row.messages == tuple(CHAT)
    (row,) = conversations([{"prompt": "Is it high?", "response": "Aye.", "tools": given}])
    assert row.tools == expected
    assert row.messages == tuple(CHAT)


def test_tools_in_a_message_of_a_row_are_the_rows():
    (row,) = conversations([{"messages": [{**system("Be kind."), "tools": [WIND]}, *CHAT], "tools": [BARE, WIND]}])
    assert row.messages == (system("Be kind."), *CHAT)
    assert row.tools == (WIND, BARE)


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.parquet", "rows.csv"])
def test_tools_as_text_are_read_from_every_format(name, tmp_path):
    rows = [{"messages": json.dumps(CHAT), "tools": json.dumps([one])} for one in (TIDE, WIND)]
    assert [row.tools for row in load_rows(save(tmp_path / name, rows))] == [(TIDE,), (WIND,)]


def calling(**arguments):
    call = {"type": "function", "function": {"name": "tide", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


@pytest.mark.parametrize("name", ["rows.parquet", "saved", "folder"])
def test_tools_and_calls_survive_a_table_that_fills_in_nulls(name, tmp_path):
    rows = [
        {"messages": [CHAT[0], calling(harbour="Ys")], "tools": [PLAIN_TIDE]},
        {"messages": [CHAT[0], calling(mast=2)], "tools": [WIND]},
    ]
    read = load_rows(save(tmp_path / name, rows))
    assert [row.tools for row in read] == [(PLAIN_TIDE,), (WIND,)]
    assert [row.messages[1]["tool_calls"] for row in read] == [row["messages"][1]["tool_calls"] for row in rows]
    assert conversations(datasets.Dataset.from_list(rows))[0].tools == (PLAIN_TIDE,)


def test_nulls_that_stand_in_lines_of_json_stay(tmp_path):
    row = {"messages": [CHAT[0], calling(harbour=None)], "tools": [TIDE]}
    for read in (load_rows(save(tmp_path / "rows.jsonl", [row])), conversations([row])):
        assert read[0].tools == (TIDE,)
        assert read[0].messages[1] == calling(harbour=None)


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ("[{", r"^rows row 1: tools: must be a list of tools as JSON: "),
        ("3", r"^rows row 1: tools: must be a list of tools, .*got the number 3; "),
        (["tide"], r"^rows row 1: tools: tool 1 must be .*got the text 'tide'; correct or remove it$"),
        ([{"type": "function"}], r"^rows row 1: tools: tool 1 has a function without a name .*; write name"),
    ],
)
def test_malformed_tools_name_the_row_and_a_remedy(tools, says):
    with pytest.raises(DataError, match=says):
        conversations([{"messages": CHAT, "tools": tools}])
    said = says.removeprefix("^rows row 1: tools: ")
    with pytest.raises(DataError, match=f"^rows row 1: prefix_messages: tools: {said}"):
        conversations([{"messages": CHAT, "prefix_messages": {"messages": [], "tools": tools}}])
    with pytest.raises(DataError, match=f"^rows row 1: prefix_messages: message 1: tools: {said}"):
        conversations([{"messages": CHAT, "prefix_messages": [{**system(""), "tools": tools}]}])


@pytest.mark.parametrize(
    "prefix",
    [
        {"messages": [system("Be kind.")], "tools": [WIND]},
        {"messages": [system("Be kind.")], "tools": json.dumps([WIND])},
        json.dumps({"messages": [system("Be kind.")], "tools": [WIND]}),
        [{**system("Be kind."), "tools": [WIND]}],
        [{**system("Be kind."), "tools": json.dumps([WIND])}],
        [system("Be kind."), {**system(""), "tools": [WIND]}],
    ],
)
def test_a_rows_own_prefix_may_hold_tools(prefix):
    (row,) = conversations([{"messages": CHAT, "prefix_messages": prefix}])
    assert split_tools(row.prefix) == ([system("Be kind.")], (WIND,))
    assert row.tools == ()


def test_a_prefix_may_be_tools_alone():
    (row,) = conversations([{"messages": CHAT, "prefix_messages": {"messages": [], "tools": [WIND]}}])
    assert split_tools(row.prefix) == ([], (WIND,))
    assert with_tools([system("s")], []) == [system("s")]


def test_inline_prompts_may_have_tools():
    (row,) = conversations_from_prompts([{"messages": [user("Is it high?")], "tools": [WIND]}])
    assert row.tools == (WIND,)


def test_a_row_that_is_written_is_read_as_the_same():
    prefix = with_tools([system("Be kind.")], [TIDE])
    given = {"messages": CHAT, "prefix_messages": {"messages": [system("Be kind.")], "tools": json.dumps([TIDE])}}
    (row,) = conversations([{**given, "tools": json.dumps([TIDE, BARE])}])
    assert row.prefix == tuple(prefix)
    written = json.loads(json.dumps(as_row(row)))
    assert conversations([written]) == [row]
    assert "tools" not in as_row(conversations([{"messages": CHAT}])[0])


def test_data_sets_keep_tools_exactly(tmp_path):
    made = create_conversational_dataset(
        [list(ANSWERED[0]), list(ANSWERED[1])], [with_tools([], [TIDE]), None], [[WIND, TIDE], None]
    )
    first, second = conversations(made)
    assert (first.tools, second.tools) == ((WIND, TIDE), ())
    assert split_tools(first.prefix) == ([], (TIDE,))
    path = save(tmp_path / "rows.jsonl", [as_row(row) for row in (first, second)])
    again = conversations(load_dataset(path))
    assert [(row.tools, row.prefix) for row in again] == [(row.tools, row.prefix) for row in (first, second)]
    with pytest.raises(DataError, match="2 chats but 1 lists of tools"):
        create_conversational_dataset([CHAT, CHAT], None, [[TIDE]])


def test_the_same_words_with_other_tools_are_another_prompt():
    (plain,) = conversations([{"messages": CHAT}])
    (shown,) = conversations([{"messages": CHAT, "tools": [WIND]}])
    (other,) = conversations([{"messages": CHAT, "tools": [BARE]}])
    (baked,) = conversations([{"messages": CHAT, "prefix_messages": {"messages": [], "tools": [WIND]}}])
    (none,) = conversations([{"messages": CHAT, "prefix_messages": []}])
    keys = [prompt_key(row) for row in (plain, shown, other, baked)]
    assert len(set(keys)) == 4
    assert prompt_key(none) == keys[0]


def test_tools_given_twice_are_there_once():
    assert joined_tools([TIDE, WIND], [WIND, BARE]) == (TIDE, WIND, BARE)
