"""Tools that a model may call: JSON schemas, as transformers' `apply_chat_template(tools=...)` takes them."""

from collections.abc import Mapping
from typing import Any

from bakery.text import describe, listed

Tool = dict[str, Any]


def name_of(tool: Mapping[str, Any]) -> str:
    """The name of a tool's function."""
    return str(tool.get("function", tool)["name"])


def tools_problem(tools: Any) -> str | None:
    """What is wrong with a list of tools, in words; None when a template can show them."""
    if not isinstance(tools, list | tuple):
        return f"must be a list of tools {{type: function, function: {{name: ...}}}}, got {describe(tools)}"
    problems = ((number, _tool_problem(tool)) for number, tool in enumerate(tools, 1))
    return next((f"tool {number} {problem}" for number, problem in problems if problem), None)


def _tool_problem(tool: Any) -> str | None:
    if not isinstance(tool, Mapping):
        return f"must be {{type: function, function: {{name: ...}}}}, got {describe(tool)}"
    function = tool.get("function", tool)
    if not isinstance(function, Mapping):
        return f"must have a mapping with a name as function, got {describe(function)}"
    if "name" not in function:
        return f"has a function without a name (its keys: {listed(function)}); write name: some name"
    name = function["name"]
    if not isinstance(name, str) or not name.strip():
        return f"has a function whose name must be a text, got {describe(name)}; write name: some name"
    return None
