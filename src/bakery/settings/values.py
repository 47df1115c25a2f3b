"""A value against the field it is for: types, choices and sizes; and the words of a command line read as values."""

import math
from typing import Any

from bakery.errors import ConfigError
from bakery.settings.documents import parse_inline
from bakery.settings.fields import Field, Kinds
from bakery.text import describe, excerpt, nearest

_TOO_LARGE = 2**63


def check_value(value: Any, item: Field, location: str) -> Any:
    """Return `value` as `item` holds it: 1e3 for a whole number becomes 1000.

    Raises:
        ConfigError: it is of a wrong type, not one of the choices, or not a finite number of 64 bits.
    """
    here = f"{location}: {item.name}: must be"
    if value is None and "null" in item.kinds:
        return None
    converted = _convert(value, item.kinds)
    if converted is None:
        raise ConfigError(f"{here} {item.allowed}, got {describe(value)}{_remedy(value, item)}")
    if item.choices and isinstance(converted, str) and converted not in item.choices:
        near = nearest(converted, item.choices)
        raise ConfigError(f"{here} {item.allowed}, got {describe(value)}" + (f"; did you mean {near}?" if near else ""))
    if not (isinstance(converted, list) and item.items):
        return converted
    parts = [_convert(part, item.items) for part in converted]
    if None in parts:
        wrong = parts.index(None)
        got = f"{describe(value[wrong])} as item {wrong + 1}{_remedy(value[wrong], item)}"
        raise ConfigError(f"{here} {item.allowed}, got {got}")
    return parts


def _remedy(value: Any, item: Field) -> str:
    if isinstance(value, int | float):
        quotes = "; put it in quotes" if "str" in item.kinds | item.items else ""
        return quotes if _is_finite(value) else "; give a finite number that 64 bits can hold"
    if item.choices or not item.kinds & {"int", "float", "bool"} or not isinstance(value, str):
        return ""
    quoted = value.lower() in ("true", "false") or value.replace(".", "", 1).lstrip("-").isdigit()
    return "; write it without quotes" if quoted else ""


def _is_finite(value: float) -> bool:
    return abs(value) < _TOO_LARGE if isinstance(value, int) else math.isfinite(value)


def _convert(value: Any, kinds: Kinds) -> Any:
    """The value as one of these kinds holds it; None where none can."""
    if "any" in kinds and value is not None:
        return value
    if isinstance(value, bool):
        return value if "bool" in kinds else None
    if isinstance(value, int | float):
        if not _is_finite(value):
            return None
        if "int" in kinds and value == int(value):
            return int(value)
        return float(value) if "float" in kinds else None
    types = (("str", str), ("list", list), ("mapping", dict))
    return value if any(kind in kinds and isinstance(value, python) for kind, python in types) else None


def from_words(words: list[str], item: Field, location: str) -> Any:
    """The value that the words behind an option of the command line stand for, not yet checked.

    Raises:
        ConfigError: there are none, or several for one value, or inline YAML is malformed.
    """
    if not words:
        if "bool" in item.kinds:
            return True
        raise ConfigError(f"{location}: has no value; allowed is {item.allowed}")
    if len(words) == 1:
        value = _from_word(words[0], item.kinds, location)
        if "list" not in item.kinds or "str" in item.kinds or not isinstance(value, str):
            return value
    if "list" not in item.kinds:
        got = f"{len(words)}: {excerpt(' '.join(words))}"
        raise ConfigError(f"{location}: takes one value, got {got}; quote it if it has spaces")
    return [_from_word(word, item.items, location) for word in words]


def _from_word(word: str, kinds: Kinds, location: str) -> Any:
    """One word as what these kinds can hold: YAML where that gives such a value, text where it does not."""
    inline = (word.startswith("[") and "list" in kinds) or (word.startswith("{") and bool(kinds & {"mapping", "any"}))
    try:
        value = parse_inline(word, location)
    except ConfigError:
        if inline or not kinds & {"str", "any", "list"}:
            raise
        return word
    if value is None:
        return None if "null" in kinds else word
    number = isinstance(value, int | float) and kinds & {"int", "float"}
    return value if inline or number or _convert(value, kinds - {"str", "any"}) is not None else word
