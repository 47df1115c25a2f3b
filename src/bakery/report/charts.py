"""Small charts as SVG text: no script, no network, colours by CSS class, numbers readable without colour.

Every series is drawn in the class `line <name>` (and `band <name>` for its interval); page.css gives the colours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 480, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, WIDTH - 14, 14, HEIGHT - 42
_MOST_DECADES = 5

Scale = Callable[[float], float]


class Point(NamedTuple):
    """One figure at `x` with its interval."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """Points, left to right; `name` is the CSS class, `label` what people read."""

    name: str
    label: str
    points: tuple[Point, ...]


def line_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, logarithmic: bool = False) -> str:
    """Lines with their bands over a common x; `logarithmic` in y, where figures span powers of ten.

    Raises:
        ValueError: there is no point to draw.
    """
    points = [point for one in series for point in one.points]
    if not points:
        raise ValueError("no point to draw")
    left, right = _widened(min(point.x for point in points), max(point.x for point in points))
    x_ticks = _round_ticks(left, right, whole=all(point.x == int(point.x) for point in points))
    y_ticks = (
        _decades([p.y for p in points]) if logarithmic else _round_ticks(0.0, max(max(p.y, p.high) for p in points))
    )
    x = _scale(left, right, _LEFT, _RIGHT)
    y = _scale(y_ticks[0], y_ticks[-1], _BOTTOM, _TOP, log10 if logarithmic else float)
    middle = f'transform="translate(13 {(_BOTTOM + _TOP) / 2:g}) rotate(-90)"'
    return "".join(
        (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>',
            *(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_RIGHT}"/>' for tick in y_ticks),
            *(_text("tick", f'x="{_LEFT - 7}" y="{y(tick) + 4:.1f}"', f"{tick:g}", "end") for tick in y_ticks),
            *(
                _text("tick", f'x="{x(tick):.1f}" y="{_BOTTOM + 17}"', f"{tick:g}")
                for tick in x_ticks
                if left <= tick <= right
            ),
            *(_band(one, x, y) for one in series if any(point.low != point.high for point in one.points)),
            *(_line(one, x, y) for one in series),
            _text("axis", f'x="{(_LEFT + _RIGHT) / 2:g}" y="{HEIGHT - 6}"', x_label),
            _text("axis", middle, y_label),
            "</svg>",
        )
    )


def _scale(low: float, high: float, start: float, stop: float, transform: Scale = float) -> Scale:
    """Values to pixels: from `low` to `high` onto `start` to `stop`; what lies outside is drawn at the edge."""
    first, last = transform(low), transform(high)
    return lambda value: start + (transform(min(max(value, low), high)) - first) / (last - first) * (stop - start)


def _text(name: str, at: str, text: str, anchor: str = "middle") -> str:
    return f'<text class="{name}" {at} text-anchor="{anchor}">{escape(text)}</text>'


def _line(one: Series, x: Scale, y: Scale) -> str:
    single = len(one.points) == 1
    path = "L".join(f"{x(point.x):.1f} {y(point.y):.1f}" for point in one.points)
    dots = "".join(
        f'<circle class="dot {one.name}" cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="{3 if single else 5}">'
        f"<title>{escape(one.label)}: {point.y:.3g} at {point.x:g}</title></circle>"
        for point in one.points
    )
    return f'<g class="{"single" if single else "series"}"><path class="line {one.name}" d="M{path}"/>{dots}</g>'


def _band(one: Series, x: Scale, y: Scale) -> str:
    above = [f"{x(point.x):.1f} {y(point.high):.1f}" for point in one.points]
    below = [f"{x(point.x):.1f} {y(point.low):.1f}" for point in reversed(one.points)]
    return f'<path class="band {one.name}" d="M{"L".join([*above, *below])}Z"/>'


def _round_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """About five round numbers from at most `low` to at least `high`."""
    low, high = _widened(low, high)
    step = 10.0 ** floor(log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    step = max(1.0, step) if whole else step
    return [round(step * number, 10) for number in range(floor(low / step), ceil(high / step) + 1)]


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around all positive values, at most the upper six; what lies below is drawn at the bottom."""
    positive = [value for value in values if value > 0] or [1.0]
    high = ceil(log10(max(positive)))
    low = max(floor(log10(min(positive))), high - _MOST_DECADES)
    return [10.0**power for power in range(min(low, high - 1), high + 1)]


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low, low + 1)
