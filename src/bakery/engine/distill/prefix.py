"""Prefixes that rows share: recognised by their token ids, their keys and values computed once and cached.

What is shared is the longest run of first tokens that rows have in common: that needs no knowledge of templates, and
causal attention makes it exact.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import nn

from bakery.engine.attention.packed import KeyValues
from bakery.engine.distill.forward import prefix_key_values
from bakery.progress import NO_PROGRESS, Progress, ProgressCallback

_WORTH_SHARING = 8
"""Fewer shared tokens than this are recomputed: merging two attentions costs more."""


@dataclass(frozen=True)
class PrefixGroup:
    """Rows (indices) that begin with the same tokens `ids` and are to be run behind one copy of them."""

    ids: tuple[int, ...]
    rows: tuple[int, ...]


def group_by_prefix(
    sequences: Sequence[Sequence[int]], keys: Sequence[str], limits: Sequence[int]
) -> list[PrefixGroup]:
    """Groups of rows with the same key and the tokens they share.

    Args:
        sequences: token ids of every row.
        keys: rows of one key are meant to share (the same prefix messages).
        limits: for every row how many of its first tokens may be shared at most; at least one token must stay its own.
    """
    members: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        members.setdefault(key, []).append(row)
    groups = []
    for rows in members.values():
        # The smallest and the largest sequence differ as early as any two do.
        ordered = sorted(tuple(sequences[row]) for row in rows)
        shared = min(_common_length(ordered[0], ordered[-1]), *(limits[row] for row in rows))
        if len(rows) == 1 or shared < _WORTH_SHARING:
            shared = 0
        groups.append(PrefixGroup(tuple(sequences[rows[0]][:shared]), tuple(rows)))
    return groups


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    different = (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    return next(different, min(len(first), len(second)))


class PrefixCache:
    """Keys and values of prefixes, least recently used ones dropped beyond `limit_bytes`.

    Valid while the model's weights and the state of its adapter stay as they are. A prefix that a longer one begins
    with is served from that one.
    """

    def __init__(self, model: nn.Module, limit_bytes: int = 2**32, progress: Progress | None = None) -> None:
        self._model, self.progress = model, progress
        self._limit = limit_bytes
        self._cached: OrderedDict[tuple[int, ...], KeyValues] = OrderedDict()

    def get(self, ids: tuple[int, ...]) -> KeyValues | None:
        """The prefix's keys and values; none for an empty prefix."""
        if not ids:
            return None
        for cached in self._cached:
            if cached[: len(ids)] == ids:  # causality: the first keys and values do not depend on later ones
                self._cached.move_to_end(cached)
                return self._cached[cached].first(len(ids))
        with self._stage(len(ids)) as on_progress:
            computed = self._cached[ids] = prefix_key_values(self._model, ids, on_progress)
        while len(self._cached) > 1 and sum(cached.bytes for cached in self._cached.values()) > self._limit:
            self._cached.popitem(last=False)
        return computed

    def _stage(self, tokens: int) -> AbstractContextManager[ProgressCallback]:
        if self.progress is None:
            return nullcontext(NO_PROGRESS)
        return self.progress.stage("prefix", "reading the prefix", tokens, "tokens")

    def shrink(self, limit_bytes: int = 2**28) -> None:
        """Let go of everything, unless it takes so little memory that reading it again is dearer."""
        if sum(cached.bytes for cached in self._cached.values()) > limit_bytes:
            self._cached.clear()
