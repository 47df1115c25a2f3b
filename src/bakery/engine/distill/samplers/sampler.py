"""What a sampler is: prompts and settings in, tokens one by one and whole trajectories out, as token ids."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bakery.chat.thinking import ThinkingTokens
from bakery.engine.distill.signals import TeacherSignal
from bakery.progress import NO_PROGRESS, ProgressCallback


@dataclass(frozen=True)
class SamplingPrompt:
    """What is to be answered, and what sets its answers apart from those of the prompts beside it.

    Args:
        ids: token ids that end with the generation prompt.
        prefix_key: prompts of one key may share their first tokens' computation.
        temperature: its own; none: that of the settings.
        stream: names its random numbers; none: the seed of the settings and the prompt's index.
        draft: what the answer probably is, as an earlier answer that was cut. It changes how fast the answer comes, not
            the answer: it is read in one pass, and holds as far as it is what would have been drawn. Samplers may
            ignore it, and do where a prompt gets several answers.
    """

    ids: Sequence[int]
    prefix_key: str = ""
    temperature: float | None = None
    stream: tuple[int, ...] | None = None
    draft: tuple[int, ...] = ()


@dataclass(frozen=True)
class ThinkingBound:
    """How long thoughts may be (budget forcing: s1, Muennighoff et al. 2025, arXiv 2501.19393).

    Thoughts that have not ended after `length` tokens are ended by putting in what a template writes behind them.
    """

    length: int
    tokens: ThinkingTokens

    @classmethod
    def of(cls, length: int | None, tokens: ThinkingTokens | None) -> "ThinkingBound | None":
        """None where no length is wanted, or where answers have no thoughts."""
        return None if length is None or tokens is None else cls(length, tokens)

    def before(self, ids: Sequence[int], forced: range) -> int:
        """How many of an answer's tokens do not count to its own length; all, if it ended in its thoughts."""
        begin = forced.stop if forced else self.tokens.begin(ids)
        return len(ids) if begin is None else begin

    @property
    def longest(self) -> int:
        """Tokens before an answer at most: what opens its thoughts, these, and what is put in behind them."""
        return max(map(len, self.tokens.openings)) + self.length + len(self.tokens.closing)


@dataclass(frozen=True)
class SamplingSettings:
    """How trajectories are drawn. Temperature 0 takes the most likely token.

    With a bound of thoughts `max_new_tokens` are counted from the end of the thoughts on, else from the first token on.
    """

    stop_ids: frozenset[int]
    max_new_tokens: int
    temperature: float = 1.0
    per_prompt: int = 1
    seed: int = 0
    thinking: ThinkingBound | None = None

    @property
    def longest(self) -> int:
        """Tokens of a trajectory at most, thoughts and what is put in behind them included."""
        return self.max_new_tokens + (self.thinking.longest if self.thinking else 0)


@dataclass(frozen=True)
class SampledToken:
    """One token as it is drawn: of which prompt (its index), which of that prompt's trajectories, and if the last."""

    prompt: int
    number: int
    id: int
    last: bool


@dataclass(frozen=True)
class Trajectory:
    """One sampled answer.

    Args:
        prompt: the index of the prompt that it answers.
        number: which of that prompt's answers it is.
        ids: what was sampled, never decoded and encoded again, with what was put in to end its thoughts.
        stopped: the last id is an end-of-turn token the model wrote; else the answer was cut off.
        signal: what is known of the states that the drawn ids were drawn from, where it was to be recorded.
        forced: the positions in `ids` of what was put in.
    """

    prompt: int
    number: int
    ids: tuple[int, ...]
    stopped: bool
    signal: TeacherSignal | None = field(default=None, compare=False, repr=False)
    forced: range = range(0)

    @property
    def drawn(self) -> list[int]:
        """The positions in `ids` of what was drawn."""
        return [position for position in range(len(self.ids)) if position not in self.forced]


TokenStream = Generator[SampledToken, None, list[Trajectory]]
"""Yields tokens as they are drawn; returns all trajectories, in the order of the prompts and their numbers."""


@runtime_checkable
class Sampler(Protocol):
    """A source of trajectories."""

    @property
    def identity(self) -> str:
        """What the trajectories depend on beside model, prompts and settings; part of the key they are cached under."""
        ...

    def stream(self, prompts: Sequence[SamplingPrompt], settings: SamplingSettings) -> TokenStream:
        """`per_prompt` trajectories for every prompt, token by token."""
        ...

    def sample(
        self,
        prompts: Sequence[SamplingPrompt],
        settings: SamplingSettings,
        on_progress: ProgressCallback = NO_PROGRESS,
    ) -> list[Trajectory]:
        """The same at once; `on_progress` is told of every finished trajectory and its tokens."""
        ...


def collect(stream: TokenStream, on_progress: ProgressCallback = NO_PROGRESS) -> list[Trajectory]:
    """Run a stream to its end; `on_progress` is told of every finished trajectory and its tokens."""
    lengths: dict[tuple[int, int], int] = {}
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            return list(end.value)
        row = token.prompt, token.number
        lengths[row] = lengths.get(row, 0) + 1
        if token.last:
            on_progress(1, lengths.pop(row))
