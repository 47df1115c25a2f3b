"""Thinking as a template has it: how it is asked for answers without, and thoughts in its own tags set apart."""

import re
from collections.abc import Sequence

from bakery.chat.rendering import Message, content_of, thinking_of
from bakery.chat.turns import Locator
from bakery.errors import BakeryError

SWITCHES: tuple[tuple[str, object], ...] = (
    ("enable_thinking", False),
    ("thinking", False),
    ("reasoning_effort", "none"),
    ("thinking_budget", 0),
)
"""Variables by which templates let thinking be switched off, commonest first."""


def switch_off(locator: Locator) -> tuple[dict[str, object], Locator]:
    """The variable that switches thinking off, and a locator with it; found by trying.

    No variable, and the same locator, where an answer without thinking follows the generation prompt as it is, where
    no switch makes it do so, and for switches that the user has set.
    """
    if _answers_at_once(locator):
        return {}, locator
    renderer = locator.renderer
    for name, value in SWITCHES:
        if name in renderer.source and name not in renderer.kwargs:
            switched = Locator(renderer.switched({name: value}))
            if _answers_at_once(switched):
                return {name: value}, switched
    return {}, locator


def _answers_at_once(locator: Locator) -> bool:
    """Whether a model asked by this template writes nothing of its own before an answer without thinking."""
    try:
        return not locator.turn([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]).written
    except BakeryError:
        return False


def set_apart(locator: Locator, messages: Sequence[Message]) -> list[Message]:
    """The messages, with thoughts that an answer holds in the template's own tags beside its content.

    Such tags are `<seed:think>` or `<|START_THINKING|>`; templates read `<think>` themselves. An answer stays as it is
    where the template writes no thinking, and where it has thoughts already.
    """
    opening, behind = locator.around_thinking
    closing = re.search(locator.tags, behind)
    if not opening or not closing or opening == "<think>":
        return list(messages)
    thoughts = re.compile(rf"\s*{re.escape(opening)}(.*?){re.escape(closing[0])}\s*(.*)", re.DOTALL)
    return [_set_apart(message, thoughts) if message["role"] == "assistant" else message for message in messages]


def _set_apart(message: Message, thoughts: re.Pattern[str]) -> Message:
    inline = thoughts.fullmatch(content_of(message))
    if inline is None or thinking_of(message):
        return message
    return {**message, "reasoning_content": inline[1].strip(), "content": inline[2]}
