"""Whether sampled answers get out of their thoughts, and what to do where most do not."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.distill.samplers.sampler import Trajectory

_MOST = 0.5
"""A share of answers cut in their thoughts above which it is said."""
_ROUND = 64


@dataclass(frozen=True)
class Thoughts:
    """Looks at trajectories that were sampled without a bound of their thoughts.

    Args:
        tokens: what stands around thoughts.
        length: of a trajectory at most.
        switch: variables of the template that ask for answers without thoughts, if there are any.
    """

    tokens: ThinkingTokens
    length: int
    switch: Mapping[str, object]

    def cut(self, trajectory: Trajectory) -> bool:
        """Whether an answer was cut in its thoughts."""
        return not trajectory.stopped and self.tokens.begin(trajectory.ids) is None

    def warning(self, trajectories: Sequence[Trajectory]) -> str | None:
        """What to say and do where more than half of these answers were cut in their thoughts."""
        cut = sum(map(self.cut, trajectories))
        if cut <= _MOST * len(trajectories):
            return None
        remedies = [self._longer(trajectories), f"thinking_length: {self.length} bounds the thoughts alone"]
        if self.switch:
            remedies.append(f"chat_template_kwargs: {json.dumps(self.switch)} asks for none")
        return (
            f"{cut} of {len(trajectories)} answers were cut in their thoughts at trajectory_length {self.length}: "
            f"{'; '.join(remedies)}"
        )

    def _longer(self, trajectories: Sequence[Trajectory]) -> str:
        """A length that would do, if at every token of their thoughts as many answers get out of them as here."""
        begins = [self.tokens.begin(one.ids) for one in trajectories]
        ended = sum(bool(begin) for begin in begins)
        if not ended:
            return f"none got out of them, so try trajectory_length: {2 * self.length} or more"
        written = sum(len(one.ids) if begin is None else begin for one, begin in zip(trajectories, begins, strict=True))
        thoughts = math.log(10) * written / ended
        length = _ROUND * math.ceil((thoughts + self.length) / _ROUND)
        return f"with trajectory_length: {length} about 9 in 10 would get out of them"
