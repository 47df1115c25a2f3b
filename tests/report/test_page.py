"""report.html: one file that needs nothing else, says what it should, and renders in a real browser."""

import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.engine.distill.conditions import BAKED, BASE
from bakery.evaluation.evaluator import CONDITIONS, Reply
from bakery.evaluation.proof import AnsweredQuestion, Example
from bakery.report.page import page
from bakery.rows.conversations import ScoredQuestion
from tests.engine_support import tiny_model
from tests.proof_support import proof_of, proof_rows

EVIL = '<script>alert("x")</script> & <img src=x onerror=y>'
CURVE = [{"step": n, "loss": 1 / n, "eval_loss": 2 / n} for n in range(1, 20)]
SWEEP = [{"strength": s, "divergence": 1 - s / 2, "drift": s / 10} for s in (0.0, 0.5, 1.0)]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def proof(tmp_path_factory):
    rows = proof_rows([{"name": EVIL, "max_words": 30}])
    return proof_of(tmp_path_factory.mktemp("proof"), tiny_model(trained=True), rows=rows)


@pytest.fixture(scope="module")
def html(proof):
    return page(proof, "A baked context", "about", curve=CURVE, sweep=SWEEP, usage="print(1 < 2)", break_even=7)


def test_the_page_needs_no_network_and_runs_nothing(html):
    assert not re.search(r"(?:src|href)=\"(?!data:)", html)
    assert not re.search(r"url\(|@import|<script|https?:", html)
    assert "default-src 'none'" in html


def test_whatever_a_model_or_a_user_writes_is_text(proof):
    reply = Reply(EVIL, (1, 2), True)
    said = dict.fromkeys(CONDITIONS, reply)
    question = ScoredQuestion(({"role": "user", "content": EVIL},), (EVIL,), "row")
    tokens = {BASE: ((EVIL, 3.0), ("", 0.5))}
    example = Example(AnsweredQuestion(question, said, None), tokens)
    html = page(replace(proof, examples=(example,)), EVIL, EVIL, usage=EVIL)
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_every_token_is_there_in_its_colour(proof):
    reply = Reply("Ahoy!", (1, 2, 3), True)
    tokens = (("Ahoy", 3.0), ("!", 0.05), ("", 0.0))
    question = ScoredQuestion(({"role": "user", "content": "?"},), (), "row")
    example = Example(AnsweredQuestion(question, dict.fromkeys(CONDITIONS, reply), None), {BAKED: tokens})
    html = page(replace(proof, examples=(example,)), "t", "a")
    assert '<span class="t t4" title="3 nats">Ahoy</span><span class="t t1" title="0.05 nats">!</span>' in html
    assert "■" in html


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (500, False), (900, True)])
def test_the_page_renders_in_a_real_browser(html, tmp_path, width, dark):
    source, picture = tmp_path / "report.html", tmp_path / "page.png"
    source.write_text(html, encoding="utf-8")
    look = ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
         "--v=0", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1600", f"--screenshot={picture}",
         *look, source.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, "the page has console messages"
    size, rows = read_png(picture)
    assert size == (width, 1600)
    paper = rows[2][:3]
    assert (sum(paper) < 200) == dark, "the page follows the reader's colour scheme"
    drawn = sum(any(row[i : i + 3] != paper for i in range(0, len(row), 3 * 7)) for row in rows)
    assert drawn > 500, "the page is almost empty"


def read_png(path: Path) -> tuple[tuple[int, int], list[bytes]]:
    """Size and rows of an 8-bit RGB picture, as chromium writes them."""
    content = path.read_bytes()
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    channels = {2: 3, 6: 4}[colour]
    assert depth == 8
    packed, at = b"", 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            packed += content[at + 8 : at + 8 + length]
        at += length + 12
    raw, stride = zlib.decompress(packed), width * channels
    rows, above = [], bytearray(stride)
    for number in range(height):
        start = number * (stride + 1)
        row = unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, channels)
        rows.append(bytes(row) if channels == 3 else b"".join(bytes(row[i : i + 3]) for i in range(0, stride, 4)))
        above = row
    return (width, height), rows


def unfilter(kind: int, row: bytearray, above: bytearray, channels: int) -> bytearray:
    """Undo one of PNG's five filters."""
    for i in range(len(row)):
        left, up = row[i - channels] if i >= channels else 0, above[i]
        corner = above[i - channels] if i >= channels else 0
        if kind == 4:
            guess = left + up - corner
            best = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
        else:
            best = (0, left, up, (left + up) // 2)[kind]
        row[i] = (row[i] + best) & 255
    return row
