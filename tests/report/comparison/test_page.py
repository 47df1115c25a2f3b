"""compare.html: one file that needs nothing else, with every answer side by side, readable on a phone."""

import re
from dataclasses import replace

import pytest

from bakery.engine.distill.conditions import PROMPTED
from bakery.evaluation.evaluator import Reply
from bakery.evaluation.measured_adapters import MeasuredAdapters
from bakery.report.comparison.page import comparison_page
from bakery.rows.questions import ScoredQuestion
from tests.browser_support import ALL_IN_SIGHT, chromium, needs_chromium, on_a_phone, read_png
from tests.comparison_support import FIRST, closed, drifted, made_result, names, right

EVIL = '<script>alert("x")</script> & <img src=x onerror=y>'
RIGHTS = ([True] * 40, [True] * 38 + [False] * 2, [False] * 40)


@pytest.fixture(scope="module")
def result():
    figures = [closed(0.9, 0.93, 0.2), right(*RIGHTS), drifted(0.1, 0.2, 0.3)]
    return made_result(*RIGHTS, figures=figures, adapters=[{}, {"trained_on": frozenset(names(3))}])


@pytest.fixture(scope="module")
def html(result):
    return comparison_page(result)


def test_the_page_needs_no_network_and_runs_nothing(html):
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|<script|https?:", html)
    assert "default-src 'none'" in html


def test_it_says_what_the_comparison_says_and_shows_all_answers(html):
    for text in (
        "B closes 3.0 points more of the gap",
        "C closes 70.0 points less",
        "B was trained on 3 of the 40",
    ):
        assert text in html
    assert "On the 37 questions that none is known to have been trained on" in html
    assert html.count('<div class="example">') == 40
    assert html.count("trained on by B") == 3
    assert "Against the prompted model" in html


def test_right_wrong_and_equal_answers_are_marked(html):
    last = html.rpartition('<div class="example">')[2]
    assert last.count('class="right"') + last.count('class="wrong"') == 5
    base, prompted, first, second, third = re.findall(r"<h4>(.*?)</h4><p class=\"(\w+)\">", last)
    assert (base, prompted) == (("base", "wrong"), ("prompted", "right"))
    assert first == ("A <small>= prompted</small>", "right")
    assert third == ("C", "wrong")
    assert second[0].startswith("B")


def test_whatever_a_model_or_a_user_writes_is_text(result):
    (answered, *_) = result.measured.questions["heldout"]
    question = ScoredQuestion(({"role": "user", "content": EVIL},), (EVIL,), "row")
    replies = {**answered.replies, FIRST: Reply(EVIL, (5,), False), PROMPTED: Reply(EVIL, (5,), True)}
    evil = replace(answered, question=question, replies=replies)
    adapters = tuple(replace(one, label=EVIL) for one in result.adapters)
    figures = (right(*RIGHTS), replace(right(*RIGHTS), name="rule", about=EVIL))
    measured = MeasuredAdapters({"heldout": (evil,)}, figures)
    html = comparison_page(replace(result, measured=measured, adapters=adapters, base_model=EVIL))
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 8
    assert "(cut off)" in html


@needs_chromium
@pytest.mark.parametrize("count", [2, 3])
def test_nothing_is_cut_off_on_a_phone(result, count, tmp_path):
    few = replace(result, adapters=result.adapters[:count])
    assert on_a_phone(comparison_page(few), tmp_path) == ALL_IN_SIGHT


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (500, True)])
def test_the_page_renders_in_a_real_browser(html, tmp_path, width, dark):
    source, picture = tmp_path / "compare.html", tmp_path / "page.png"
    source.write_text(html, encoding="utf-8")
    look = ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = chromium(tmp_path, f"--window-size={width},1600", f"--screenshot={picture}", *look, source.as_uri())
    assert "CONSOLE" not in done.stderr, "the page has console messages"
    _, rows = read_png(picture)
    paper = rows[2][:3]
    assert (sum(paper) < 200) == dark
    drawn = sum(any(row[i : i + 3] != paper for i in range(0, len(row), 3 * 7)) for row in rows)
    assert drawn > 500, "the page is almost empty"
