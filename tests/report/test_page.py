"""report.html: one file that needs nothing else, says what it should, and renders in a real browser."""

import re
from dataclasses import replace

import pytest

from bakery.engine.distill.conditions import BAKED, BASE
from bakery.evaluation.evaluator import CONDITIONS, Reply
from bakery.evaluation.proof import AnsweredQuestion, Example
from bakery.report.page import page
from bakery.report.summary import PayOff
from bakery.rows.questions import ScoredQuestion
from tests.browser_support import ALL_IN_SIGHT, chromium, needs_chromium, on_a_phone, read_png
from tests.engine_support import tiny_model
from tests.proof_support import proof_of, proof_rows

EVIL = '<script>alert("x")</script> & <img src=x onerror=y>'
CURVE = [{"step": n, "loss": 1 / n, "eval_loss": 2 / n} for n in range(1, 20)]
SWEEP = [{"strength": s, "divergence": 1 - s / 2, "drift": s / 10} for s in (0.0, 0.5, 1.0)]


@pytest.fixture(scope="module")
def proof(tmp_path_factory):
    rows = proof_rows([{"name": EVIL, "max_words": 30}, {"name": "a_name_without_a_space" * 5, "max_words": 30}])
    return proof_of(tmp_path_factory.mktemp("proof"), tiny_model(trained=True), rows=rows)


@pytest.fixture(scope="module")
def html(proof):
    return page(proof, "A baked context", "about", curve=CURVE, sweep=SWEEP, usage="print(1 < 2)", pay_off=PayOff(7))


def test_the_page_needs_no_network_and_runs_nothing(html):
    assert not re.search(r"(?:src|href)=\"(?!data:)", html)
    assert not re.search(r"url\(|@import|<script|https?:", html)
    assert "default-src 'none'" in html


def test_whatever_a_model_or_a_user_writes_is_text(proof):
    reply = Reply(EVIL, (1, 2), True)
    replies = dict.fromkeys(CONDITIONS, reply)
    question = ScoredQuestion(({"role": "user", "content": EVIL},), (EVIL,), "row")
    tokens = {BASE: ((EVIL, 3.0), ("", 0.5))}
    example = Example(AnsweredQuestion(question, replies, None), tokens)
    html = page(replace(proof, examples=(example,)), EVIL, EVIL, usage=EVIL)
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_every_chart_names_the_rows_it_is_measured_on(html):
    for title in ("along the answer, held-out questions", "from the prompted model, held-out questions"):
        assert title in html
    assert {"training rows", "validation rows", "from the base, neutral prompts"} <= set(re.findall("[^<>]+", html))


def test_every_token_is_there_in_its_colour(proof):
    reply = Reply("Ahoy!", (1, 2, 3), True)
    tokens = (("Ahoy", 3.0), ("!", 0.05), ("", 0.0))
    question = ScoredQuestion(({"role": "user", "content": "?"},), (), "row")
    example = Example(AnsweredQuestion(question, dict.fromkeys(CONDITIONS, reply), None), {BAKED: tokens})
    html = page(replace(proof, examples=(example,)), "t", "a")
    assert '<span class="t t4" title="3 nats">Ahoy</span><span class="t t1" title="0.05 nats">!</span>' in html
    assert "■" in html


@needs_chromium
def test_nothing_is_cut_off_on_a_phone(html, tmp_path):
    assert on_a_phone(html, tmp_path) == ALL_IN_SIGHT


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (500, False), (900, True)])
def test_the_page_renders_in_a_real_browser(html, tmp_path, width, dark):
    source, picture = tmp_path / "report.html", tmp_path / "page.png"
    source.write_text(html, encoding="utf-8")
    look = ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = chromium(tmp_path, f"--window-size={width},1600", f"--screenshot={picture}", *look, source.as_uri())
    assert "CONSOLE" not in done.stderr, "the page has console messages"
    size, rows = read_png(picture)
    assert size == (width, 1600)
    paper = rows[2][:3]
    assert (sum(paper) < 200) == dark, "the page follows the reader's colour scheme"
    drawn = sum(any(row[i : i + 3] != paper for i in range(0, len(row), 3 * 7)) for row in rows)
    assert drawn > 500, "the page is almost empty"
