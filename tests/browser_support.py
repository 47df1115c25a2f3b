"""What the tests of pages share: headless Chromium, what it measures on a phone, and its pictures as rows of pixels."""

import shutil
import struct
import subprocess
import zlib
from html import escape
from pathlib import Path

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

_MEASURE = """<body><iframe id="f" style="width:390px;height:900px;border:0" srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = (event) => {
  const page = event.target.contentDocument, all = [...page.body.querySelectorAll("*")];
  const box = (element) => element.getBoundingClientRect();
  const wide = all.filter((e) => box(e).right > 390 || box(e).left < 0);
  const within = (b, o) => b.left > o.left - 1 && b.right < o.right + 1 && b.top > o.top - 1 && b.bottom < o.bottom + 1;
  const cut = all.filter((e) => e.ownerSVGElement ? box(e).width && !within(box(e), box(e.ownerSVGElement))
    : e.clientWidth && e.scrollWidth > e.clientWidth + 1);
  const seen = "thead th + th, td, tbody th, .legend span, figcaption span, h2, .views h3";
  const hidden = [...page.querySelectorAll(seen)].filter((e) => e.textContent && !box(e).width);
  const names = (elements) => elements.map((e) => e.outerHTML.slice(0, 80)).join(" ") || "none";
  document.body.textContent = "width: " + page.documentElement.scrollWidth +
    ", too wide: " + names(wide) + ", cut off: " + names(cut) + ", hidden: " + names(hidden) + ".";
};</script>"""


def on_a_phone(html: str, tmp_path: Path) -> str:
    """Which elements of a page, shown 390 pixels wide, reach out of the window, are cut off or hidden."""
    source = tmp_path / "frame.html"
    source.write_text(_MEASURE.replace("{page}", escape(html)), encoding="utf-8")
    shown = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", source.as_uri()).stdout
    return shown.partition("<body>")[2].partition("</body>")[0]


ALL_IN_SIGHT = "width: 390, too wide: none, cut off: none, hidden: none."


def chromium(tmp_path, *words: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
         "--v=0", f"--user-data-dir={tmp_path / 'profile'}", *words],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done


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
