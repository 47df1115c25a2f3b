"""Rows -> conversations: every column alias and shape, with errors that name file, row and column. Torch-free.

messages                          a chat; answered when the assistant has the last word
conversations                     the same, as ShareGPT writes it (from, value)
prompt | user_message | input | question | instruction     a text, or a list of messages
  with response | completion | output | answer             its answer, likewise
prefix_messages                   this row's own prefix; [] for none; absent or null for the configured one
tools                             JSON schemas of tools that teacher and student are shown
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bakery.errors import DataError
from bakery.rows.columns import CHAT_COLUMNS, PREFIX_COLUMN, Columns, column_names, find_columns
from bakery.rows.sources import Row, parse_cell, read_rows, without_filled_nulls
from bakery.rows.tools import TOOLS, as_cell, as_text, joined_tools, read_tools, row_tools, split_tools, with_tools
from bakery.settings.messages import check_messages
from bakery.settings.tools import Tool
from bakery.text import describe, listed

Message = dict[str, Any]
T = TypeVar("T")

_SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
             "model": "assistant", "system": "system", "tool": "tool"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row: its own messages, and its own prefix if it has one.

    `messages` ends with an assistant message if the answer is given. `prefix` None: the configured prefix applies;
    `()`: explicitly none. `source` is the location for error messages ("data/train.json row 12"). `tools` are shown in
    both views; those of a prefix stand in its messages (see `tools`).
    """

    messages: tuple[Message, ...]
    prefix: tuple[Message, ...] | None
    source: str
    tools: tuple[Tool, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the last message is the assistant's."""
        return bool(self.messages[-1]["role"] == "assistant")


def unanswered(row: Conversation) -> Conversation:
    """A row up to its last question."""
    messages = row.messages
    while messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    return replace(row, messages=messages)


def as_row(row: Conversation) -> dict[str, Any]:
    """A conversation as a row of a data set, from which `conversations` makes the same again."""
    own = {} if row.prefix is None else {PREFIX_COLUMN: [as_cell(message) for message in row.prefix]}
    return {"messages": list(row.messages), **own, **({TOOLS: as_text(row.tools)} if row.tools else {})}


def prompt_key(row: Conversation) -> tuple[Any, ...]:
    """What makes two prompts the same: the words, whatever their case and white space, the prefix and the tools."""
    messages = [*(row.prefix or ()), {"role": "|", "content": ""}, *unanswered(row).messages]
    words = ((message["role"], " ".join(str(message.get("content")).split()).casefold()) for message in messages)
    tools = [split_tools(row.prefix or ())[1], row.tools]
    return (*words, *map(as_text, tools)) if any(tools) else tuple(words)


def evenly(rows: Sequence[T], count: int) -> list[T]:
    """At most `count` rows, evenly over all of them."""
    count = min(count, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]


def load_rows(
    spec: str, split: str | None = "train", *, prompt_column: str | None = None, response_column: str | None = None
) -> list[Conversation]:
    """Read the rows of a file, folder or hub id (`spec`) as conversations.

    `split` is as in `sources.read_rows`; the columns need to be named only where several could be meant.

    Raises:
        DataError: with file, row and column.
    """
    return conversations(read_rows(spec, split), spec, prompt_column=prompt_column, response_column=response_column)


def conversations(
    rows: Iterable[Any], name: str = "rows", *, prompt_column: str | None = None, response_column: str | None = None
) -> list[Conversation]:
    """Turn raw rows (texts, mappings, or `Row`s) into conversations; `name` stands for their source in messages.

    Raises:
        DataError: there are no rows, their columns are unclear, or a row is malformed.
    """
    given = rows if isinstance(rows, list | tuple) else map(without_filled_nulls, rows)
    numbered = [r if isinstance(r, Row) else Row(r, f"{name} row {i}") for i, r in enumerate(given, 1)]
    if not numbered:
        raise DataError(f"{name}: holds no rows")
    _check_one_kind(numbered)
    if isinstance(numbered[0].value, str):
        for row in numbered:
            if not row.value.strip():
                raise DataError(f"{row.location}: an empty prompt; write it or take it out")
        return [Conversation(({"role": "user", "content": row.value},), None, row.location) for row in numbered]
    columns = find_columns(column_names(numbered), numbered, name, prompt_column, response_column)
    chats = [_conversation(row, columns) for row in numbered]
    first = chats[0]
    for chat in chats:
        if chat.answered != first.answered:
            here, there = ("has an answer", "has none") if chat.answered else ("has none", "has an answer")
            both = f"{chat.source}: {here}, but {first.source} {there}"
            raise DataError(f"{both}; put rows with answers and rows without into two files")
    return chats


def conversations_from_prompts(prompts: Sequence[Any], name: str = "training_prompts") -> list[Conversation]:
    """Turn inline prompts (texts, or mappings with `messages`) into conversations.

    Raises:
        DataError: a prompt is empty or malformed.
    """
    rows = [Row(prompt, f"{name} {number}") for number, prompt in enumerate(prompts, 1)]
    return [chat for row in rows for chat in conversations([row], name)]


def _check_one_kind(rows: Sequence[Row]) -> None:
    first = rows[0]
    for row in rows:
        if not isinstance(row.value, str | Mapping):
            raise DataError(f"{row.location}: must be a text or an object with columns, got {describe(row.value)}")
        if isinstance(row.value, str) != isinstance(first.value, str):
            both = f"{row.location}: is {describe(row.value)}, but {first.location} is {describe(first.value)}"
            raise DataError(f"{both}; write all rows alike")


def _conversation(row: Row, columns: Columns) -> Conversation:
    messages = row_messages(row, columns.prompt, "user")
    if columns.response is not None:
        messages += row_messages(row, columns.response, "assistant")
        if messages[-1]["role"] != "assistant":
            raise DataError(f"{row.location}: {columns.response}: must end with the assistant's message")
    check_order(messages, row.location)
    plain, inside = split_tools(messages)
    return Conversation(tuple(plain), own_prefix(row), row.location, joined_tools(inside, row_tools(row)))


def own_prefix(row: Row) -> tuple[Message, ...] | None:
    """The prefix that a row brings along; None where the configured one applies.

    Raises:
        DataError: it is malformed.
    """
    value = row.value.get(PREFIX_COLUMN)
    location = f"{row.location}: {PREFIX_COLUMN}"
    if value is None or value == "":
        return None
    value = parse_cell(value, location) if isinstance(value, str) else value
    if isinstance(value, Mapping) and set(value) == {"messages", TOOLS}:
        messages = _clean_messages(value["messages"], f"{location}: messages")
        return tuple(with_tools(messages, read_tools(value[TOOLS], f"{location}: {TOOLS}")))
    return _clean_messages(value, location)


def row_messages(row: Row, column: str, role: str) -> tuple[Message, ...]:
    """The messages in a column of a row; a text is one message of `role`.

    Raises:
        DataError: the column is missing, empty or malformed.
    """
    location = f"{row.location}: {column}"
    if column not in row.value:
        raise DataError(f"{row.location}: has no {column!r} (its columns: {listed(row.value)}); fill it in")
    value = row.value[column]
    if column in CHAT_COLUMNS and isinstance(value, str):
        value = parse_cell(value, location)
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{location}: is empty; write a text or take the row out")
        return ({"role": role, "content": value},)
    if value is None:
        raise DataError(f"{location}: is null; write a text or take the row out")
    if not isinstance(value, list | tuple):
        raise DataError(f"{location}: must be a text or a list of messages, got {describe(value)}; put it in quotes")
    if not value:
        raise DataError(f"{location}: has no messages; write one or take the row out")
    return _clean_messages(value, location)


def _clean_messages(value: Any, location: str) -> tuple[Message, ...]:
    """Messages checked, with ShareGPT's names translated and without the keys that a table filled with null."""
    messages = value
    if isinstance(value, list | tuple):
        messages = [_message(one, f"{location}: message {number}") for number, one in enumerate(value, 1)]
    check_messages(messages, location, DataError)
    return tuple({k: v for k, v in message.items() if v is not None or k == "content"} for message in messages)


def _message(message: Any, location: str) -> Any:
    """A message in the usual words, its tools, if it has any, read from their text."""
    if isinstance(message, Mapping) and message.get(TOOLS) is not None:
        message = {**message, TOOLS: list(read_tools(message[TOOLS], f"{location}: {TOOLS}"))}
    return _from_sharegpt(message, location)


def _from_sharegpt(message: Any, location: str) -> Any:
    """A message that says `from` and `value` in the usual words; any other as it is."""
    if not isinstance(message, Mapping) or "role" in message or "from" not in message:
        return message
    role = _SHAREGPT.get(str(message["from"]))
    if role is None:
        raise DataError(f"{location}: unknown speaker {message['from']!r}; allowed are {', '.join(_SHAREGPT)}")
    if "value" not in message:
        raise DataError(f"{location}: has no key 'value' (its keys: {listed(message)}); write value: some text")
    rest = {key: item for key, item in message.items() if key not in ("from", "value")}
    return {"role": role, "content": message["value"], **rest}


def check_order(messages: Sequence[Message], location: str) -> None:
    """Refuse a chat that the assistant begins, that asks nothing, or that has an empty question or answer.

    Raises:
        DataError: with the number of the message.
    """
    roles = [message["role"] for message in messages if message["role"] not in ("system", "developer")]
    if not roles or messages[-1]["role"] in ("system", "developer"):
        raise DataError(f"{location}: ends without a question or an answer; add the user's message")
    if roles[0] == "assistant":
        remedy = f"a row starts with the user (what comes before belongs in {PREFIX_COLUMN})"
        raise DataError(f"{location}: the assistant speaks first; {remedy}")
    for number, message in enumerate(messages, 1):
        empty = not message.get("content") and not message.get("tool_calls")
        if empty and message["role"] in ("user", "assistant"):
            what = "answer" if message["role"] == "assistant" else "question"
            raise DataError(f"{location}: message {number}: an empty {what}; write it or take the row out")
