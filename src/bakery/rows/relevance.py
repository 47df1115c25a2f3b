"""Which chunk of a document a question is about, by the words they share: rare words count for more (tf-idf's idf)."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

_WORD = re.compile(r"\w+")
_CLEARLY = 0.5
"""A question leaves its own chunk for one that is ahead by this share of what a word of one chunk alone counts."""


class ChunkIndex:
    """Finds the chunk that a question is about.

    Args:
        chunks: the texts, at least one.
    """

    def __init__(self, chunks: Sequence[str]) -> None:
        self._features = [frozenset(_features(chunk)) for chunk in chunks]
        counts = Counter(feature for own in self._features for feature in own)
        self._weights = {feature: math.log(len(chunks) / count) for feature, count in counts.items()}
        self._holders: dict[tuple[str, ...], list[int]] = {}
        for at, own in enumerate(self._features):
            for feature in own:
                self._holders.setdefault(feature, []).append(at)

    def chunk_of(self, question: str, own: int | None = None) -> int | None:
        """The number of the chunk that shares most with a question.

        Args:
            question: its words.
            own: the chunk that it was written behind, which it keeps unless another one is clearly ahead; and what is
                returned where no chunk shares more than the others.
        """
        scores: Counter[int] = Counter()
        for feature in frozenset(_features(question)):
            for at in self._holders.get(feature, ()):
                scores[at] += self._weights[feature]  # type: ignore[assignment]
        best = max(scores, key=lambda at: (scores[at], -at), default=None)
        if best is None or not scores[best]:
            return own
        margin = _CLEARLY * math.log(len(self._features))
        return own if own is not None and scores[best] - scores[own] < margin else best


def _features(text: str) -> Iterable[tuple[str, ...]]:
    """Words and pairs of adjacent words."""
    words = _WORD.findall(text.casefold())
    return [*((word,) for word in words), *pairwise(words)]
