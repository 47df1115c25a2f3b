"""Which tokens are targets: from the characters of a message to positions, and what a pattern leaves of them."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regex

from bakery.chat.encoding import Tokens
from bakery.errors import ConfigError, ViewError
from bakery.text import excerpt

PATTERN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of a target turn: learned from `start` to `stop`, its own content from `content` to `end`."""

    start: int
    content: int
    end: int
    stop: int


class Pattern:
    """A regular expression of the user's, searched within a time limit.

    Args:
        name: the setting it comes from, for error messages.
        text: the expression.

    Raises:
        ConfigError: it does not compile.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        try:
            self._compiled = regex.compile(text)
        except regex.error as error:
            raise ConfigError(f"{name}: {text!r} is not a regular expression: {error}") from None

    def matches(self, content: str) -> bool:
        """Whether the expression is found anywhere in `content`.

        Raises:
            ViewError: the search takes too long.
        """
        return bool(self._timed(lambda: self._compiled.search(content, timeout=PATTERN_SECONDS), content))

    def ranges(self, content: str) -> list[tuple[int, int]]:
        """The characters of every match, or of its first group if there is one; empty matches left out.

        Raises:
            ViewError: the search takes too long.
        """
        group = 1 if self._compiled.groups else 0
        matches = self._timed(lambda: list(self._compiled.finditer(content, timeout=PATTERN_SECONDS)), content)
        return [(start, end) for start, end in (match.span(group) for match in matches) if start < end]

    def _timed(self, search: Callable[[], Any], content: str) -> Any:
        try:
            return search()
        except TimeoutError:
            raise ViewError(
                f"{self.name}: {self.text!r} takes more than {PATTERN_SECONDS:g} s on {excerpt(content, 40)!r}; "
                "simplify it"
            ) from None


def positions(text: str, tokens: Tokens, span: Span, pattern: Pattern | None = None) -> list[int]:
    """Sorted positions of the tokens of a span; of what `pattern` matches in its content only, where one is given.

    A match that reaches to the end of the content takes the end-of-turn token(s) with it.

    Raises:
        ViewError: a match begins or ends within a token, or nothing matches.
    """
    starts = [a for a, _ in tokens.offsets]
    chosen = list(range(bisect_left(starts, span.start), bisect_left(starts, span.stop)))
    if pattern is not None:
        chosen = _matching(text, tokens, chosen, span, pattern)
    return [tokens.skipped + i for i in chosen]


def behind_thinking(targets: list[int], tokens: Tokens, span: Span) -> list[int]:
    """Of these positions those whose tokens do not end before the span's own content begins."""
    return [at for at in targets if tokens.offsets[at - tokens.skipped][1] > span.content]


def _matching(text: str, tokens: Tokens, within: list[int], span: Span, pattern: Pattern) -> list[int]:
    """Of the tokens `within` a span, those of the pattern's matches, but for white space at a match's edges."""
    content = text[span.content : span.end]
    chosen: set[int] = set()
    for start, end in pattern.ranges(content):
        begin, stop = span.content + start, span.content + end
        if not content[end:].strip():
            stop = span.stop
        matched = [i for i in within if tokens.offsets[i][0] < stop and tokens.offsets[i][1] > begin]
        for a, b in (tokens.offsets[i] for i in (*matched[:1], *matched[-1:])):
            if text[a : max(a, begin)].strip() or text[min(b, stop) : b].strip():
                raise ViewError(
                    f"{pattern.name}: {pattern.text!r} matches a part of the token {text[a:b]!r} only; "
                    "let the match begin and end with whole words"
                )
        chosen.update(matched)
    if not chosen:
        raise ViewError(f"{pattern.name}: {pattern.text!r} matches nothing in {excerpt(content, 40)!r}")
    return sorted(chosen)
