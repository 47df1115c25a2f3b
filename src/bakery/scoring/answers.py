"""Whether a reply is right: one small function for each way to check. Torch-free.

exact            the reply is one of the answers (white space around either does not count)
contains         one of the answers occurs in the reply
regex            one of the answers, a regular expression, matches somewhere in the reply
json             the reply is JSON and equals one of the answers as JSON; spaces and the order of keys do not count
callable:NAME    the installed function NAME of the entry-point group `bakery.checks` says so:
                 check(reply: str, question: str, answers: tuple[str, ...]) -> bool
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import regex

from bakery.errors import ConfigError
from bakery.text import describe, excerpt

REGEX_SECONDS = 1.0
GROUP = "bakery.checks"
CALLABLE = "callable:"
CHECKS = ("exact", "contains", "regex", "json")

Check = Callable[[str, str, tuple[str, ...]], bool]


def is_right(reply: str, question: str, answers: Sequence[str], check: str | None = None) -> bool:
    """Whether a reply is one of the answers, as `check` means it (exact without one).

    An empty answer is never right by containing nothing: the rows' reader refuses it.

    Raises:
        ConfigError: an entry point is not installed, or a pattern takes longer than `REGEX_SECONDS`.
    """
    if check is not None and check.startswith(CALLABLE):
        return bool(entry_point(check.removeprefix(CALLABLE))(reply, question, tuple(answers)))
    return any(_COMPARISONS[check or "exact"](reply.strip(), answer.strip()) for answer in answers if answer.strip())


def check_problem(check: Any, answers: Sequence[str]) -> str | None:
    """What is wrong with a check and its answers, in words; None when it can be used."""
    if not isinstance(check, str) or (check not in CHECKS and not check.startswith(CALLABLE)):
        return f"must be {' | '.join(CHECKS)} | {CALLABLE}NAME, got {describe(check)}"
    for answer in answers:
        if check == "regex" and (problem := pattern_problem(answer)):
            return problem
        if check == "json" and parse_json(answer) is NOT_JSON:
            return f"the answer {answer!r} is not JSON; correct it, or use exact"
    return None


def pattern_problem(pattern: str) -> str | None:
    """Why a regular expression cannot be used; None when it can."""
    try:
        regex.compile(pattern)
    except regex.error as error:
        return f"not a regular expression: {excerpt(pattern)!r}: {error}; correct it"
    return None


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression matches somewhere in a text.

    Raises:
        ConfigError: the search takes longer than `REGEX_SECONDS`.
    """
    try:
        return bool(regex.search(pattern, text, timeout=REGEX_SECONDS))
    except TimeoutError:
        raise ConfigError(
            f"the pattern {excerpt(pattern)!r} takes more than {REGEX_SECONDS:g} s on one reply; make it simpler"
        ) from None


def full_matches(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a regular expression matches as a whole.

    Raises:
        ConfigError: it is none, or takes longer than `REGEX_SECONDS` in all.
    """
    if problem := pattern_problem(pattern):
        raise ConfigError(problem)
    matched, end = [], time.monotonic() + REGEX_SECONDS
    for name in names:
        try:
            if regex.fullmatch(pattern, name, timeout=max(end - time.monotonic(), 0.001)):
                matched.append(name)
        except TimeoutError:
            shown = excerpt(pattern)
            raise ConfigError(f"the pattern {shown!r} takes more than {REGEX_SECONDS:g} s; make it simpler") from None
    return matched


NOT_JSON = object()
"""What `parse_json` gives for text that is not JSON (null is JSON)."""


def parse_json(text: str) -> Any:
    """The value a JSON text stands for, or `NOT_JSON`; NaN and infinities are not JSON."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return NOT_JSON


@cache
def entry_point(name: str) -> Check:
    """The installed check function of this name.

    Raises:
        ConfigError: there is none, or more than one.
    """
    offers = entry_points(group=GROUP, name=name)
    if len(offers) != 1:
        installed = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        raise ConfigError(
            f"{CALLABLE}{name}: {len(offers)} installed packages offer it in the entry-point group {GROUP} "
            f"(there: {installed}); install exactly one"
        )
    check: Check = next(iter(offers)).load()
    return check


def _same_json(reply: str, answer: str) -> bool:
    """Whether two JSON texts stand for the same value; true is not 1, although Python says so."""
    value = parse_json(reply)
    return value is not NOT_JSON and bool(_typed(value) == _typed(parse_json(answer)))


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return (isinstance(value, bool), value)


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda reply, answer: reply == answer,
    "contains": lambda reply, answer: answer in reply,
    "regex": lambda reply, answer: matches(answer, reply),
    "json": _same_json,
}
