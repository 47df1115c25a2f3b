"""Which prompts are decoded together: behind as many prefixes as fit into the token budget. Pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bakery.engine.distill.prefix import group_by_prefix
from bakery.engine.distill.samplers.sampler import SamplingPrompt, SamplingSettings

Row = tuple[int, int]
"""A prompt's index, and which of its answers."""


@dataclass(frozen=True)
class Part:
    """Prompts (indices) of a batch and the tokens they all begin with, which are computed once."""

    shared: tuple[int, ...]
    prompts: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """What is decoded together; each prompt's answers are rows beside each other."""

    parts: tuple[Part, ...]

    def rows(self, per_prompt: int) -> list[Row]:
        """Who the rows are, in their order."""
        return [(prompt, number) for part in self.parts for prompt in part.prompts for number in range(per_prompt)]


def behind_prefixes(
    prompts: Sequence[SamplingPrompt], settings: SamplingSettings, mine: frozenset[int], token_budget: int
) -> Iterator[Batch]:
    """Batches of prompts, those that share a prefix beside each other.

    A batch takes the memory of its longest row for each of its rows, and that of all its prefixes but one: together at
    most `token_budget` tokens, unless a single prompt takes more.
    """
    ids = [prompt.ids for prompt in prompts]
    parts: dict[tuple[int, ...], list[int]] = {}
    widest = 0
    for group in group_by_prefix(ids, [prompt.prefix_key for prompt in prompts], [len(own) - 1 for own in ids]):
        for prompt in sorted(mine.intersection(group.rows), key=lambda row: (len(ids[row]), row)):
            widest = max(widest, len(ids[prompt]) - len(group.ids) + settings.longest)
            count = sum(map(len, parts.values())) + 1
            prefixes = [len(shared) for shared in {*parts, group.ids}]
            if parts and count * settings.per_prompt * widest + sum(prefixes) - max(prefixes) > token_budget:
                yield _batch(parts)
                parts, widest = {}, len(ids[prompt]) - len(group.ids) + settings.longest
            parts.setdefault(group.ids, []).append(prompt)
    if parts:
        yield _batch(parts)


def of_one_length(
    prompts: Sequence[SamplingPrompt], settings: SamplingSettings, mine: frozenset[int], token_budget: int
) -> Iterator[Batch]:
    """For models that allow no shortcut: prompts of one length together, so that still nothing is padded."""
    by_length: dict[int, list[int]] = {}
    for prompt in sorted(mine):
        by_length.setdefault(len(prompts[prompt].ids), []).append(prompt)
    for length, members in by_length.items():
        size = max(1, token_budget // ((length + settings.longest) * settings.per_prompt))
        for start in range(0, len(members), size):
            yield _batch({(): members[start : start + size]})


def _batch(parts: dict[tuple[int, ...], list[int]]) -> Batch:
    return Batch(tuple(Part(shared, tuple(members)) for shared, members in parts.items()))
