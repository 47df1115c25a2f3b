"""Tools in both views: a template that shows other tools to the teacher than to the student."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bakery.chat.contexts import Context
from bakery.chat.rendering import Message
from bakery.chat.turns import Locator, Turn
from bakery.errors import BakeryError
from bakery.rows.tools import joined_tools
from bakery.settings.tools import Tool, name_of

LEFT_OUT = "the template leaves out tools: the model does not see them"
_MOST = 64
"""Sets of tools that are remembered: those of a data set are often as many as its rows."""

Sides = tuple[Locator, Locator]
"""The teacher's locator and the student's; the same one where both are shown the same tools."""


@dataclass(frozen=True, slots=True)
class _WithTools:
    """A locator for further tools, and whether the template writes anything of them behind a plain question."""

    locator: Locator
    written: bool


class ToolLocators:
    """Locators for further tools than all rows are shown, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Locator, str], _WithTools] = {}

    def sides(self, locator: Locator, context: Context) -> Sides:
        """The locators for both conversations of a row, from the one for rows without tools.

        Raises:
            TemplateError: the template that the tokenizer has for tools cannot be used.
        """
        return self.with_tools(locator, context.teacher_tools), self.with_tools(locator, context.student_tools)

    def left_out(self, locator: Locator, context: Context, text: str) -> bool:
        """Whether the template leaves out tools of a row, whose teacher's view is `text` or begins with it."""
        tools = context.teacher_tools
        return bool(tools) and not (
            self._made_for(locator, tools).written and all(name_of(tool) in text for tool in tools)
        )

    def with_tools(self, locator: Locator, tools: Sequence[Tool]) -> Locator:
        """The locator for these tools beside those that all rows are shown.

        Raises:
            TemplateError: the template that the tokenizer has for tools cannot be used.
        """
        return self._made_for(locator, tools).locator if tools else locator

    def _made_for(self, locator: Locator, tools: Sequence[Tool]) -> _WithTools:
        key = (locator, json.dumps(tools, ensure_ascii=False, default=str))
        if key not in self._made:
            if len(self._made) >= _MOST:
                del self._made[next(iter(self._made))]
            every = joined_tools(locator.renderer.kwargs.get("tools") or (), tools)
            made = Locator(locator.renderer.switched({"tools": list(every)}))
            self._made[key] = _WithTools(made, _question(made) != _question(locator))
        return self._made[key]


def _question(locator: Locator) -> object:
    """A plain question as it is rendered, or why it is not."""
    try:
        return locator.renderer.render([{"role": "user", "content": "Q"}], generation_prompt=True)
    except BakeryError as error:
        return error


def turns_of(sides: Sides, conversations: Sequence[Sequence[Message]]) -> list[Turn]:
    """The last message of each conversation as a target, as `Locator.turns`; the second one is the student's.

    Raises:
        ViewError, TemplateError: as `Locator.turn`.
    """
    if sides[0] is sides[1]:
        return sides[0].turns(conversations)
    return [locator.turn(messages) for locator, messages in zip(sides, conversations, strict=True)]
