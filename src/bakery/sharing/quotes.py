"""Whether a text quotes a prompt, and the text without what it quotes. Torch-free."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.checks import PREFIX_KEYS
from bakery.settings.documents import read_document
from bakery.settings.relative_paths import INPUTS, SETTINGS_FILE

RUN = 5
"""As many words in a row that a prompt has too are a quotation."""
SHORTEST_SENTENCE = 3
"""A whole sentence of a prompt is one with fewer words already, down to these."""
LEFT_OUT = "[…]"
"""Stands for what was quoted."""
_ROW_PREFIX = "prefix_messages"
_TEXT_KEYS = (*PREFIX_KEYS, "system_prompt_template", "training_prompts", "anchor_prompts")
_SENTENCE = re.compile(r"[^.!?:;\n]+")
_WORD = re.compile(r"\w+")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Quotations:
    """What counts as a quotation of some texts.

    Args:
        runs: every `RUN` words that follow each other in one of them.
        sentences: their sentences of fewer words.
        literal: texts that are left out as they are.
    """

    runs: frozenset[Words]
    sentences: frozenset[Words]
    literal: Words = ()

    def without(self, text: str) -> str:
        """The text with `LEFT_OUT` for everything it quotes."""
        for literal in self.literal:
            text = text.replace(literal, LEFT_OUT)
        pieces, end = [], 0
        for start, stop in self._spans(text):
            pieces += [text[end:start], LEFT_OUT]
            end = stop
        return "".join((*pieces, text[end:]))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where quotations begin and end, in order; those that overlap are one."""
        matches = list(_WORD.finditer(text))
        words = tuple(match[0].casefold() for match in matches)
        lengths = {RUN, *map(len, self.sentences)}
        begin = end = -1
        for at in range(len(words)):
            longest = max((n for n in lengths if words[at : at + n] in (self.runs, self.sentences)[n < RUN]), default=0)
            if not longest:
                continue
            start, stop = matches[at].start(), matches[at + longest - 1].end()
            if start > end and end >= 0:
                yield begin, end
            begin, end = (start if start > end else begin), max(end, stop)
        if end >= 0:
            yield begin, end


def quotations(texts: Iterable[str], literal: Iterable[str] = ()) -> Quotations:
    """What counts as a quotation of the texts; `literal` is left out wherever it is written as it stands."""
    runs: set[Words] = set()
    sentences: set[Words] = set()
    for text in texts:
        words = _words(text)
        runs.update(words[at : at + RUN] for at in range(len(words) - RUN + 1))
        short = map(_words, _SENTENCE.findall(text))
        sentences.update(own for own in short if SHORTEST_SENTENCE <= len(own) < RUN)
    longest_first = sorted({text for text in literal if text}, key=len, reverse=True)
    return Quotations(frozenset(runs), frozenset(sentences), tuple(longest_first))


def prompt_texts(folder: Path) -> list[str]:
    """The texts of a run folder's prompt: of its settings, of the files it was given, and those that its rows bring.

    Raises:
        ConfigError: the settings of the folder cannot be read.
    """
    texts: list[str] = []
    if (settings := folder / SETTINGS_FILE).is_file():
        values = read_document(settings).value
        texts += [text for key in _TEXT_KEYS for text in _strings(values.get(key))] if isinstance(values, dict) else []
    for path in (path for path in (folder / INPUTS).rglob("*") if path.is_file() and path.stem in PREFIX_KEYS):
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
    for path in (*folder.glob("*.jsonl"), *(folder / INPUTS).rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            texts += _strings(_object(line).get(_ROW_PREFIX))
    return texts


def json_without(value: Any, quoted: Quotations) -> Any:
    """A JSON value whose texts quote nothing; keys stay."""
    if isinstance(value, str):
        return quoted.without(value)
    if isinstance(value, dict):
        return {key: json_without(item, quoted) for key, item in value.items()}
    return [json_without(item, quoted) for item in value] if isinstance(value, list) else value


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        ConfigError: it is no JSON, or no object.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    return value


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _words(text: str) -> Words:
    return tuple(word.casefold() for word in _WORD.findall(text))


def _strings(value: Any) -> Iterator[str]:
    """All texts within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)
