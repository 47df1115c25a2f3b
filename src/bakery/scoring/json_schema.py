"""A small JSON-schema validator: the keywords people write for answers; an unknown one is an error, not ignored.

Named after the 2020-12 draft. A word outside `KEYWORDS` is refused, so that no schema is ever half checked.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bakery.scoring.answers import found, pattern_problem, same_json

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and isinstance(value, int | float) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}

_NUMBER, _COUNT = TYPES["number"], TYPES["integer"]
KEYWORDS: dict[str, Callable[[Any], bool]] = {
    "type": lambda word: bool(_list(word)) and all(name in TYPES for name in _list(word)),
    "enum": lambda word: isinstance(word, list) and bool(word),
    "const": lambda _: True,
    "properties": lambda word: isinstance(word, dict),
    "required": lambda word: isinstance(word, list) and all(isinstance(name, str) for name in word),
    "additionalProperties": lambda word: isinstance(word, bool | dict),
    "minProperties": _COUNT,
    "maxProperties": _COUNT,
    "items": lambda word: isinstance(word, dict),
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "pattern": lambda word: isinstance(word, str) and pattern_problem(word) is None,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "exclusiveMinimum": _NUMBER,
    "exclusiveMaximum": _NUMBER,
    "anyOf": lambda word: isinstance(word, list) and bool(word),
    "title": lambda _: True,
    "description": lambda _: True,
    "$schema": lambda _: True,
}


def schema_problem(schema: Any, place: str = "json_schema") -> str | None:
    """What is wrong with a schema, in words; None when every word of it is understood."""
    if not isinstance(schema, Mapping):
        return f"{place}: must be a mapping, got {schema!r}"
    for word, value in schema.items():
        if word not in KEYWORDS:
            return f"{place}: unknown keyword {word!r}; allowed are {', '.join(KEYWORDS)}"
        if not KEYWORDS[word](value):
            return f"{place}: {word}: cannot be {value!r}"
    inner = [(f"{place}.{name}", part) for name, part in schema.get("properties", {}).items()]
    inner += [(f"{place}.{word}", schema[word]) for word in ("items", "additionalProperties")
              if isinstance(schema.get(word), dict)]  # fmt: skip
    inner += [(f"{place}.anyOf", part) for part in schema.get("anyOf", ())]
    return next((problem for where, part in inner if (problem := schema_problem(part, where))), None)


def conforms(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a JSON value is as its schema (one without `schema_problem`) says."""
    return _general(value, schema) and _object(value, schema) and _array(value, schema) and _scalar(value, schema)


def _general(value: Any, schema: Mapping[str, Any]) -> bool:
    if "type" in schema and not any(TYPES[name](value) for name in _list(schema["type"])):
        return False
    if "enum" in schema and not any(same_json(value, one) for one in schema["enum"]):
        return False
    if "const" in schema and not same_json(value, schema["const"]):
        return False
    return "anyOf" not in schema or any(conforms(value, part) for part in schema["anyOf"])


def _object(value: Any, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    if not _between(len(value), schema, "minProperties", "maxProperties"):
        return False
    if any(name not in value for name in schema.get("required", ())):
        return False
    for name, item in value.items():
        part = known.get(name, others)
        if part is False or (isinstance(part, dict) and not conforms(item, part)):
            return False
    return True


def _array(value: Any, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, list):
        return True
    if not _between(len(value), schema, "minItems", "maxItems"):
        return False
    return all(conforms(item, schema.get("items", {})) for item in value)


def _scalar(value: Any, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        fits = _between(len(value), schema, "minLength", "maxLength")
        return fits and ("pattern" not in schema or found(schema["pattern"], value))
    if _NUMBER(value):
        above = "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]
        below = "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]
        return above and below and _between(value, schema, "minimum", "maximum")
    return True


def _between(value: float, schema: Mapping[str, Any], low: str, high: str) -> bool:
    return bool(schema.get(low, value) <= value <= schema.get(high, value))


def _list(word: Any) -> list[Any]:
    return word if isinstance(word, list) else [word]
