"""Every page is one file that loads nothing, and every colour on it can be read, in each scheme and on paper."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from bakery.html_page import html_page

STYLE = files("bakery").joinpath("page.css").read_text("utf-8")
SCHEMES = ("light", "dark", "print")
SURFACES = ("paper", "card")
COLOURED = ("color", "background", "fill", "stroke")
NO_COLOUR = ("none", "transparent", "inherit")


def test_the_page_is_whole_and_its_title_is_text():
    html = html_page("<b>", "<p>words</p>")
    assert html.startswith("<!doctype html>")
    assert "<title>&lt;b&gt;</title>" in html
    assert "<p>words</p>" in html
    assert "default-src 'none'" in html
    assert not re.search(r"url\(|@import|<script|https?:", html)


def test_every_colour_is_a_variable_that_every_scheme_sets():
    for selector, declarations in rules(STYLE):
        for name in COLOURED:
            value = declarations.get(name, "none")
            assert value in NO_COLOUR or re.fullmatch(r"var\(--\w+\)", value), f"{selector}: {name}: {value}"
    assert len({frozenset(colours(STYLE, scheme)) for scheme in SCHEMES}) == 1


def test_every_variable_is_compared():
    compared = {name for pair in pairs(STYLE) for name in pair}
    assert compared == set(colours(STYLE, "light")) - {"line"}, "only lines that separate carry no meaning"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_colour_is_readable(scheme):
    assert not too_faint(colours(STYLE, scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("name", "like"), [("soft", "line"), ("baked", "line"), ("harmful", "line"), ("heat4", "soft")]
)
def test_one_faint_colour_is_noticed(scheme, name, like):
    values = colours(STYLE, scheme)
    assert too_faint({**values, name: values[like]})


def too_faint(values: dict[str, str]) -> list[str]:
    """The pairs with less contrast than WCAG 2 asks of text, 4.5 to 1."""
    ratios = {pair: contrast(*(values[name] for name in pair)) for pair in pairs(STYLE)}
    return [f"{one} on {other}: {ratio:.2f}" for (one, other), ratio in ratios.items() if ratio < 4.5]


def pairs(style: str) -> Iterator[tuple[str, str]]:
    """Names of the colours that are seen on each other: texts, lines of charts and swatches on what lies behind."""
    texts = {selector: variable(declarations.get("color")) for selector, declarations in rules(style)}
    for selector, declarations in rules(style):
        back = variable(declarations.get("background"))
        fronts = {variable(declarations.get(name)) for name in ("color", "fill", "stroke")} - {None, "line"}
        stem = re.match(r"\.?[a-z]+|", selector)
        inherited = texts.get(stem[0]) if stem else None
        if back in SURFACES:
            yield from ((front, back) for front in fronts or {"ink"})
        elif back and (fronts or inherited):
            yield from ((front, back) for front in fronts or {inherited})
        else:
            yield from ((front, surface) for front in fronts | {back} - {None} for surface in SURFACES)


def rules(style: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Selector and declarations of every rule, those in @media too, without the variables."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    for selector, block in re.findall(r"([^{};]+)\{([^{}]*)\}", style):
        if selector.strip() != ":root":
            parts = (part.split(":", 1) for part in block.split(";") if ":" in part)
            yield selector.strip(), {name.strip(): value.strip() for name, value in parts}


def variable(value: str | None) -> str | None:
    match = re.fullmatch(r"var\(--(\w+)\)", value or "")
    return match[1] if match else None


def colours(style: str, scheme: str) -> dict[str, str]:
    roots = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return dict(re.findall(r"--(\w+): (#\w+);", roots[SCHEMES.index(scheme)]))


def contrast(one: str, other: str) -> float:
    """The ratio of relative luminances of WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
