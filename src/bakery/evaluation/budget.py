"""How much of a proof is measured: its rows in the order of what they are worth, for as long as the time allows.

    held-out questions, asked of all conditions      at least 16 of them: what a verdict needs
    rows under other prompts, for the drift          at least 16 of the first set
    what is left of both
    other sets of questions, answers shown token by token, rows of other topics, the teacher's noise

The unit is a reply: what the model takes to answer one question, measured on the first questions themselves.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bakery.engine.distill.conditions import BAKED, BASE, PROMPTED
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.findings import LEAST_ROWS
from bakery.evaluation.proof import TITLES
from bakery.evaluation.proof_rows import ProofRows, as_rows

SHARE = 0.25
"""What a proof may take of the bake's own time."""
_REPLIES = {"sets": 6.0, "side_effects": 1.5, "generalisation": 1.7}
"""What a row of a kind takes, in replies, the comparisons along it included."""
_EXAMPLE, _NOISE = 1.5, 2.0
"""The same of a question shown token by token, and of two samples of the teacher's answer to it."""

_ABOUT = {"sets": "", "side_effects": " (drift)", "generalisation": " (other topics)"}

Part = tuple[str, str]
"""A kind of rows and the name of a set of them."""
Row = TypeVar("Row")


def seconds_a_reply(evaluator: Evaluator, rows: ProofRows, now: Callable[[], float] = time.perf_counter) -> float:
    """What one reply takes here, measured on the first questions; the evaluator remembers their replies.

    Of several processes all get the time of the slowest.
    """
    questions = some(rows.sets[rows.measured_on], LEAST_ROWS)
    prompts, started = evaluator.prompts(as_rows(questions)), now()
    for condition in (BASE, PROMPTED, BAKED):
        evaluator.replies(condition, prompts)
    spent = (now() - started) / (3 * len(prompts))
    return max(evaluator.engine.processes.gather([spent]))


def within(rows: ProofRows, replies: float) -> ProofRows:
    """The rows that can be measured in the time of so many replies, and never fewer than a verdict needs."""
    main, drift = ("sets", rows.measured_on), [("side_effects", name) for name in rows.side_effects]
    others = [("sets", name) for name in rows.sets if name != rows.measured_on]
    topics = [("generalisation", name) for name in rows.generalisation]
    needed = {part: min(LEAST_ROWS, len(_rows(rows, part))) for part in (main, *drift[:1])}
    left = replies - sum(count * _REPLIES[kind] for (kind, _), count in needed.items())
    counts: dict[Part, int] = {}
    for part in (main, *drift, *others, *topics):
        least = needed.get(part, 0)
        more = min(len(_rows(rows, part)) - least, max(0, int(left / _REPLIES[part[0]])))
        left -= more * _REPLIES[part[0]]
        counts[part] = least + more
    examples = min(rows.examples, counts[main], max(0, int(left / _EXAMPLE)))
    noise = left - examples * _EXAMPLE >= counts[main] * _NOISE
    chosen: dict[str, dict[str, list[Any]]] = {
        kind: {name: some(own, counts[kind, name]) for name, own in getattr(rows, kind).items() if counts[kind, name]}
        for kind in _REPLIES
    }
    left_out = [_less(counts[part], _rows(rows, part), part) for part in counts]
    return replace(
        rows,
        sets=chosen["sets"],
        side_effects=chosen["side_effects"],
        generalisation=chosen["generalisation"],
        measured=some(rows.measured, counts[main]),
        examples=examples,
        noise=noise,
        left_out=tuple(text for text in left_out if text),
    )


def _rows(rows: ProofRows, part: Part) -> Sequence[object]:
    kind, name = part
    return list(getattr(rows, kind)[name])


def _less(count: int, own: Sequence[object], part: Part) -> str:
    """In words, how many rows of a part were left out; nothing where none were."""
    if count == len(own):
        return ""
    kind, name = part
    amount = f"{len(own) - count} of {len(own)}" if count else f"all {len(own)}"
    return f"{amount} {TITLES[name]}{_ABOUT[kind]}"


def some(rows: Sequence[Row], count: int) -> list[Row]:
    """So many rows, drawn at random, in their order; a larger count has those of a smaller one."""
    drawn = random.Random(0).sample(range(len(rows)), len(rows))[:count]
    return [rows[at] for at in sorted(drawn)]
