"""Small charts as SVG text: no script, no network, colours by CSS class, numbers readable without colour.

Every series is drawn in the class `line <name>` (and `band <name>` for its interval); page.css gives the colours. A
logarithmic axis has no zero: what lies below it is drawn as a mark under the line's gap, never as a point on the axis.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil, floor, inf, log10
from typing import NamedTuple

WIDTH, HEIGHT = 480, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, WIDTH - 14, 14, HEIGHT - 42
_MOST_DECADES = 5
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

BELOW = "below the axis"
"""What people read for a mark of a figure that is too small for the axis."""

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

    The y axis covers the figures and their intervals, and reaches down to 0 only where it is linear and 0 is near.

    Raises:
        ValueError: there is no point to draw.
    """
    points = [point for one in series for point in one.points]
    if not points:
        raise ValueError("no point to draw")
    left, right = _widened(min(point.x for point in points), max(point.x for point in points))
    x_ticks = _round_ticks(left, right, whole=all(point.x == int(point.x) for point in points))
    y_ticks = _decades(points) if logarithmic else _round_ticks(*_near_zero(points))
    x = _scale(left, right, _LEFT, _RIGHT)
    y = _scale(y_ticks[0], y_ticks[-1], _BOTTOM, _TOP, log10 if logarithmic else float)
    middle = f'transform="translate(18 {(_BOTTOM + _TOP) / 2:g}) rotate(-90)"'
    return "".join(
        (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>',
            *(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_RIGHT}"/>' for tick in y_ticks),
            *(_text("tick", f'x="{_LEFT - 7}" y="{y(tick) + 4:.1f}"', _number(tick), "end") for tick in y_ticks),
            *(
                _text("tick", f'x="{x(tick):.1f}" y="{_BOTTOM + 17}"', f"{tick:g}")
                for tick in x_ticks
                if left <= tick <= right
            ),
            *(_band(one, x, y) for one in series if any(point.low != point.high for point in one.points)),
            *(_line(one, x, y, y_ticks[0] if logarithmic else -inf) for one in series),
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


def _line(one: Series, x: Scale, y: Scale, lowest: float) -> str:
    """The line with its points, broken where a figure is below `lowest`."""
    pieces = [
        [f"{x(point.x):.1f} {y(point.y):.1f}" for point in run]
        for on_axis, run in groupby(one.points, key=lambda point: point.y >= lowest)
        if on_axis
    ]
    path = "".join(f"M{'L'.join(piece)}" for piece in pieces)
    line = f'<path class="line {one.name}" d="{path}"/>' if path else ""
    lone = {piece[0] for piece in pieces if len(piece) == 1}
    marks = "".join(_mark(one, point, x(point.x), y(point.y), lowest, lone) for point in one.points)
    return f"<g>{line}{marks}</g>"


def _mark(one: Series, point: Point, x: float, y: float, lowest: float, lone: Container[str]) -> str:
    """A point that tells its figure: visible where no line leads to it, a triangle where it is below the axis."""
    about = f"{escape(one.label)}: {point.y:.3g} at {point.x:g}"
    if point.y < lowest:
        triangle = f"M{x - 5:.1f} {_BOTTOM - 9}h10l-5 8Z"
        return f'<path class="beyond {one.name}" d="{triangle}"><title>{about}, {BELOW}</title></path>'
    name, radius = ("lone", 3) if f"{x:.1f} {y:.1f}" in lone else ("dot", 5)
    return f'<circle class="{name} {one.name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{about}</title></circle>'


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
    return [float(f"{step * number:.10g}") for number in range(floor(low / step), ceil(high / step) + 1)]


def _near_zero(points: Sequence[Point]) -> tuple[float, float]:
    """The least and the greatest of figures and intervals, from 0 where that at most doubles what is shown."""
    low, high = min(min(p.y, p.low) for p in points), max(max(p.y, p.high) for p in points)
    return (0.0, high) if 0 < low <= high / 2 else (low, high)


def _decades(points: Sequence[Point]) -> list[float]:
    """Powers of ten around all positive figures and the tops of their intervals, at most the upper six."""
    positive = [point.y for point in points if point.y > 0] or [1.0]
    high = ceil(log10(max(*positive, *(point.high for point in points))))
    low = max(floor(log10(min(positive))), high - _MOST_DECADES)
    return [10.0**power for power in range(min(low, high - 1), high + 1)]


def _number(value: float) -> str:
    """A tick as people write it: small powers of ten with an exponent."""
    power = round(log10(value)) if value > 0 else 0
    return f"10{str(power).translate(_SUPERSCRIPT)}" if power < -3 and value == 10.0**power else f"{value:g}"


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low, low + 1)
