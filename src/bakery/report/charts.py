"""Small charts as SVG text: no script, no network, colours by CSS class, numbers readable without colour.

Every series is drawn in the class `line <name>` (and `band <name>` for its interval); page.css gives the colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 480, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 42
_MOST_DECADES = 5


@dataclass(frozen=True)
class Series:
    """Points (x, y, low, high), left to right; `name` is its CSS class, `label` what people read."""

    name: str
    label: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class _Scale:
    """Values to pixels: from `low` to `high` onto `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.logarithmic:
            value, low, high = log10(value), log10(low), log10(high)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)


def line_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, logarithmic: bool = False) -> str:
    """Lines with their bands over a common x; `logarithmic` in y, where figures span powers of ten.

    Raises:
        ValueError: there is no point to draw.
    """
    points = [point for one in series for point in one.points]
    if not points:
        raise ValueError("no point to draw")
    x = _Scale(*_widened(min(p[0] for p in points), max(p[0] for p in points)), _LEFT, WIDTH - _RIGHT)
    ticks = _decades([p[1] for p in points]) if logarithmic else _round_ticks(0.0, max(max(p[1], p[3]) for p in points))
    y = _Scale(ticks[0], ticks[-1], HEIGHT - _BOTTOM, _TOP, logarithmic)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>']
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _round_ticks(x.low, x.high, whole=all(point[0] == int(point[0]) for point in points)):
        if x.low <= tick <= x.high:
            parts.append(
                f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - _BOTTOM + 17}" text-anchor="middle">{tick:g}</text>'
            )
    parts += [_band(one, x, y) for one in series if any(p[2] != p[3] for p in one.points)]
    parts += [_line(one, x, y) for one in series]
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text class="axis" transform="translate(13 {(HEIGHT - _BOTTOM + _TOP) / 2:g}) rotate(-90)" '
                 f'text-anchor="middle">{escape(y_label)}</text></svg>')  # fmt: skip
    return "".join(parts)


def bar(name: str, share: float, low: float, high: float) -> str:
    """A share between 0 and 1 as a bar with its interval as a whisker."""
    a, b, c = (100 * min(1.0, max(0.0, value)) for value in (share, low, high))
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="presentation">'
        f'<rect class="trough" width="100" height="10"/><rect class="fill {name}" width="{a:.2f}" height="10"/>'
        f'<path class="whisker" d="M{b:.2f} 5H{c:.2f}"/></svg>'
    )


def _line(one: Series, x: _Scale, y: _Scale) -> str:
    path = "L".join(f"{x(p[0]):.1f} {y(p[1]):.1f}" for p in one.points)
    dots = [
        f'<circle class="dot {one.name}" cx="{x(p[0]):.1f}" cy="{y(p[1]):.1f}" r="{5 if len(one.points) > 1 else 3}">'
        f"<title>{escape(one.label)}: {p[1]:.3g} at {p[0]:g}</title></circle>"
        for p in one.points
    ]
    lonely = " lonely" if len(one.points) == 1 else ""
    return f'<g class="series{lonely}"><path class="line {one.name}" d="M{path}"/>{"".join(dots)}</g>'


def _band(one: Series, x: _Scale, y: _Scale) -> str:
    above = [f"{x(p[0]):.1f} {y(p[3]):.1f}" for p in one.points]
    below = [f"{x(p[0]):.1f} {y(p[2]):.1f}" for p in reversed(one.points)]
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
