"""JSON schemas: every keyword passes and fails; no schema is half checked; nothing is looked up elsewhere."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.errors import ConfigError
from bakery.scoring.json_schema import conforms, schema_problem


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 3.0, 3.5),
        ({"type": "number"}, 1, True),
        ({"type": ["string", "null"]}, None, 1),
        ({"enum": [1, "a"]}, "a", "b"),
        ({"const": True}, True, 1),
        ({"required": ["a"]}, {"a": 1}, {}),
        ({"properties": {"a": {"type": "string"}}}, {"b": 1}, {"a": 1}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "string"}}, {"a": "x"}, {"a": 1}),
        ({"minProperties": 1, "maxProperties": 2}, {"a": 1}, {}),
        ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, ["a"], ["a", 1]),
        ({"minLength": 2, "maxLength": 3}, "ab", "abcd"),
        ({"pattern": "^a"}, "ab", "ba"),
        ({"minimum": 1, "maximum": 2}, 2, 3),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5, 2),
        ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 5, 4),
    ],
)
def test_every_keyword_passes_and_fails(schema, good, bad):
    assert schema_problem(schema) is None
    assert conforms(good, schema)
    assert not conforms(bad, schema)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers()))
def test_an_unknown_keyword_anywhere_is_refused(inner):
    schema = {"properties": {"x": {"items": {"anyOf": [{"exactly": inner}]}}}}
    assert "unknown keyword 'exactly'" in schema_problem(schema)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(-9, 9) | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_the_empty_schema_takes_everything(value):
    assert conforms(json.loads(json.dumps(value)), {})


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (5, "json_schema: cannot be 5"),
        ({"type": "text"}, "json_schema.type: cannot be 'text'"),
        ({"minLength": True}, "json_schema.minLength: cannot be True"),
        ({"properties": {"a": {"pattern": "("}}}, "json_schema.properties.a.pattern: cannot be '('"),
        ({"additionalProperties": {"exactly": 1}}, "json_schema.additionalProperties: unknown keyword 'exactly'"),
        ({"$ref": "https://example.org/schema"}, "json_schema: unknown keyword '$ref'"),
        ({"items": {"$schema": "draft"}}, "json_schema.items: unknown keyword '$schema'"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_location_of_the_keyword(schema, says):
    assert schema_problem(schema).startswith(says)


@pytest.mark.parametrize("draft", ["https://json-schema.org/draft/2020-12/schema", "anything"])
def test_the_draft_may_be_named_and_changes_nothing(draft):
    schema = {"$schema": draft, "items": {"pattern": r"\p{Lu}"}}
    assert schema_problem(schema) is None
    assert conforms(["Ä"], schema)
    assert not conforms(["ä"], schema)


@pytest.mark.parametrize("schema", [{"const": [1]}, {"enum": [[1]]}, {"type": "integer"}])
def test_true_is_not_one(schema):
    assert conforms([1] if "type" not in schema else 1, schema)
    assert not conforms([True] if "type" not in schema else True, schema)


def test_a_pattern_of_a_schema_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr("bakery.scoring.answers.REGEX_SECONDS", 0.05)
    with pytest.raises(ConfigError, match="make it simpler"):
        conforms({"a": "a" * 60 + "b"}, {"properties": {"a": {"pattern": r"(a|a)*$"}}})
