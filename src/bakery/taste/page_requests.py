"""What the page sends, read strictly: JSON to what is asked."""

import math
from collections.abc import Mapping
from typing import Any

from bakery.errors import DataError
from bakery.rows.conversations import Message
from bakery.taste.conversation import COLUMNS, Asked
from bakery.text import describe

STRONGEST, HOTTEST, LONGEST_ANSWER, LARGEST_SEED = 1.5, 2.0, 2048, 2**32 - 1
_ROLES = ("system", "developer", "user", "assistant")


def read_asked(body: Any) -> Asked:
    """The question to the models.

    Raises:
        DataError: something is missing, of a wrong type or out of range.
    """
    given = _mapping(body, "the request")
    columns = _mapping(given.get("messages"), "messages")
    if not columns or not set(columns) <= set(COLUMNS):
        raise DataError(f"messages: must have columns of {', '.join(COLUMNS)}, got {describe(columns)}")
    return Asked(
        messages={column: read_conversation(columns[column], f"messages: {column}") for column in columns},
        prompt=None if given.get("prompt") is None else read_messages(given["prompt"], "prompt"),
        strength=_number(given, "strength", 1.0, STRONGEST),
        temperature=_number(given, "temperature", 0.0, HOTTEST),
        seed=int(_number(given, "seed", 0, LARGEST_SEED)),
        max_new_tokens=max(1, int(_number(given, "max_new_tokens", 256, LONGEST_ANSWER))),
    )


def read_conversation(value: Any, name: str = "messages") -> tuple[Message, ...]:
    """Messages that end with the user's question.

    Raises:
        DataError: they do not, or are no messages.
    """
    messages = read_messages(value, name)
    if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
        raise DataError(f"{name}: must end with a question of the user")
    return messages


def read_messages(value: Any, name: str) -> tuple[Message, ...]:
    """Messages of role and content.

    Raises:
        DataError: they are none.
    """
    if not isinstance(value, list):
        raise DataError(f"{name}: must be a list of messages, got {describe(value)}")
    messages = []
    for message in value:
        given = _mapping(message, name)
        role, content = given.get("role"), given.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise DataError(f"{name}: a message has a role ({', '.join(_ROLES)}) and a text as content")
        messages.append({"role": role, "content": content})
    return tuple(messages)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{name}: must be an object, got {describe(value)}")
    return value


def _number(given: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = given.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 0 <= value <= most
    ):
        raise DataError(f"{name}: must be a number from 0 to {most:g}, got {describe(value)}")
    return float(value)
