"""One answer while it grows: what is taken of the drawn tokens, what is put in, and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bakery.engine.distill.samplers.sampler import (
    SampledToken,
    SamplingPrompt,
    SamplingSettings,
    ThinkingBound,
    Trajectory,
)
from bakery.engine.distill.signals import TeacherSignal


@dataclass
class GrowingAnswer:
    """One answer while it grows.

    Attributes:
        uniforms: one number for each token that it may have.
        ids: what was drawn or put in so far.
        states: that the ids were drawn from, where they are recorded.
        read: how many of the ids the model has read; those that were put in are read one by one.
        begin: where the part begins whose length is limited: behind the thoughts, if these have a bound of their own.
        forced: the positions of what was put in.
    """

    prompt: int
    number: int
    temperature: float
    uniforms: NDArray[np.float64]
    settings: SamplingSettings
    ids: list[int] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    read: int = 0
    begin: int | None = None
    forced: range = range(0)
    ended: bool = False

    @classmethod
    def of(cls, asked: SamplingPrompt, prompt: int, number: int, settings: SamplingSettings) -> "GrowingAnswer":
        """The empty answer of this number to the prompt of this index."""
        stream = (settings.seed, prompt) if asked.stream is None else asked.stream
        temperature = settings.temperature if asked.temperature is None else asked.temperature
        uniforms = np.random.default_rng([*stream, number]).random(settings.longest)
        return cls(prompt, number, temperature, uniforms, settings, begin=None if settings.thinking else 0)

    @property
    def newest(self) -> int:
        """The token that the model has to read next."""
        return self.ids[min(self.read, len(self.ids) - 1)]

    def draws(self, count: int) -> NDArray[np.float64]:
        """The numbers of the next tokens; of a full answer, which has ended, those of its last ones."""
        start = min(len(self.ids), len(self.uniforms) - count)
        return self.uniforms[start : start + count]

    def step(self, token: int) -> tuple[list[SampledToken], list[int]]:
        """As `grow`, with what was drawn behind the newest token; nothing while more has been put in than is read."""
        self.read = min(self.read + 1, len(self.ids))
        return self.grow([token])

    def grow(self, drawn: Sequence[int], draft: Sequence[int] = ()) -> tuple[list[SampledToken], list[int]]:
        """Take drawn tokens as far as the draft holds behind which they were drawn; nothing once the answer has ended.

        Args:
            drawn: what follows the ids, and what follows them with every further token of the draft.
            draft: what the model has read beyond the ids; `read` then says how far it holds.

        Returns:
            The tokens that are new, those that were put in too, and which of the drawn ones are among them.
        """
        first, before, taken = self.read, len(self.ids), []
        while not self.ended and self.read == len(self.ids):
            taken.append(self.read - first)
            self._take(drawn[self.read - first])
            while self.read < len(self.ids) and self._holds(draft, self.read - first):
                self.read += 1
        new = self.ids[before:]
        tokens = [
            SampledToken(self.prompt, self.number, token, last=self.ended and at == len(new))
            for at, token in enumerate(new, 1)
        ]
        return tokens, taken

    def _holds(self, draft: Sequence[int], at: int) -> bool:
        """Whether the draft has, at this position, what the model has to read next."""
        return at < len(draft) and draft[at] == self.ids[self.read]

    def _take(self, token: int) -> None:
        self.ids.append(token)
        stops = token in self.settings.stop_ids
        if self.begin is None and self.settings.thinking is not None and not stops:
            self._think(self.settings.thinking)
        full = self.begin is not None and len(self.ids) - self.begin >= self.settings.max_new_tokens
        self.ended = stops or full

    def _think(self, bound: ThinkingBound) -> None:
        """See whether there are thoughts and whether they have ended; end them at their bound."""
        tokens = bound.tokens
        opened = tokens.opened(self.ids)
        if opened is None:
            self.begin = None if tokens.may_open(self.ids) else 0
        elif tokens.ended(self.ids, opened):
            self.begin = len(self.ids)
        elif len(self.ids) - opened >= bound.length:
            self.forced = range(len(self.ids), len(self.ids) + len(tokens.closing))
            self.ids += tokens.closing
            self.begin = len(self.ids)

    def trajectory(self, signal: TeacherSignal | None) -> Trajectory:
        """The answer as it is now."""
        stopped = self.ids[-1] in self.settings.stop_ids
        return Trajectory(self.prompt, self.number, tuple(self.ids), stopped, signal, self.forced)
