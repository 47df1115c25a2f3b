"""Rows of any value: understood, or refused in one line."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bakery.rows.conversations import load_rows
from tests.faults.fuzzing.support import TEXTS, VALUES, fuzzed, refusal_or_done, scratch

KEYS = st.one_of(
    st.sampled_from(
        [
            "messages",
            "prompt",
            "completion",
            "role",
            "content",
            "conversations",
            "from",
            "value",
            "tools",
            "tool_calls",
            "function",
            "arguments",
            "name",
            "answers",
            "check",
            "system",
            "text",
            "instruction",
        ]
    ),
    TEXTS,
)
MESSAGE = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "name", "thinking"]),
    st.one_of(st.sampled_from(["user", "assistant", "system", "tool"]), VALUES),
    max_size=4,
)
ROW = st.one_of(
    VALUES,
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.lists(MESSAGE, max_size=3).map(lambda chat: {"messages": chat}),
)


@fuzzed
@given(rows=st.lists(ROW, max_size=4), ending=st.sampled_from(["json", "jsonl"]))
def test_rows_of_any_value(rows, ending):
    file = scratch() / f"rows.{ending}"
    file.write_text(json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    refusal_or_done(lambda: load_rows(str(file)))


@fuzzed
@given(data=st.binary(max_size=300), ending=st.sampled_from(["json", "jsonl", "csv", "parquet"]))
def test_files_of_any_bytes(data, ending):
    file = scratch() / f"bytes.{ending}"
    file.write_bytes(data)
    refusal_or_done(lambda: load_rows(str(file)))
