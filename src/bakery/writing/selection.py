"""Which of the written messages are taken: no duplicates, no echoes of the prompt, spread over what they ask.

Texts are compared as words: runs of letters and digits, whatever their case; punctuation counts for nothing.

near duplicates   the resemblance of their words and pairs of adjacent words, |A & B| / |A | B|, is at least 0.8
                  (shingles: Broder, "On the resemblance and containment of documents", 1997)
spread            greedy choice by the sum over words and pairs of sqrt(how often it has been chosen): a feature-based
                  submodular function, for which the greedy choice is within 1 - 1/e of the best (Nemhauser et al. 1978;
                  Lin and Bilmes, "A class of submodular functions for document summarization", 2011)
"""

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

_RESEMBLANCE = 0.8
_ECHO_WORDS = 12
_MOST_CHARACTERS = 2000
_LEAST_VARIED = 0.25
_ABOUT_CLAUSES = 0.75
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"'”’)\]])\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"\w+")

Shingle = tuple[str, ...]


def words(text: str) -> list[str]:
    """The words of a text: runs of letters and digits, in lower case."""
    return _WORD.findall(text.casefold())


def shingles(text: str) -> frozenset[Shingle]:
    """Words and pairs of adjacent words."""
    said = words(text)
    return frozenset([(word,) for word in said] + list(pairwise(said)))


