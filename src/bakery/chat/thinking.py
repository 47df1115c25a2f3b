"""Answers without thinking on a template of a thinking model: how the template is asked for them."""

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
