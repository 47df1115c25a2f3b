"""What the page sends, read strictly: JSON to what is asked."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from bakery.errors import DataError
from bakery.rows.conversations import Message
from bakery.taste.conversation import Asked
from bakery.text import describe

STRONGEST, HOTTEST, LONGEST_ANSWER, LARGEST_SEED = 1.5, 2.0, 2048, 2**32 - 1
MOST_BYTES = 2**20
"""Of a request."""
LONGEST_QUESTION = 20_000
"""Characters of a question that a bake follows."""
_ROLES = ("system", "developer", "user", "assistant")


async def read_json(request: Request) -> Any:
    """The body of a request.

    Raises:
        DataError: it is no JSON, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise DataError("the request must be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise DataError(f"the request is longer than {MOST_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("the request is no JSON") from None


def read_asked(body: Any, columns: Sequence[str]) -> Asked:
    """The question to the models.

    Args:
        body: of the request.
        columns: the keys of those that can be asked.

    Raises:
        DataError: something is missing, of a wrong type or out of range.
    """
    given = _mapping(body, "the request")
    messages = _mapping(given.get("messages"), "messages")
    if not messages or not set(messages) <= set(columns):
        raise DataError(f"messages: must have columns of {', '.join(columns)}, got {describe(messages)}")
    return Asked(
        messages={column: read_conversation(messages[column], f"messages: {column}") for column in messages},
        prompt=read_prompt(body),
        strength=_number(given, "strength", 1.0, STRONGEST),
        temperature=_number(given, "temperature", 0.0, HOTTEST),
        seed=int(_number(given, "seed", 0, LARGEST_SEED)),
        max_new_tokens=max(1, int(_number(given, "max_new_tokens", 256, LONGEST_ANSWER))),
    )


def read_prompt(body: Any) -> tuple[Message, ...] | None:
    """The prompt as it was changed on the page; none where it is as it was given.

    Raises:
        DataError: it is no list of messages.
    """
    given = _mapping(body, "the request").get("prompt")
    return None if given is None else read_messages(given, "prompt")


def read_followed(body: Any) -> str:
    """The question that a bake is to follow.

    Raises:
        DataError: there is none.
    """
    question = _mapping(body, "the request").get("question")
    if not isinstance(question, str) or not question.strip() or len(question) > LONGEST_QUESTION:
        raise DataError(
            f"question: must be a text of at most {LONGEST_QUESTION:,} characters, got {describe(question)}"
        )
    return question.strip()


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
