"""Arguments of tool calls: a mapping, as most templates need it, or its JSON text, as it is on the wire.

Servers read the text before they render a call, since a template that writes arguments as JSON would write the text as
one quoted string. A few templates take nothing but the text.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

Message = dict[str, Any]


def with_arguments(message: Message, form: Callable[[Any], Any]) -> Message:
    """A message whose calls have their arguments in this form."""
    calls = message.get("tool_calls")
    return {**message, "tool_calls": [_call(call, form) for call in calls]} if calls else message


def _call(call: Any, form: Callable[[Any], Any]) -> Any:
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _call(call["function"], form)}
    return {**call, "arguments": form(call["arguments"])} if "arguments" in call else call


def as_mapping(arguments: Any) -> Any:
    """Arguments that are the JSON text of a mapping as that mapping; any others as they are."""
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def as_text(arguments: Any) -> Any:
    """Arguments that are a mapping as JSON text; any others as they are."""
    return json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, Mapping) else arguments
