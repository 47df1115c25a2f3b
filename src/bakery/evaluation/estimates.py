"""Means with their errors, as pure functions: every figure of the proof comes from here.

The unit is the prompt: tokens of one answer, and answers to one prompt, are not independent. Every figure is a sum
over a sum; its 95 % interval is the bootstrap over prompts (Efron 1979). Prompts are drawn with the same random numbers
for every figure, so that figures of the same prompts are paired. Where a share is 0 or 1 in every prompt there is
nothing to resample, and Wilson's score interval (1927) stands in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = Sequence[float] | NDArray[np.float64]

DRAWS = 2000
Z = 1.959964
"""Standard errors on either side of a 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error, and its 95 % interval, over n independent prompts."""

    mean: float
    stderr: float
    n: int
    low: float
    high: float


def mean(values: Sequence[float]) -> Estimate:
    """Mean of one value a prompt.

    Raises:
        ValueError: when there are none.
    """
    return ratio(values, [1.0] * len(values))


def share(values: Sequence[float]) -> Estimate:
    """Share of ones among zeros and ones, one a prompt.

    Raises:
        ValueError: when there are none.
    """
    estimate = mean(values)
    if estimate.mean not in (0.0, 1.0):
        return estimate
    low, high = wilson(sum(values), estimate.n)
    return replace(estimate, stderr=0.0, low=low, high=high)


def ratio(sums: Floats, counts: Floats) -> Estimate:
    """Sum over sum, such as nats over tokens: every token counts the same, every prompt is drawn as a whole.

    Raises:
        ValueError: when there is nothing to divide by.
    """
    above, below = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    n = len(above)
    if not n or below.sum() == 0:
        raise ValueError("nothing to divide by: there are no values, or all counts are zero")
    value = float(above.sum() / below.sum())
    weights = _weights(n)
    drawn_above, drawn_below = weights @ above, weights @ below
    drawn = drawn_above[drawn_below != 0] / drawn_below[drawn_below != 0]
    if n == 1 or not len(drawn):
        return Estimate(value, 0.0, n, value, value)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(drawn.std(ddof=1)), n, float(low), float(high))


@lru_cache(maxsize=8)
def _weights(n: int) -> NDArray[np.float64]:
    """How often each of n prompts is drawn: [draws, n], the same for every figure."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)


def share_closed(before: Sequence[float], after: Sequence[float]) -> Estimate | None:
    """1 - sum(after) / sum(before) of paired sums; None when there was nothing to close."""
    if sum(before) <= 0:
        return None
    left = ratio(after, before)
    return Estimate(1 - left.mean, left.stderr, left.n, 1 - left.high, 1 - left.low)


def share_recovered(base: Sequence[float], prompted: Sequence[float], baked: Sequence[float]) -> Estimate | None:
    """(baked - base) / (prompted - base) of paired scores; None when the prompt does not change the score."""
    if sum(prompted) == sum(base):
        return None
    return ratio(np.subtract(baked, base), np.subtract(prompted, base))


def wilson(successes: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share."""
    share, square = successes / n, Z * Z / n
    centre = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def median(values: Sequence[float]) -> float | None:
    """The middle value; None when there are none."""
    return float(np.median(np.asarray(values, dtype=np.float64))) if values else None
