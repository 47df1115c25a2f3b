"""Fields: a type annotation, a default and a help text are read from the dataclass that declares them."""

from dataclasses import dataclass, fields
from typing import Literal

import pytest

from bakery.settings.fields import dataclass_fields, read_annotation, setting


@pytest.mark.parametrize(
    ("text", "kinds", "items", "choices"),
    [
        ("int", {"int"}, set(), ()),
        ("Optional[str]", {"str", "null"}, set(), ()),
        ("typing.Union[dict, str, None]", {"mapping", "str", "null"}, set(), ()),
        ("list[str] | None", {"list", "null"}, {"str"}, ()),
        ("Kind | str", {"str"}, set(), ("a", "b")),
        ("Literal['x', False]", {"str", "bool"}, set(), ("x",)),
        ("str | list[Kind]", {"str", "list"}, {"str"}, ()),
    ],
)
def test_annotations_are_understood(text, kinds, items, choices):
    assert read_annotation(text, {"Kind": ("a", "b")}) == (kinds, items, choices)


@dataclass
class Example:
    number: "int | None" = setting(None, "A number.", 3)
    words: "list[str]" = setting(["a"], "Some words.", aliases=("--terms",))
    kind: "Literal['plain', 'fancy']" = setting("plain", "A kind.")


def test_a_declared_setting_is_read_as_a_field():
    number, words, kind = dataclass_fields(Example, "examples")
    assert (number.kinds, number.default, number.example, number.help) == ({"int", "null"}, None, 3, "A number.")
    assert (words.items, words.default, words.aliases, words.group) == ({"str"}, ["a"], ("terms",), "examples")
    assert kind.choices == ("plain", "fancy")


def test_the_allowed_values_are_told_in_words():
    allowed = [item.allowed for item in dataclass_fields(Example, "examples")]
    assert allowed == ["a whole number or null", "a list of texts", "plain | fancy"]


def test_instances_do_not_share_a_list():
    one, other = Example(), Example()
    one.words.append("b")
    assert other.words == ["a"]


def test_the_metadata_is_what_hf_argument_parser_takes():
    assert {key for item in fields(Example) for key in item.metadata} == {"help", "aliases"}
