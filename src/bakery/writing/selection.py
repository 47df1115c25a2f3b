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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_RESEMBLANCE = 0.8
_ECHO_WORDS = 12
_MOST_CHARACTERS = 2000
_LEAST_VARIED = 0.25
_ABOUT_CLAUSES = 0.75
_BESIDE, _NEAR = 1 / 3, 0.5
"""The share of the messages about a clause that touch less of it than `_NEAR`."""
_TOUCHES = 0.2
"""The least share of a clause's words, by weight, that a message about it touches."""
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
    return math.fsum(gains) / math.sqrt(len(features) or 1)


@dataclass(frozen=True)
class Asked:
    """A message with what the prompted model replies to it: both tell which clauses of the context it touches."""

    text: str
    reply: str = ""


def covering(asked: Sequence[Asked], parts: Sequence[str], count: int) -> list[str]:
    """At most `count` of the messages: up to three quarters about the clauses, as many about each; the others spread.

    A message is about the clause that it touches most, and counts the more, the more of the clause's words it touches.
    A third of those about a clause touch it in part only: they ask for the same of somebody else, or for something else
    of the same, and show where the clause does not apply.
    """
    about = touching(asked, parts)
    each = _quota(parts, count)
    taken: list[str] = []
    for clause in range(len(parts)):
        own = [(touch[1], one.text) for one, touch in zip(asked, about, strict=True) if touch and touch[0] == clause]
        near, beside = ([pair for pair in own if (pair[0] >= _NEAR) == wanted] for wanted in (True, False))
        some = min(len(beside), round(_BESIDE * each))
        for pairs, number in ((near, each - some), (beside, some)):
            taken += spread([text for _, text in pairs], number, [share for share, _ in pairs])
    others = [one.text for one in asked if one.text not in set(taken)]
    return taken[:count] + spread(others, count - len(taken))


def uncovered(asked: Sequence[Asked], parts: Sequence[str], count: int) -> dict[int, int]:
    """The clauses that `covering` would choose more messages about, and how many more."""
    touched = Counter(touch[0] for touch in touching(asked, parts) if touch)
    return {clause: short for clause in range(len(parts)) if (short := _quota(parts, count) - touched[clause]) > 0}


def _quota(parts: Sequence[str], count: int) -> int:
    return math.ceil(_ABOUT_CLAUSES * count / len(parts)) if parts else 0


def touching(asked: Sequence[Asked], parts: Sequence[str]) -> list[tuple[int, float] | None]:
    """Of each message: the clause that it touches most, and the share of that clause's words that it touches.

    A word counts by how few clauses and by how few messages with their replies have it, the product of both inverse
    frequencies (Sparck Jones 1972): what every reply has tells nothing.
    """
    clause_words = [frozenset(words(part)) for part in parts]
    said = [frozenset(words(f"{one.text} {one.reply}")) for one in asked]
    in_clauses, in_messages = (Counter(word for own in sets for word in own) for sets in (clause_words, said))
    weights = {
        word: math.log((len(parts) + 1) / number) * math.log((len(asked) + 2) / (in_messages[word] + 1))
        for word, number in in_clauses.items()
    }
    totals = [sum(weights[word] for word in own) for own in clause_words]
    having = [[clause for clause, own in enumerate(clause_words) if word in own] for word in weights]
    clauses_of = dict(zip(weights, having, strict=True))
    return [_most_touched(own & weights.keys(), weights, clauses_of, totals) for own in said]


def _most_touched(
    own: Iterable[str], weights: Mapping[str, float], clauses_of: Mapping[str, list[int]], totals: Sequence[float]
) -> tuple[int, float] | None:
    shares: dict[int, float] = {}
    for word in sorted(own):
        for clause in clauses_of[word]:
            shares[clause] = shares.get(clause, 0.0) + weights[word] / (totals[clause] or 1.0)
    best = max(shares, key=lambda clause: (shares[clause], -clause), default=None)
    return None if best is None or shares[best] < _TOUCHES else (best, shares[best])


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
