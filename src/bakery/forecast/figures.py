"""Tokens and seconds of a bake as plain data: work is counted, rates are measured, a forecast is their product.

seconds of a stage  =  sum over all kinds of work  of  how much there is * seconds of one piece
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Self

BAKE_PARTS = ("sampling", "teacher", "training")
"""The bake itself: the proof takes a share of their seconds."""
_EULER = 0.5772


@dataclass(frozen=True)
class Work:
    """How much is to be done of every kind.

    Args:
        views: rows rendered and tokenised.
        sampled: tokens that the model writes.
        passes: forward passes, which cost something however few tokens they hold.
        read: tokens read without gradient.
        targets: tokens at which the model's distribution is looked at.
        trained: tokens read with gradient.
        updates: optimiser steps.
    """

    views: float = 0
    sampled: float = 0
    passes: float = 0
    read: float = 0
    targets: float = 0
    trained: float = 0
    updates: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> Self:
        """So many times this."""
        return type(self)(*(factor * value for value in astuple(self)))


@dataclass(frozen=True)
class Pace(Work):
    """Seconds of one piece of every kind of work."""

    def seconds(self, work: Work) -> float:
        """What work takes at this pace."""
        return float(sum(one * many for one, many in zip(astuple(self), astuple(work), strict=True)))


@dataclass(frozen=True)
class Rates:
    """The pace of the base model, and of the model with its adapter."""

    base: Pace
    adapted: Pace

    def slower(self, factor: float) -> "Rates":
        """The same where asking the model takes `factor` times as long as was measured; training is left alone."""
        changed = [
            replace(pace.times(factor), trained=pace.trained, updates=pace.updates)
            for pace in (self.base, self.adapted)
        ]
        return Rates(*changed)

    def among(self, processes: int) -> "Rates":
        """The same where processes share the tokens; what a pass costs by itself costs it in every one of them."""
        names = ("sampled", "read", "targets", "trained")
        changed = [
            replace(pace, **{name: getattr(pace, name) / processes for name in names})
            for pace in (self.base, self.adapted)
        ]
        return Rates(*changed)


@dataclass(frozen=True)
class Stage:
    """The work of one part of a bake: done by the base model, and by the model with its adapter."""

    name: str
    base: Work = Work()
    adapted: Work = Work()

    @property
    def sampled(self) -> float:
        """Tokens that the model writes."""
        return self.base.sampled + self.adapted.sampled

    @property
    def read(self) -> float:
        """Tokens that the model reads, in training too."""
        return self.base.read + self.adapted.read + self.base.trained + self.adapted.trained

    def seconds(self, rates: Rates) -> float:
        """How long it takes."""
        return rates.base.seconds(self.base) + rates.adapted.seconds(self.adapted)


@dataclass(frozen=True)
class Range:
    """A figure between two bounds; both are equal where it is known."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    @property
    def middle(self) -> float:
        """Between the two bounds, as many times above the one as below the other."""
        return math.sqrt(self.low * self.high)

    def at_most(self, limit: float) -> "Range":
        """The same where nothing is more than `limit`."""
        return Range(min(self.low, limit), min(self.high, limit))


@dataclass(frozen=True)
class Part:
    """What one part of a bake takes: tokens written by the model, tokens read by it, seconds."""

    name: str
    sampled: Range
    read: Range
    seconds: Range

    def within(self, bake: Range, share: float) -> "Part":
        """The same with no more than a share of the bake's seconds; of the tokens, so much less."""
        if not bake.high or math.isinf(share) or self.seconds.high <= 0:
            return self
        low, high = (
            min(1.0, share * limit / own) if own > 0 else 1.0
            for limit, own in ((bake.low, self.seconds.low), (bake.high, self.seconds.high))
        )
        sampled, read, seconds = (
            Range(low * one.low, high * one.high) for one in (self.sampled, self.read, self.seconds)
        )
        return Part(self.name, sampled, read, seconds)


