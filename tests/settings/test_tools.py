"""Tools: JSON schemas that name a function, or what is wrong with them in one line."""

import pytest

from bakery.settings.messages import messages_problem
from bakery.settings.tools import name_of, tools_problem

TIDE = {"type": "function", "function": {"name": "tide", "parameters": {}}}


@pytest.mark.parametrize("tools", [[], [TIDE], (TIDE, {"name": "wind", "parameters": {}})])
def test_schemas_are_taken_with_or_without_a_wrapping_function(tools):
    assert tools_problem(tools) is None
    assert [name_of(tool) for tool in tools] == ["tide", "wind"][: len(tools)]


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        (TIDE, "must be a list of tools"),
        (3, "got the number 3"),
        ([TIDE, "tide"], "tool 2 must be {type: function"),
        ([{"type": "function"}], r"tool 1 has a function without a name (its keys: type)"),
        ([{"function": "tide"}], "tool 1 must have a mapping as function, got the text 'tide'"),
        ([{"function": {"name": " "}}], "tool 1 has a function whose name is the text ' '"),
        ([{"function": {"name": None}}], "whose name is null"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_a_remedy(tools, says):
    problem = tools_problem(tools)
    assert says in problem
    assert ";" in problem
    assert "\n" not in problem


def test_a_message_may_hold_tools_and_only_well_formed_ones():
    message = {"role": "system", "content": "Be kind."}
    assert messages_problem([{**message, "tools": [TIDE]}, {**message, "tools": None}]) is None
    assert messages_problem([{**message, "tools": [{}]}]).startswith("message 1: tools: tool 1 has a function without")
