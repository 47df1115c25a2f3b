"""How many messages the model is to write for a bake, by what the user has given. Torch-free."""

from dataclasses import dataclass

from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import prompt_key
from bakery.rows.validation import ENOUGH_PROMPTS
from bakery.settings.config import DataConfig

ENOUGH_GIVEN = 32
"""From so many given prompts on, `auto` writes none beside them."""
_ABOUT, _PER_CLAUSE = 96, 16
"""Prompts about the context: at least so many, and so many for each of its clauses."""
_WORLD_SHARE, _WORLD = 0.4, 128
"""Prompts about anything: their share of all that the model writes, and the most of them."""
_ANCHORS_A_PROMPT, _ANCHORS = 0.4, 256
"""Anchors for each prompt to learn from, and the most of them."""
STOPPING, HELD_OUT = 16, 48
"""Questions that tell when training is done, and those of the proof."""


@dataclass(frozen=True)
class WritingPlan:
    """How many messages are to be written, by what they are for.

    Args:
        about: to learn from, about the context.
        world: to learn from, about anything else.
        stopping: held-out questions that tell when training is done.
        held_out: other held-out questions, for the proof.
        anchors: messages under other system prompts, where the model is to stay as it is.
    """

    about: int = 0
    world: int = 0
    stopping: int = 0
    held_out: int = 0
    anchors: int = 0

    @property
    def prompts(self) -> int:
        """Messages to learn from."""
        return self.about + self.world

    @property
    def total(self) -> int:
        """All messages together."""
        return self.prompts + self.stopping + self.held_out + self.anchors


def writing_plan(data: BakeData, settings: DataConfig, clauses: int, *, stops: bool) -> WritingPlan:
    """What is to be written for these rows.

    Args:
        data: what the user has given.
        settings: `self_prompts` and `self_anchors`.
        clauses: how many all contexts have together; none: there is no context to write behind.
        stops: whether held-out rows say when training ends.
    """
    if not clauses:
        return WritingPlan()
    answered = any(row.answered for row in data.train)
    given = len({prompt_key(row) for row in data.train})
    about = world = 0
    if settings.self_prompts != "auto":
        world = int(_WORLD_SHARE * settings.self_prompts)
        about = settings.self_prompts - world
    elif not answered and given < ENOUGH_GIVEN:
        about = max(_ABOUT, _PER_CLAUSE * clauses)
        world = min(_WORLD, round(about * _WORLD_SHARE / (1 - _WORLD_SHARE)))
    if settings.self_anchors != "auto":
        anchors = settings.self_anchors
    else:
        anchors = 0 if answered or data.anchors else min(_ANCHORS, round(_ANCHORS_A_PROMPT * (given + about + world)))
    reserved = given >= ENOUGH_PROMPTS and not about  # of the given prompts
    writes_questions = settings.self_prompts != 0 and not reserved and not data.validation
    measured = bool(data.heldout or data.evaluation)
    return WritingPlan(
        about=about,
        world=world,
        stopping=STOPPING if writes_questions and stops else 0,
        held_out=HELD_OUT if writes_questions and not measured else 0,
        anchors=anchors,
    )
