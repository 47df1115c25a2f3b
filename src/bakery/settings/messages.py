"""Chat messages: a known role, and content that a chat template can show."""

from collections.abc import Mapping
from typing import Any

from bakery.errors import BakeryError
from bakery.settings.tools import tools_problem
from bakery.text import describe, listed

ROLES = ("system", "developer", "user", "assistant", "tool")


def check_messages(messages: Any, location: str, error: type[BakeryError]) -> None:
    """Raise `error` where `messages_problem` has something to say."""
    if problem := messages_problem(messages):
        raise error(f"{location}: {problem}")


def messages_problem(messages: Any) -> str | None:
    """What is wrong with a list of chat messages, in words; None when a template can show them."""
    if not isinstance(messages, list | tuple):
        return f"must be a list of messages {{role: ..., content: ...}}, got {describe(messages)}"
    problems = ((number, message_problem(message)) for number, message in enumerate(messages, 1))
    return next((f"message {number}: {problem}" for number, problem in problems if problem), None)


def message_problem(message: Any) -> str | None:
    """What is wrong with one chat message, in words; None when a template can show it."""
    if not isinstance(message, Mapping):
        return f"must be a mapping with role and content, got {describe(message)}"
    if "role" not in message:
        return f"has no key 'role' (its keys: {listed(message)}); allowed are {', '.join(ROLES)}"
    role, calls, content = message["role"], message.get("tool_calls"), message.get("content")
    if role not in ROLES:
        return f"unknown role {role!r}; allowed are {', '.join(ROLES)}"
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)):
        return f"tool_calls must be a list of mappings, got {describe(calls)}"
    if message.get("tools") is not None and (problem := tools_problem(message["tools"])):
        return f"tools: {problem}"
    if content is None:
        if role == "assistant" and calls:
            return None
        if "content" in message:
            return "content is null; write a text (null is for an assistant's tool_calls only)"
        return f"has no key 'content' (its keys: {listed(message)}); write content: some text"
    if isinstance(content, list):
        return next((problem for part in content if (problem := _part_problem(part))), None)
    return None if isinstance(content, str) else f"content must be a text, got {describe(content)}; put it in quotes"


def _part_problem(part: Any) -> str | None:
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return None
    return f"a part of content must be {{type: text, text: ...}}, got {describe(part)}"
