"""Knowledge files, read as one text whose natural parts (a paper, an item of a list) are paragraphs.

text      any text file, Markdown among them; or a `.json` file with a text, or with an object that holds one as `text`
papers    a list of {title, abstract}
list      a list of texts
custom    any JSON, as it is
auto      text for a text file; of JSON whichever fits
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import DataError
from bakery.settings.documents import parse_json
from bakery.settings.files import read_text
from bakery.text import describe

_PAPER = ("title", "abstract")


def load_corpus(path: str, kind: str = "auto") -> str:
    """Read a knowledge file as one text; `kind` is one of those above.

    Raises:
        DataError: the file is missing, empty or malformed, or is not of that kind.
    """
    if_empty = "is empty, so there is nothing to bake; write the document"
    text = read_text(path, DataError, if_empty=if_empty)
    if not any(character.isalnum() for character in text):
        raise DataError(f"{path}: has no words, so there is nothing to bake; write the document")
    is_json = Path(path).suffix.lower() == ".json"
    if not is_json:
        if kind in ("auto", "text"):
            return text.strip()
        raise DataError(f"{path}: corpus_format: {kind} needs a .json file; for plain text use corpus_format: text")
    value = parse_json(text, path, DataError).value
    if not value:
        raise DataError(f"{path}: {if_empty}")
    return _as_text(value, _kind_of(value) if kind == "auto" else kind, path)


def _kind_of(value: Any) -> str:
    """What JSON looks like."""
    first = value[0] if isinstance(value, list) else value
    if isinstance(first, str):
        return "list" if isinstance(value, list) else "text"
    if isinstance(first, Mapping):
        if isinstance(value, list):
            return "papers" if any(key in first for key in _PAPER) else "custom"
        return "text" if isinstance(first.get("text"), str) else "custom"
    return "custom"


def _as_text(value: Any, kind: str, path: str) -> str:
    if kind in ("papers", "list"):
        if not isinstance(value, list) or not value:
            what = "{title, abstract}" if kind == "papers" else "texts"
            raise DataError(f"{path}: must be a list of {what}, got {describe(value)}; or choose another corpus_format")
        return "\n\n".join(_item(item, kind, f"{path} row {number}") for number, item in enumerate(value, 1))
    if kind == "text":
        content = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(content, str) or not content.strip():
            raise DataError(f"{path}: must hold a text, or an object with the key text, got {describe(value)}")
        return content.strip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def _item(value: Any, kind: str, location: str) -> str:
    if kind == "list":
        return _text(value, location)
    paper = value if isinstance(value, Mapping) else {}
    return "\n".join(_text(paper.get(key), f"{location}: {key}") for key in _PAPER)


def _text(value: Any, location: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{location}: must be a text, got {describe(value)}")
    return value.strip()
