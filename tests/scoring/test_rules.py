"""Rules: each kind can hold and be broken; what is not understood is refused."""

import pytest

from bakery.errors import ConfigError
from bakery.scoring.rules import parse_rules

SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string", "minLength": 1}}}
KINDS = [
    ({"regex": "^Ahoy!"}, "Ahoy! Yes.", "Yes. Ahoy!"),
    ({"must_contain": "sea"}, "by the sea", "by the lake"),
    ({"must_not_contain": "sorry"}, "no", "I am sorry"),
    ({"max_words": 3}, "one two three", "one two three four"),
    ({"json": True}, '{"a": 1}', "{'a': 1}"),
    ({"json_schema": SCHEMA}, '{"answer": "x"}', '{"answer": ""}'),
]


@pytest.mark.parametrize(("check", "good", "bad"), KINDS, ids=[next(iter(kind[0])) for kind in KINDS])
def test_a_rule_holds_and_can_be_broken(check, good, bad):
    (rule,) = parse_rules([{"name": "clause", **check}])
    assert rule.holds(good, "?")
    assert not rule.holds(bad, "?")


def test_when_limits_a_rule_to_its_questions():
    (rule,) = parse_rules([{"name": "prices", "must_contain": "cannot say", "when": "(?i)price|cost"}])
    assert rule.applies("What is the PRICE?")
    assert not rule.applies("Who are you?")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["be nice"], "rule 1: must be a mapping"),
        ([{"regex": "a"}], "rule 1: has no name"),
        ([{"name": "a"}], "needs exactly one check, got none"),
        ([{"name": "a", "regex": "a", "max_words": 3}], "needs exactly one check, got regex and max_words"),
        ([{"name": "a", "regx": "a"}], "unknown key 'regx'; did you mean regex?"),
        ([{"name": "a", "regex": "("}], "not a regular expression"),
        ([{"name": "a", "max_words": 0}], "must be a whole number above 0, got 0"),
        ([{"name": "a", "max_words": True}], "must be a whole number"),
        ([{"name": "a", "json": False}], "must be true"),
        ([{"name": "a", "must_contain": ""}], "must be a text"),
        ([{"name": "a", "regex": "a", "when": "["}], "when: must be a regular expression"),
        ([{"name": "a", "regex": "a"}, {"name": "a", "regex": "b"}], "two rules are named 'a'"),
        ([{"name": "a", "json_schema": {"typ": "object"}}], "unknown keyword 'typ'"),
        ([{"name": "a", "json_schema": {"type": "text"}}], "type: cannot be 'text'"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rules, says):
    with pytest.raises(ConfigError) as refused:
        parse_rules(rules, "bake.yaml line 3: rules")
    assert says in str(refused.value)
    assert str(refused.value).startswith("bake.yaml line 3: rules: ") or "two rules" in str(refused.value)
    assert "\n" not in str(refused.value)
