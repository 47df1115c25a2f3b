"""Several models on the same prompts: every figure prompt by prompt, and the differences between two of them.

A figure is a sum over a sum, such as nats over tokens or right answers over questions. Both models have the same
prompts and so the same counts; the difference of two figures is therefore the figure of the differences, and what is
easy or hard about a prompt drops out of it. Its 95 % interval is the bootstrap over prompts (`estimates.ratio`).

Of zeros and ones the bootstrap sees too little where few prompts differ: 4 right answers more and none fewer in 40 look
certain to it, which a sign test doubts (p = 0.13), and without any that differ its interval has no width. There the
interval is at least as wide as that of Agresti and Min (2005, Statistics in Medicine 24:729), who count half a prompt
more in each of the four cells. Where sums of anything else differ nowhere, there is no interval at all.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np

from bakery.engine.distill.conditions import Condition
from bakery.evaluation import estimates
from bakery.evaluation.estimates import Estimate, Z
from bakery.evaluation.findings import LEAST_ROWS

FigureName = Literal["share_closed", "divergence", "right", "same", "rule", "drift"]
ZERO_ONE: tuple[FigureName, ...] = ("right", "same", "rule")
"""Figures with a zero or a one a prompt."""
LESS_IS_BETTER: tuple[FigureName, ...] = ("divergence", "drift")
"""Distances, in nats per token; all others are shares."""


@dataclass(frozen=True)
class Difference:
    """One figure less another on the same n prompts; `low` and `high` are None where the prompts tell no interval."""

    mean: float
    stderr: float
    n: int
    low: float | None
    high: float | None

    @property
    def told(self) -> Literal["more", "less", "unclear"]:
        """Which of the two is larger, as far as the interval tells; of fewer than `LEAST_ROWS` prompts nothing does."""
        if self.low is None or self.high is None or self.n < LEAST_ROWS or self.low <= 0 <= self.high:
            return "unclear"
        return "more" if self.mean > 0 else "less"


@dataclass(frozen=True)
class PairedFigure:
    """One figure of several models on the same n prompts.

    Args:
        name: what is measured.
        about: on which set of rows or, of a rule, its name.
        prompts: [n] names of the prompts.
        counts: [n] what the sums are divided by.
        sums: [n] by condition.
    """

    name: FigureName
    about: str
    prompts: tuple[str, ...]
    counts: tuple[float, ...]
    sums: Mapping[Condition, tuple[float, ...]]

    @property
    def zero_one(self) -> bool:
        """Whether each prompt has a zero or a one."""
        return self.name in ZERO_ONE

    def of(self, condition: Condition) -> Estimate | None:
        """The figure under one condition; None where it was not measured there."""
        sums = self.sums.get(condition)
        if sums is None:
            return None
        return estimates.share(sums) if self.zero_one else estimates.ratio(sums, self.counts)

    def difference(self, one: Condition, other: Condition) -> Difference | None:
        """The figure of `one` less that of `other`; None where either was not measured."""
        if one not in self.sums or other not in self.sums:
            return None
        return difference(self.sums[one], self.sums[other], self.counts, zero_one=self.zero_one)

    def without(self, prompts: Collection[str]) -> "PairedFigure | None":
        """The same without some prompts; None where nothing is left to divide by."""
        rest = [at for at, prompt in enumerate(self.prompts) if prompt not in prompts]
        counts = tuple(self.counts[at] for at in rest)
        if sum(counts) <= 0:
            return None
        sums = {condition: tuple(own[at] for at in rest) for condition, own in self.sums.items()}
        return replace(self, prompts=tuple(self.prompts[at] for at in rest), counts=counts, sums=sums)


def difference(
    one: Sequence[float], other: Sequence[float], counts: Sequence[float], *, zero_one: bool = False
) -> Difference:
    """sum(one) / sum(counts) less sum(other) / sum(counts), from the differences prompt by prompt.

    Args:
        one: [n] sums.
        other: [n] sums of what it is held against.
        counts: [n] what both are divided by.
        zero_one: all sums are 0 or 1, and all counts 1.

    Raises:
        ValueError: there are no prompts, or all counts are zero.
    """
    each = np.subtract(one, other)
    estimate = estimates.ratio(each, counts)
    low, high = estimate.low, estimate.high
    if zero_one:
        least, most = _matched_shares(int((each > 0).sum()), int((each < 0).sum()), len(each))
        return Difference(estimate.mean, estimate.stderr, estimate.n, min(low, least), max(high, most))
    if low == high:
        return Difference(estimate.mean, estimate.stderr, estimate.n, None, None)
    return Difference(estimate.mean, estimate.stderr, estimate.n, low, high)


def _matched_shares(more: int, fewer: int, n: int) -> tuple[float, float]:
    """Agresti and Min's 95 % interval of the difference of two shares of the same n prompts.

    `more`: prompts with a one of the first and a zero of the second alone; `fewer`: the other way round.
    """
    whole = n + 2
    centre = (more - fewer) / whole
    half = Z * sqrt(more + fewer + 1 - (more - fewer) ** 2 / whole) / whole
    return max(-1.0, centre - half), min(1.0, centre + half)
