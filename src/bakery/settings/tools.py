"""Tools that a model may call: JSON schemas, as transformers' `apply_chat_template(tools=...)` takes them."""

from collections.abc import Mapping
from typing import Any

from bakery.text import describe, listed

Tool = dict[str, Any]

_TOOL = "{type: function, function: {name: ..., parameters: ...}}"


def name_of(tool: Mapping[str, Any]) -> str:
    """The name of a tool's function."""
    return str(tool.get("function", tool)["name"])


def description_of(tool: Mapping[str, Any]) -> str:
    """What a tool is for in words; its name where that is not said."""
    return str(tool.get("function", tool).get("description") or name_of(tool))


def tools_problem(tools: Any) -> str | None:
    """What is wrong with a list of tools, in words; None when a template can show them."""
    if not isinstance(tools, list | tuple):
        return f"must be a list of tools, each {_TOOL}, got {describe(tools)}; correct or remove it"
    problems = ((number, _tool_problem(tool)) for number, tool in enumerate(tools, 1))
    return next((f"tool {number} {problem}" for number, problem in problems if problem), None)


def _tool_problem(tool: Any) -> str | None:
    if not isinstance(tool, Mapping):
        return f"must be {_TOOL}, got {describe(tool)}; correct or remove it"
    function = tool.get("function", tool)
    if not isinstance(function, Mapping):
        return f"must have a mapping as function, got {describe(function)}; write function: {{name: some name}}"
    if "name" not in function:
        return f"has a function without a name (its keys: {listed(function)}); write name: some name"
    name = function["name"]
    if not isinstance(name, str) or not name.strip():
        return f"has a function whose name is {describe(name)}; write name: some name"
    return None
