"""Charts: every point within the frame, more is higher, labels are text."""

import re

import pytest

from bakery.report.charts import Point, Series, line_chart


def test_a_chart_holds_its_points_within_its_frame():
    points = tuple(Point(float(x), y, y / 2, y * 2) for x, y in enumerate((5.0, 0.3, 0.0, 1e-9, 40.0)))
    for logarithmic in (False, True):
        svg = line_chart("t", [Series("base", "b", points)], "x", "y", logarithmic=logarithmic)
        points_drawn = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', svg)]
        assert len(points_drawn) == len(points)
        assert all(50 <= x <= 480 and 10 <= y <= 240 for x, y in points_drawn)
        assert "nan" not in svg
    heights = [y for _, y in points_drawn]
    assert heights[4] < heights[0] < heights[1] < heights[3], "more is higher"
    with pytest.raises(ValueError, match="no point"):
        line_chart("t", [], "x", "y")
    assert "<svg" in line_chart("one", [Series("base", "b", (Point(1.0, 0.0, 0.0, 0.0),))], "x", "y", logarithmic=True)


def test_a_label_cannot_write_markup():
    drawn = line_chart("<b>", [Series("base", "<i>", (Point(1.0, 1.0, 1.0, 1.0),))], "<x>", "<y>")
    assert not re.search("<[bixy]>", drawn)
