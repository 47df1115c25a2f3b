"""The words of a document, and whether a message is about it: told by rare words that both have, in any language."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bakery.writing.selection import words

_RARE = 0.25
"""A word in at most this share of the sentences, or in one alone, says which of them a message is about."""
_TOGETHER = 0.8
"""A question about what the document says has such a share of its words from one sentence of it."""
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n]\W*)(\w+)")
_NAME = re.compile(r"\b(?:[^\W\d_]*\d\w*|[A-ZÀ-ÖØ-ÞА-Я]\w+)")


class Vocabulary:
    """The words of a document.

    Args:
        sentences: all of it.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        said = [frozenset(words(sentence)) for sentence in sentences]
        counts = Counter(word for own in said for word in own)
        self._known = frozenset(counts)
        self._rare = frozenset(word for word, count in counts.items() if count <= max(1, _RARE * len(sentences)))
        self._weights = {word: math.log(len(sentences) / count) for word, count in counts.items()}
        self._sentences: dict[str, list[int]] = {}
        for at, own in enumerate(said):
            for word in own:
                self._sentences.setdefault(word, []).append(at)

    def is_about(self, text: str) -> bool:
        """Whether a message has a word that is rare in the document, so that it says what it is about."""
        return not self._rare.isdisjoint(words(text))

    def knows_the_names(self, text: str) -> bool:
        """Whether all numbers and capitalised words of a message, but for those that begin a sentence, are known."""
        starts = {match.start(1) for match in _SENTENCE_START.finditer(text)}
        names = (match.group() for match in _NAME.finditer(text) if match.start() not in starts)
        return self._known.issuperset(word for name in names for word in words(name))

    def is_about_one_sentence(self, text: str) -> bool:
        """Whether the words that a message has from the document stand, by their weight, together in one sentence.

        A word counts the more, the fewer sentences have it, and nothing where all have it.
        """
        shared = self._known.intersection(words(text))
        together: Counter[int] = Counter()
        for word in sorted(shared):
            for at in self._sentences[word]:
                together[at] += self._weights[word]  # type: ignore[assignment]
        everywhere = sum(self._weights[word] for word in sorted(shared))
        return everywhere > 0 and max(together.values()) >= _TOGETHER * everywhere

    def best_first(self, texts: Iterable[str]) -> list[list[str]]:
        """Messages about the document: those that one sentence answers and that name nothing else, then the others."""
        about = [text for text in texts if self.is_about(text)]
        best = [self.is_about_one_sentence(text) and self.knows_the_names(text) for text in about]
        return [[text for text, good in zip(about, best, strict=True) if good == first] for first in (True, False)]
