"""Under what a model answers: which adapters at which strength, and whether it sees the context.

condition         adapters     sees the context
BASE              none         no                the model as it was
PROMPTED          none         yes               the teacher, unless the bake names another
BAKED             the trained  no                the student
BAKED_PROMPTED    the trained  yes               a baked model that is given the prompt as well
"""

from dataclasses import dataclass, replace

TRAINED = "default"
"""The adapter that a bake trains, under peft's own name for the first one."""


@dataclass(frozen=True)
class Condition:
    """One way to ask a model.

    Args:
        adapters: names with strengths, 1 as trained; none: the base.
        prompted: whether the teacher's view of a row is read (with the context) or the student's (without).
    """

    adapters: tuple[tuple[str, float], ...] = ()
    prompted: bool = False

    def at(self, strength: float) -> "Condition":
        """The same with every adapter at `strength` times its strength here."""
        return replace(self, adapters=tuple((name, own * strength) for name, own in self.adapters))


BASE = Condition()
PROMPTED = Condition(prompted=True)
BAKED = Condition(((TRAINED, 1.0),))
BAKED_PROMPTED = replace(BAKED, prompted=True)


def adapter_names(count: int) -> list[str]:
    """Under which names so many adapters of one base are loaded beside one another, the first as a bake trains it."""
    return [TRAINED, *(f"adapter_{number}" for number in range(2, count + 1))][:count]
