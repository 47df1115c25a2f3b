"""Tools of rows and prefixes.

A row has them in its column `tools`, and both views show them. A prefix has them in one of its messages (`tools` beside
role and content), so they go wherever the prefix goes; a system message without content stands for tools alone.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bakery.errors import DataError
from bakery.rows.sources import Row, parse_cell
from bakery.settings.tools import Tool, tools_problem

Message = dict[str, Any]

TOOLS = "tools"
"""The column of a row, and the key of a prefix's message."""


def row_tools(row: Row) -> tuple[Tool, ...]:
    """The tools in the column of a row, a list or its JSON text.

    Raises:
        DataError: they are malformed.
    """
    return read_tools(row.value.get(TOOLS), f"{row.location}: {TOOLS}")


def read_tools(value: Any, location: str) -> tuple[Tool, ...]:
    """Tools as a data set stores them: a list, or its JSON text; none for null or an empty text.

    Raises:
        DataError: they are malformed.
    """
    if value is None or value == "":
        return ()
    tools = parse_cell(value, location, "tools") if isinstance(value, str) else value
    if problem := tools_problem(tools):
        raise DataError(f"{location}: {problem}")
    return tuple(dict(tool) for tool in tools)


def as_text(tools: Iterable[Tool]) -> str:
    """Tools as JSON text, from which `read_tools` makes the same again, also out of a table."""
    return json.dumps(list(tools), ensure_ascii=False)


def as_cell(message: Message) -> Message:
    """A message of a prefix as a row holds it: with its tools, if it has any, as JSON text."""
    return {**message, TOOLS: as_text(message[TOOLS])} if message.get(TOOLS) else message


def with_tools(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """A prefix with these tools in its first message."""
    if not tools:
        return list(messages)
    first, *rest = messages or [{"role": "system", "content": ""}]
    return [{**first, TOOLS: [*first.get(TOOLS, ()), *tools]}, *rest]


def split_tools(messages: Sequence[Message]) -> tuple[list[Message], tuple[Tool, ...]]:
    """The messages of a prefix without its tools, and the tools."""
    tools = tuple(tool for message in messages for tool in message.get(TOOLS) or ())
    plain = [_without_tools(message) for message in messages if not _stands_for_tools(message)]
    return plain, tools


def _without_tools(message: Message) -> Message:
    if TOOLS not in message:
        return message
    return {key: value for key, value in message.items() if key != TOOLS}


def _stands_for_tools(message: Message) -> bool:
    return bool(message.get(TOOLS)) and message["role"] == "system" and not message.get("content")


def joined_tools(*tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """All of these tools in order, each once."""
    every: list[Tool] = []
    for own in tools:
        every += [tool for tool in own if tool not in every]
    return tuple(every)
