"""Charts: every point within the frame, more is higher, labels are text."""

import re

import pytest

from bakery.report.charts import BELOW, Point, Series, line_chart


def test_a_chart_holds_its_points_within_its_frame():
    points = tuple(Point(float(x), y, y / 2, y * 2) for x, y in enumerate((5.0, 0.3, 0.0, 1e-9, 40.0)))
    for logarithmic in (False, True):
        svg = line_chart("t", [Series("base", "b", points)], "x", "y", logarithmic=logarithmic)
        points_drawn = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', svg)]
        assert len(points_drawn) + svg.count(BELOW) == len(points)
        assert all(50 <= x <= 480 and 10 <= y <= 240 for x, y in points_drawn)
        assert "nan" not in svg
        first, second, last = (points_drawn[i][1] for i in (0, 1, -1))
        assert last < first < second, "more is higher"
    with pytest.raises(ValueError, match="no point"):
        line_chart("t", [], "x", "y")
    assert "<svg" in line_chart("one", [Series("base", "b", (Point(1.0, 0.0, 0.0, 0.0),))], "x", "y", logarithmic=True)


def drawn(*figures, logarithmic=False):
    points = tuple(Point(float(x), y, y, y) for x, y in enumerate(figures))
    return line_chart("t", [Series("base", "b", points)], "x", "y", logarithmic=logarithmic)


def y_ticks(svg):
    return re.findall(r'text-anchor="end">([^<]+)<', svg)


def test_what_a_logarithmic_axis_cannot_show_is_marked_and_breaks_the_line():
    svg = drawn(1.0, 0.1, 0.0, 1e-9, -0.001, 0.5, 2.0, logarithmic=True)
    assert svg.count("<circle") == 4
    assert svg.count('class="beyond base"') == svg.count(BELOW) == 3
    (line,) = re.findall(r'class="line base" d="([^"]+)"', svg)
    assert [piece.count("L") for piece in line.split("M")[1:]] == [1, 1]
    assert BELOW not in drawn(1.0, 0.1, logarithmic=True)
    assert BELOW not in drawn(0.0, -0.1)
    assert 'class="lone base"' in drawn(1.0, 0.0, 0.5, logarithmic=True)


def test_the_axis_begins_near_the_figures():
    assert y_ticks(drawn(0.9, 1.0, 1.1))[0] == "0.9"
    assert y_ticks(drawn(0.1, 1.0))[0] == "0"
    assert float(y_ticks(drawn(-0.2, 1.0))[0]) <= -0.2
    assert y_ticks(drawn(0.00002, 0.2, logarithmic=True))[0] == "10⁻⁵"


def test_no_interval_reaches_over_the_axis():
    series = Series("base", "b", (Point(0.0, 1.0, 0.5, 30.0), Point(1.0, 1.0, 0.5, 3.0)))
    for logarithmic in (False, True):
        svg = line_chart("t", [series], "x", "y", logarithmic=logarithmic)
        assert float(y_ticks(svg)[-1]) >= 30


def test_a_label_cannot_write_markup():
    svg = line_chart("<b>", [Series("base", "<i>", (Point(1.0, 1.0, 1.0, 1.0),))], "<x>", "<y>")
    assert not re.search("<[bixy]>", svg)