@dataclass(frozen=True)
class Memory:
    """Bytes that a bake holds, beside the libraries and what they hold before it.

    Args:
        weights: of the base model.
        adapter: its weights, their gradients and the optimiser's state.
        activations: what one pass of `token_budget` tokens keeps for its backward pass.
        keys_values: of the prefix and of the largest batch that is sampled.
        logits: and the other working space of that batch.
        signal: what is stored of the teacher.
        libraries: what libraries keep for themselves while they compute.
        available: bytes of the device, or of the machine; None where nobody tells.
        device: what has them.
    """

    weights: int
    adapter: int
    activations: int
    keys_values: int
    logits: int
    signal: int
    libraries: int = 0
    available: int | None = None
    device: str = "machine"

    @property
    def peak(self) -> int:
        """Held at most at one time: sampling is over when training begins."""
        always = self.weights + self.signal + self.libraries
        return always + max(self.keys_values + self.logits, self.adapter + self.activations)

    @property
    def fits(self) -> bool:
        """Whether the device has as much, as far as anybody can tell."""
        return self.available is None or self.peak <= self.available


@dataclass(frozen=True)
class Forecast:
    """What a bake is expected to take.

    Args:
        parts: writing, gap, sampling, teacher, training and proof, those that there are.
        memory: bytes.
        rates: what was measured.
        steps: optimiser steps; a range where the bake runs until it is done.
        limit_minutes: `max_minutes`, where it is given.
    """

    parts: tuple[Part, ...]
    memory: Memory
    rates: Rates
    steps: Range
    limit_minutes: float | None = None

    @property
    def open_ended(self) -> bool:
        """Whether nothing says how many steps there are."""
        return self.steps.low < self.steps.high

    @property
    def sampled(self) -> Range:
        """Tokens that the model writes."""
        return sum((part.sampled for part in self.parts), Range(0, 0))

    @property
    def read(self) -> Range:
        """Tokens that the model reads."""
        return sum((part.read for part in self.parts), Range(0, 0))

    @property
    def seconds(self) -> Range:
        """All parts together; at least that of the whole where time is limited."""
        return sum((part.seconds for part in self.parts), Range(0, 0))


def parts_of(
    least: Sequence[Stage],
    most: Sequence[Stage],
    rates: Rates,
    *,
    limit_seconds: float = math.inf,
    proof_share: float = math.inf,
) -> tuple[Part, ...]:
    """The parts of a bake whose work lies between two bounds.

    Args:
        least, most: the stages at both bounds.
        rates: seconds of a piece of work.
        limit_seconds: after which training ends.
        proof_share: what the proof may take of the seconds of sampling, teacher and training.
    """
    parts: list[Part] = []
    for low, high in zip(least, most, strict=True):
        seconds = Range(low.seconds(rates), high.seconds(rates))
        if low.name == "training":
            before = sum(part.seconds.low for part in parts)
            seconds = seconds.at_most(max(0.0, limit_seconds - before))
        part = Part(low.name, Range(low.sampled, high.sampled), Range(low.read, high.read), seconds)
        if low.name == "proof":
            part = part.within(sum((one.seconds for one in parts if one.name in BAKE_PARTS), Range(0, 0)), proof_share)
        parts.append(part)
    return tuple(part for part in parts if part.sampled.high or part.read.high)


def longest_of(count: float, mean: float, limit: int) -> float:
    """The length of the longest of so many texts of a mean length, each of which may end at every token.

    Lengths are then distributed geometrically, whose largest one is about mean * (ln(count) + Euler's constant).
    """
    if count < 1:
        return 0.0
    return min(float(limit), mean * max(1.0, math.log(count) + _EULER))


def sampling_work(count: float, mean: float, limit: int, prompt: float) -> Work:
    """Answers sampled in one batch.

    Args:
        count: how many.
        mean: tokens of one.
        limit: tokens at most.
        prompt: tokens of its prompt that it shares with no other.
    """
    if not count:
        return Work()
    return Work(sampled=count * mean, passes=1 + longest_of(count, mean, limit), read=count * prompt)


def reading_work(rows: float, tokens: float, targets: float, budget: int) -> Work:
    """Rows of so many tokens and targets each, read once in passes of a token budget."""
    return Work(read=rows * tokens, targets=rows * targets, passes=math.ceil(rows * tokens / budget))


def training_work(steps: float, batch: float, tokens: float) -> Work:
    """Optimiser steps of `batch` rows of so many tokens each."""
    return Work(trained=steps * batch * tokens, updates=steps)


def steps_of(rows: int, per_step: int, epochs: float | None, max_steps: int) -> int:
    """Optimiser steps, as transformers counts them: `max_steps` where it is given, else whole batches of all epochs."""
    if max_steps > 0:
        return max_steps
    return math.ceil((epochs or 0) * math.ceil(rows / per_step))
