"""The words of a document, and whether a message is about it: told by rare words that both have, in any language."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bakery.writing.selection import words

_RARE = 0.25
"""A word in at most this share of the sentences, or in one alone, says which of them a message is about."""
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n]\W*)(\w+)")
_NAME = re.compile(r"\b(?:[^\W\d_]*\d\w*|[A-ZÀ-ÖØ-ÞА-Я]\w+)")


class Vocabulary:
    """The words of a document.

    Args:
        sentences: all of it.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        counts = Counter(word for sentence in sentences for word in set(words(sentence)))
        self._known = frozenset(counts)
        self._rare = frozenset(word for word, count in counts.items() if count <= max(1, _RARE * len(sentences)))

    def is_about(self, text: str) -> bool:
        """Whether a message has a word that is rare in the document, so that it says what it is about."""
        return not self._rare.isdisjoint(words(text))

    def knows_the_names(self, text: str) -> bool:
        """Whether all numbers and capitalised words of a message, but for those that begin a sentence, are known."""
        starts = {found.start(1) for found in _SENTENCE_START.finditer(text)}
        names = (found.group() for found in _NAME.finditer(text) if found.start() not in starts)
        return self._known.issuperset(word for name in names for word in words(name))

    def best_first(self, texts: Iterable[str]) -> list[list[str]]:
        """Messages about the document: those that name nothing else, then those that do."""
        about = [text for text in texts if self.is_about(text)]
        return [[text for text in about if self.knows_the_names(text) == known] for known in (True, False)]
