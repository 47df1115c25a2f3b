"""Means with their errors, as pure functions: every figure of the proof comes from here.

The unit is the prompt: tokens of one answer, and answers to one prompt, are not independent. Intervals hold 95 % and
come from the bootstrap over prompts (Efron 1979); prompts are drawn with the same random numbers for every column,
so that differences between columns of the same prompts are paired. Where a share is 0 or 1 in every prompt there is
nothing to resample, and Wilson's score interval (1927) stands in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2000
_Z = 1.959964


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
    x = _checked(values)
    return _estimate(lambda weights: weights @ x / len(x), len(x))


def share(values: Sequence[float]) -> Estimate:
    """Share of ones among zeros and ones, one a prompt.

    Raises:
        ValueError: when there are none.
    """
    found = mean(values)
    if found.mean not in (0.0, 1.0):
        return found
    low, high = wilson(sum(values), found.n)
    return Estimate(found.mean, 0.0, found.n, low, high)


def ratio(sums: Sequence[float], counts: Sequence[float]) -> Estimate:
    """Sum over sum, such as nats over tokens: every token counts the same, every prompt is drawn as a whole.

    Raises:
        ValueError: when there is nothing to divide by.
    """
    x, n = _checked(sums), _checked(counts)
    if n.sum() <= 0:
        raise ValueError("nothing to divide by: all counts are zero")
    return _estimate(lambda weights: _divide(weights @ x, weights @ n), len(x))


def share_closed(before: Sequence[float], after: Sequence[float]) -> Estimate | None:
    """1 - sum(after) / sum(before) of paired sums; None when there was nothing to close."""
    b, a = _checked(before), _checked(after)
    if b.sum() <= 0:
        return None
    return _estimate(lambda weights: 1 - _divide(weights @ a, weights @ b), len(b))


def share_recovered(base: Sequence[float], prompted: Sequence[float], baked: Sequence[float]) -> Estimate | None:
    """(baked - base) / (prompted - base) of paired scores; None when the prompt does not change the score."""
    low, high, now = _checked(base), _checked(prompted), _checked(baked)
    if high.sum() == low.sum():
        return None
    return _estimate(lambda weights: _divide(weights @ (now - low), weights @ (high - low)), len(low))


def wilson(successes: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share."""
    share, square = successes / n, _Z * _Z / n
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def median(values: Sequence[float]) -> float | None:
    """The middle value; None when there are none."""
    return float(np.median(np.asarray(values, dtype=np.float64))) if values else None


def _estimate(statistic: Callable[[Floats], Floats], n: int) -> Estimate:
    """A statistic of weighted prompts, at equal weights and over the bootstrap's draws of weights [draws, n]."""
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
    value = float(statistic(np.ones((1, n)))[0])
    drawn = statistic(weights)
    drawn = drawn[np.isfinite(drawn)]
    if n == 1 or not len(drawn):
        return Estimate(value, 0.0, n, value, value)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(drawn.std(ddof=1)), n, float(low), float(high))


def _divide(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)


def _checked(values: Sequence[float]) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        raise ValueError("no value to take a mean of")
    return x
