"""YAML and JSON: what is written is read back unchanged, what is not plain and strict is refused with its line."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.settings.documents import dump_yaml, parse_json, parse_yaml
from tests.settings.support import refusal

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(plain, st.booleans())
def test_whatever_is_written_is_read_back_unchanged(value, flow):
    assert parse_yaml(f"a: {dump_yaml(value, flow=True)}" if flow else dump_yaml({"a": value}), "x").value == {
        "a": value
    }


@given(st.text(alphabet=string.printable + "é🦜\x00\x85", max_size=80), st.booleans())
def test_no_text_breaks_the_readers(text, as_json):
    problem = refusal(lambda: (parse_json if as_json else parse_yaml)(text, "name"))
    assert problem.startswith("name") or not problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    "text", ['{"a": {"b": [1]},\n\n "c" : 2,\n"d": "}"}', "\n{\n}", ' {"a":\n1}', '{\t"a"\t:\t1 ,\r\n"b":2}']
)
def test_the_line_of_every_key_of_a_json_document_is_known(text):
    document = parse_json(text, "x")
    assert document.value == json.loads(text)
    assert document.lines == {key: text[: text.index(f'"{key}"')].count("\n") + 1 for key in document.value}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ('{"a": [{"b": 1, "b": 2}]}', "duplicate key 'b'"),
        ("[NaN]", "NaN is not a number in JSON"),
        ("[1e999]", "the number 1e999 is too large"),
        (f"[{'9' * 5000}]", "5000 digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": \n}', "x line 2: invalid JSON"),
    ],
)
def test_what_is_not_strict_json_is_refused(text, says):
    assert says in refusal(lambda: parse_json(text, "x"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2", "x line 2: duplicate key 'a', first on line 1"),
        ("a: &b 1", "anchors"),
        ("a: !!python/name:os.system 1", "tags"),
        ("a: " + "[" * 60 + "]" * 60, "nested deeper than 40 levels"),
        ("{[a]: 1}", "a key must be a plain word"),
        (f"a: {'9' * 5000}", "cannot be read as YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text, says):
    assert says in refusal(lambda: parse_yaml(text, "x"))


def test_a_scalar_is_what_yaml_1_2_says():
    text = "[0o17, 0x1F, 012, 1_000, 1e3, .inf, yes, NO, true, ~, 2024-01-01, 1:30]"
    assert parse_yaml(text, "x").value == [
        15, 31, 12, "1_000", 1000.0, float("inf"), "yes", "NO", True, None, "2024-01-01", "1:30",
    ]  # fmt: skip