class Written:
    """Texts that no other may come close to; it grows with every text that is taken.

    Two sets with a resemblance of r share at least one of the first (1 - r) |A| + 1 elements of either in one order for
    all, so only those are looked up (prefix filtering: Chaudhuri, Ganti and Kaushik 2006).
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._by_shingle: dict[Shingle, list[frozenset[Shingle]]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> bool:
        """Take a text in, unless one like it has been taken before; tell whether it was."""
        own = shingles(text)
        if not own or self._has(own):
            return False
        for shingle in _rarest(own):
            self._by_shingle.setdefault(shingle, []).append(own)
        return True

    def __contains__(self, text: str) -> bool:
        return self._has(shingles(text))

    def _has(self, own: frozenset[Shingle]) -> bool:
        candidates = (other for shingle in _rarest(own) for other in self._by_shingle.get(shingle, ()))
        return any(len(own & other) >= _RESEMBLANCE * len(own | other) for other in candidates)


def _rarest(own: frozenset[Shingle]) -> list[Shingle]:
    """The first elements in one order for all sets: long ones first, as they are rarer than short ones."""
    ordered = sorted(own, key=lambda shingle: (-sum(map(len, shingle)), shingle))
    return ordered[: len(own) - math.ceil(_RESEMBLANCE * len(own)) + 1]


def is_usable(text: str, context: str) -> bool:
    """Whether a message could be one that a person sends to a model with this context."""
    return not is_broken(text) and not is_echo(text, context)


def is_broken(text: str) -> bool:
    """Whether a message cannot be what a person would send: no words, endless, or the same words over and over."""
    said = words(text)
    if not said or len(text) > _MOST_CHARACTERS:
        return True
    return len(said) >= _ECHO_WORDS and len(set(said)) < _LEAST_VARIED * len(said)


def is_echo(text: str, context: str) -> bool:
    """Whether a message repeats what the context says: all of it as a statement, or a long run of its words."""
    said, around = words(text), f" {' '.join(words(context))} "
    if not text.rstrip().endswith(("?", "？")) and len(said) > 3 and f" {' '.join(said)} " in around:
        return True
    runs = (said[start : start + _ECHO_WORDS] for start in range(len(said) - _ECHO_WORDS + 1))
    return any(f" {' '.join(run)} " in around for run in runs)


def clauses(text: str, most: int) -> list[str]:
    """The sentences and lines of a text, in order; where there are more than `most`, neighbours are taken together."""
    parts = [part.strip() for part in _SENTENCE_ENDS.split(text) if part and words(part)]
    size = math.ceil(len(parts) / most) if parts else 1
    return [" ".join(parts[start : start + size]) for start in range(0, len(parts), size)]


def spread(texts: Sequence[str], count: int, worth: Sequence[float] | None = None) -> list[str]:
    """At most `count` of the texts, chosen one by one for the words that have been chosen least so far.

    A text's gain is divided by the square root of its size, so that long ones are not preferred for being long, and
    multiplied by its worth.
    """
    features = [shingles(text) for text in texts]
    worth = worth or [1.0] * len(texts)
    chosen: Counter[Shingle] = Counter()
    taken: list[str] = []
    # Gains only shrink: who is still the best when computed anew is the best of all (lazy greedy, Minoux 1978).
    waiting = [(-worth[at] * _gain(own, chosen), at) for at, own in enumerate(features)]
    heapq.heapify(waiting)
    while waiting and len(taken) < count:
        _, at = heapq.heappop(waiting)
        entry = (-worth[at] * _gain(features[at], chosen), at)
        if waiting and entry > waiting[0]:
            heapq.heappush(waiting, entry)
            continue
        chosen.update(features[at])
        taken.append(texts[at])
    return taken


def _gain(features: frozenset[Shingle], chosen: Counter[Shingle]) -> float:
    gains = (math.sqrt(chosen[feature] + 1) - math.sqrt(chosen[feature]) for feature in features)
    return sum(gains) / math.sqrt(len(features) or 1)


def covering(texts: Sequence[str], parts: Sequence[str], count: int) -> list[str]:
    """At most `count` of the texts: up to three quarters about the clauses, as many about each; the others spread.

    A text is about the clause that it touches most, and counts the more, the more of the clause's own words it has.
    """
    about = _touching(texts, parts)
    each = _quota(parts, count)
    taken: list[str] = []
    for clause in range(len(parts)):
        own = [(text, share) for text, (touched, share) in about.items() if touched == clause]
        taken += spread([text for text, _ in own], each, [share for _, share in own])
    others = [text for text in texts if text not in set(taken)]
    return taken[:count] + spread(others, count - len(taken))


def uncovered(texts: Sequence[str], parts: Sequence[str], count: int) -> dict[int, int]:
    """The clauses that `covering` would choose more texts about, and how many more."""
    touched = Counter(clause for clause, _ in _touching(texts, parts).values())
    return {clause: short for clause in range(len(parts)) if (short := _quota(parts, count) - touched[clause]) > 0}


def _quota(parts: Sequence[str], count: int) -> int:
    return math.ceil(_ABOUT_CLAUSES * count / len(parts)) if parts else 0


def _touching(texts: Iterable[str], parts: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Of each text that touches a clause: which it touches most, and the share of that clause's words that it has.

    Words count by how few clauses have them, log(clauses / clauses with the word) (Sparck Jones 1972), so that those
    of all clauses count nothing.
    """
    said = [frozenset(words(part)) for part in parts]
    having = Counter(word for own in said for word in own)
    weights = {word: math.log(len(parts) / number) for word, number in having.items()}
    by_word: dict[str, list[int]] = {}
    for clause, own in enumerate(said):
        for word in own:
            by_word.setdefault(word, []).append(clause)
    totals = [sum(weights[word] for word in own) for own in said]
    touching: dict[str, tuple[int, float]] = {}
    for text in texts:
        shared: Counter[int] = Counter()
        for word in set(words(text)):
            for clause in by_word.get(word, ()) if weights.get(word) else ():
                shared[clause] += weights[word]  # type: ignore[assignment]
        if shared:
            best = max(shared, key=lambda clause: (shared[clause] / totals[clause], -clause))
            touching[text] = best, shared[best] / totals[best]
    return touching


def untouched(context: str, texts: Iterable[str], most: int = 1000) -> list[str]:
    """Clauses of a context with a name or a number that stands in none of the texts, and in no other clause.

    Only words with a digit, or with a capital letter inside a sentence, are looked for: rules of style say what
    answers look like, and not what is asked.
    """
    parts = clauses(context, most)
    named = [{word.casefold() for word in _WORD.findall(part) if _is_name(word, part)} for part in parts]
    seen = {word for text in texts for word in words(text)}
    counts = Counter(word for names in named for word in names)
    return [
        part
        for part, names in zip(parts, named, strict=True)
        if (own := {word for word in names if counts[word] == 1}) and not own & seen
    ]


def _is_name(word: str, sentence: str) -> bool:
    return any(character.isdigit() for character in word) or (word[0].isupper() and not sentence.startswith(word))
