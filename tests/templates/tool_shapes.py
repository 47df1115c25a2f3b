"""Conversations with tools: those of a row, those of a prefix, calls and their results."""

from typing import Any

from jinja2 import TemplateError

from tests.templates.support import ASK, CALL, PIRATE, RESULT, Message, assistant, text_of


def tool(name: str, says: str, parameter: str) -> dict[str, Any]:
    """A tool with one parameter."""
    properties = {parameter: {"type": "string", "description": f"The {parameter} that is meant."}}
    parameters = {"type": "object", "properties": properties, "required": [parameter]}
    return {"type": "function", "function": {"name": name, "description": says, "parameters": parameters}}


TIDE = tool("lookup_tide", "Tells the tide of a harbour.", "harbour")
WIND = tool("measure_wind", "Tells the wind at a mast.", "mast")
ANSWER = [ASK, assistant("Rome, matey.")]
CALLED = [ASK, assistant("", tool_calls=[CALL])]
RESULTS = [*CALLED, RESULT, assistant("High tide, matey.")]
SHAPES: dict[str, tuple[list[Message], list[Message], list[Any], list[Any]]] = {
    "tools of the row": ([PIRATE], ANSWER, [], [TIDE]),
    "tools of the row, a call": ([PIRATE], CALLED, [], [TIDE]),
    "tools of the row, a call with its result": ([PIRATE], RESULTS, [], [TIDE]),
    "tools of the prefix": ([PIRATE], ANSWER, [TIDE], []),
    "tools of the prefix, a call": ([PIRATE], CALLED, [TIDE], []),
    "tools of the prefix, a call with its result": ([PIRATE], RESULTS, [TIDE], []),
    "tools are the prefix": ([], ANSWER, [TIDE], []),
    "tools are the prefix, a call": ([], CALLED, [TIDE], []),
    "tools of both": ([PIRATE], ANSWER, [TIDE], [WIND]),
}
"""Prefix, row, the prefix's tools and the row's."""


def are_left_out(tokenizer: Any, messages: list[Message], tools: list[Any], **kwargs: Any) -> bool:
    """Whether the template writes the same with and without tools; not where it needs some."""
    shown = text_of(tokenizer, messages, tools=tools, **kwargs)
    try:
        return shown == text_of(tokenizer, messages, **kwargs)
    except (TypeError, TemplateError):
        return False
