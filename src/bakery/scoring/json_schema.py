"""JSON schemas of rules: validated by `jsonschema`; a keyword outside `KEYWORDS` is refused, so none is ignored."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bakery.scoring.answers import matches, pattern_problem
from bakery.text import excerpt

_SCHEMA = {"$ref": "#"}
_TYPE = {"enum": ["object", "array", "string", "number", "integer", "boolean", "null"]}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}

KEYWORDS: dict[str, Any] = {
    "type": {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1}]},
    "enum": {"type": "array", "minItems": 1},
    "const": True,
    "properties": {"type": "object", "additionalProperties": _SCHEMA},
    "required": {"type": "array", "items": {"type": "string"}},
    "additionalProperties": {"type": ["boolean", "object"], "if": {"type": "object"}, "then": _SCHEMA},
    "items": _SCHEMA,
    "anyOf": {"type": "array", "minItems": 1, "items": _SCHEMA},
    **dict.fromkeys(["minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"], _COUNT),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], _NUMBER),
    "pattern": {"type": "string", "format": "regex"},
    "title": True,
    "description": True,
}
"""What may follow each keyword, as a JSON schema of draft 2020-12."""

_SCHEMA_OF_SCHEMAS = {"type": "object", "properties": KEYWORDS, "additionalProperties": False}


def schema_problem(schema: Any) -> str | None:
    """What is wrong with a schema, in words; None when every keyword of it is understood."""
    if isinstance(schema, Mapping):
        schema = {keyword: value for keyword, value in schema.items() if keyword != "$schema"}
    error = next(_validator()(_SCHEMA_OF_SCHEMAS).iter_errors(schema), None)
    if error is None:
        return None
    location = ".".join(["json_schema", *map(str, error.absolute_path)])
    if error.validator == "additionalProperties":
        unknown = next(keyword for keyword in error.instance if keyword not in KEYWORDS)
        return f"{location}: unknown keyword {unknown!r}; allowed are {', '.join(KEYWORDS)}"
    return f"{location}: cannot be {excerpt(repr(error.instance))}"


def conforms(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a JSON value is as its schema (one without `schema_problem`) says.

    Raises:
        ConfigError: a pattern takes too long.
    """
    return bool(_validator()(schema).is_valid(value))


@cache
def _validator() -> Any:
    """The validator class of draft 2020-12, with the regular expressions and the time limit of `answers`."""
    from jsonschema import Draft202012Validator, ValidationError  # here, because the import takes 0.1 s
    from jsonschema.validators import extend

    def pattern(_: Any, expression: str, value: Any, schema: Any) -> Iterator[Exception]:
        if isinstance(value, str) and not matches(expression, value):
            yield ValidationError(f"does not match {expression!r}")

    def format_(_: Any, name: str, value: Any, schema: Any) -> Iterator[Exception]:
        if name == "regex" and isinstance(value, str) and pattern_problem(value):
            yield ValidationError("is not a regular expression")

    return extend(Draft202012Validator, {"pattern": pattern, "format": format_})
