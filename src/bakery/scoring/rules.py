"""Rules: the clauses of a prompt, each with a check of its own, so that one sees which clause a bake has lost.

    rules:
      - {name: greets, regex: "^Ahoy!"}
      - {name: never apologises, must_not_contain: sorry}
      - {name: short, max_words: 30}
      - {name: refuses prices, must_contain: I cannot say, when: "(?i)price|cost"}

Every rule has a name and exactly one check; `when`, a regular expression, limits it to the questions that match it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakery.errors import ConfigError
from bakery.scoring.answers import NOT_JSON, entry_point, matches, parse_json, pattern_problem
from bakery.scoring.json_schema import conforms, schema_problem
from bakery.text import describe, excerpt, suggestion


@dataclass(frozen=True, slots=True)
class Rule:
    """One clause: what a reply must be like, and the questions it applies to (all without `when`)."""

    name: str
    check: str
    value: Any
    when: str | None = None

    def applies(self, question: str) -> bool:
        """Whether the clause is about this question.

        Raises:
            ConfigError: the pattern takes too long.
        """
        return self.when is None or matches(self.when, question)

    def holds(self, reply: str, question: str) -> bool:
        """Whether a reply keeps to it.

        Raises:
            ConfigError: an entry point is not installed, or a pattern takes too long.
        """
        return _CHECKS[self.check].holds(reply.strip(), self.value, question)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of check: what is wrong with its value, if anything, and when a reply passes."""

    problem: Callable[[Any], str | None]
    holds: Callable[[str, Any, str], bool]


def parse_rules(rules: Sequence[Any] | None, location: str = "rules") -> tuple[Rule, ...]:
    """Read the rules of the settings.

    Raises:
        ConfigError: a rule has no name, not exactly one check, an unknown key, or a value that cannot be used.
    """
    parsed = tuple(_rule(rule, f"{location}: rule {number}") for number, rule in enumerate(rules or (), 1))
    names = [rule.name for rule in parsed]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{location}: two rules are named {name!r}; give each a name of its own")
    return parsed


def _rule(rule: Any, location: str) -> Rule:
    if not isinstance(rule, Mapping):
        raise ConfigError(
            f"{location}: must be a mapping such as {{name: greets, regex: ^Hello}}, got {describe(rule)}"
        )
    known = ("name", "when", *_CHECKS)
    for key in rule:
        if key not in known:
            remedy = suggestion(str(key), known, f"allowed are {', '.join(known)}")
            raise ConfigError(f"{location}: unknown key {key!r}; {remedy}")
    name = rule.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{location}: has no name; write name: a few words for the table")
    chosen = [key for key in rule if key in _CHECKS]
    if len(chosen) != 1:
        got = " and ".join(chosen) or "none"
        raise ConfigError(f"{location} ({name}): needs exactly one check, got {got}; choose of {', '.join(_CHECKS)}")
    kind, value, when = _CHECKS[chosen[0]], rule[chosen[0]], rule.get("when")
    if problem := kind.problem(value):
        raise ConfigError(f"{location} ({name}): {chosen[0]}: {problem}")
    if when is not None and (not isinstance(when, str) or pattern_problem(when)):
        raise ConfigError(f"{location} ({name}): when: must be a regular expression, got {excerpt(repr(when))}")
    return Rule(name.strip(), chosen[0], value, when)


def _refusal(usable: bool, allowed: str, value: Any) -> str | None:
    return None if usable else f"must be {allowed}, got {excerpt(repr(value))}"


def _text_problem(value: Any) -> str | None:
    return _refusal(isinstance(value, str) and bool(value), "a text", value)


def _json_conforms(reply: str, schema: Any, question: str) -> bool:
    value = parse_json(reply)
    return value is not NOT_JSON and conforms(value, schema)


_CHECKS: dict[str, _Kind] = {
    "regex": _Kind(
        lambda value: _text_problem(value) or pattern_problem(value), lambda reply, value, _: matches(value, reply)
    ),
    "must_contain": _Kind(_text_problem, lambda reply, value, _: value in reply),
    "must_not_contain": _Kind(_text_problem, lambda reply, value, _: value not in reply),
    "max_words": _Kind(
        lambda value: _refusal(type(value) is int and value > 0, "a whole number above 0", value),
        lambda reply, value, _: len(reply.split()) <= value,
    ),
    "json": _Kind(
        lambda value: _refusal(value is True, "true", value), lambda reply, *_: parse_json(reply) is not NOT_JSON
    ),
    "json_schema": _Kind(schema_problem, _json_conforms),
    "callable": _Kind(_text_problem, lambda reply, value, question: bool(entry_point(value)(reply, question, ()))),
}
