"""llms.txt lists every page of the documentation and nothing else that is not there; so does the site's navigation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "llms.txt").read_text("utf-8")
LISTED = re.findall(r"^- \[([^\]]+)\]\(([^)]+)\): (.+)$", TEXT, flags=re.MULTILINE)
PAGES = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")}


def pages_of(value: Any) -> Iterator[str]:
    """The pages within the navigation of the site."""
    if isinstance(value, str):
        yield f"docs/{value}"
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from pages_of(item)


def test_it_has_the_form_that_readers_expect():
    assert TEXT.startswith("# Bakery\n\n> ")
    assert len(LISTED) == len([line for line in TEXT.splitlines() if line.startswith("- ")])
    assert re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE) == ["Use", "Understand", "Change", "Optional"]


def test_what_is_listed_exists_and_every_page_is_listed_once_with_a_sentence():
    names = [path for _, path, _ in LISTED]
    assert [name for name in names if not (ROOT / name).is_file()] == []
    assert set(names) >= PAGES
    assert len(set(names)) == len(names)
    assert all(name == path and len(about) > 20 for name, path, about in LISTED)


def test_the_site_has_every_page_once():
    shown = list(pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert sorted(shown) == sorted(PAGES)


def test_the_exit_codes_are_those_of_the_readme():
    for code, word in (
        (2, "settings"),
        (3, "rows"),
        (4, "model"),
        (5, "memory"),
        (7, "fail_under"),
        (130, "interrupted"),
    ):
        assert re.search(rf"\b{code} [^,]*{word}|\b{code} below `{word}`", TEXT), code
