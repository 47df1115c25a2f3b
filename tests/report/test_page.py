"""report.html: one file that needs nothing else, says what it should, and renders in a real browser."""

import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path

import pytest

from bakery.engine.distill.conditions import BAKED, BASE
from bakery.evaluation.evaluator import CONDITIONS, Reply
from bakery.evaluation.proof import AnsweredQuestion, Example
from bakery.report.page import page
from bakery.report.summary import PayOff
from bakery.rows.questions import ScoredQuestion
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


def test_every_token_is_there_in_its_colour(proof):
    reply = Reply("Ahoy!", (1, 2, 3), True)
    tokens = (("Ahoy", 3.0), ("!", 0.05), ("", 0.0))
    question = ScoredQuestion(({"role": "user", "content": "?"},), (), "row")
    example = Example(AnsweredQuestion(question, dict.fromkeys(CONDITIONS, reply), None), {BAKED: tokens})
    html = page(replace(proof, examples=(example,)), "t", "a")
    assert '<span class="t t4" title="3 nats">Ahoy</span><span class="t t1" title="0.05 nats">!</span>' in html
    assert "■" in html


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_colour_is_readable(scheme):
    """Texts and swatches against what lies behind them: 4.5:1, as WCAG 2 asks of text."""
    style = files("bakery.report").joinpath("page.css").read_text("utf-8")
    light, dark, printed = (dict(re.findall(r"--(\w+): ([^;]+);", root))
                            for root in re.findall(r":root \{(.*?)\}", style, re.DOTALL))  # fmt: skip
    colours = {"light": light, "dark": dark, "print": light | printed}[scheme]
    backgrounds = [rgb(colours[name]) for name in ("paper", "card")]
    for name in ("ink", "soft", "good", "warning", "base", "prompted", "baked", "both"):
        for background in backgrounds:
            assert contrast(rgb(colours[name]), background) >= 4.5, name
    heat = [float(part) for part in colours["heat"].split()]
    alphas = [float(alpha) for alpha in re.findall(r"\.t\d \{ background: rgb\(var\(--heat\) / ([\d.]+)", style)]
    assert len(alphas) == 4
    for alpha in alphas:
        for background in backgrounds:
            swatch = [alpha * hot + (1 - alpha) * cold for hot, cold in zip(heat, background, strict=True)]
            assert contrast(rgb(colours["ink"]), swatch) >= 4.5, alpha


def rgb(colour: str) -> list[float]:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    return [float(int(digits[at : at + 2], 16)) for at in (0, 2, 4)]


def contrast(one: list[float], other: list[float]) -> float:
    """The ratio of relative luminances of WCAG 2."""

    def luminance(colour: list[float]) -> float:
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def chromium(tmp_path, *words: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
         "--v=0", f"--user-data-dir={tmp_path / 'profile'}", *words],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

MEASURE = """<body><iframe id="f" style="width:390px;height:900px;border:0" srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = (event) => {
  const page = event.target.contentDocument;
  const box = (element) => element.getBoundingClientRect();
  const wide = [...page.querySelectorAll("*")].filter((e) => !e.closest("pre") && box(e).right > 390);
  const hidden = [...page.querySelectorAll("thead th + th, .legend .t, figcaption .key")].filter((e) => !box(e).width);
  document.body.textContent = "too wide: " + wide.length + ", hidden: " + hidden.length;
};</script>"""


@needs_chromium
def test_nothing_is_cut_off_on_a_phone(html, tmp_path):
    source = tmp_path / "frame.html"
    source.write_text(MEASURE.replace("{page}", escape(html)), encoding="utf-8")
    shown = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", source.as_uri()).stdout
    assert "too wide: 0, hidden: 0" in shown, shown[-500:]


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
