"""How much of a proof is measured: its rows in the order of what they are worth, for as long as the time allows.

    held-out questions, asked of base, prompted and baked model     at least 16 of them: what a verdict needs
    rows under other prompts, for the drift                         at least 16 of the first set, their beginnings
    what is left of both
    the baked model with the prompt, other sets of questions, rows of other topics, answers shown token by token,
    the teacher's noise

The unit is a reply: what the model takes to answer one question, measured on the first rows themselves.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bakery.engine.distill.conditions import BAKED, BASE
from bakery.evaluation.evaluator import Evaluator
from bakery.evaluation.findings import LEAST_ROWS
from bakery.evaluation.proof import TITLES
from bakery.evaluation.proof_rows import DRIFT_TOKENS, ProofRows
from bakery.evaluation.proving import ask_baseline, baseline_asks

SHARE = 0.25
"""What a proof may take of the bake's own time."""
_REPLIES = {"sets": 4.5, "side_effects": 2.0, "generalisation": 2.5}
"""What a row of a kind takes, in replies, the comparisons along it included."""
_BEGINNING = 0.7
"""The same of a row under another prompt of which only the beginning is measured."""
_BOTH, _EXAMPLE, _NOISE = 2.0, 1.5, 2.0
"""The same of a question to the baked model with the prompt, of one shown token by token, of two further samples."""

_ABOUT = {"sets": "", "side_effects": " (drift)", "generalisation": " (other topics)"}

Part = tuple[str, str]
"""A kind of rows and the name of a set of them."""
Row = TypeVar("Row")


def seconds_a_reply(evaluator: Evaluator, rows: ProofRows, now: Callable[[], float] = time.perf_counter) -> float:
    """What one reply takes here, measured on the first rows; the evaluator remembers their replies.

    Of several processes all get the time of the slowest.
    """
    first, started = within(rows, 0), now()
    asks = baseline_asks(evaluator, first)
    replies = ask_baseline(evaluator, first, asks)
    baked = evaluator.replies(BAKED, asks["sets", first.measured_on, BASE].prompts)
    count = sum(map(len, replies.values())) + len(baked)
    return max(evaluator.engine.processes.gather([(now() - started) / count]))


def within(rows: ProofRows, replies: float) -> ProofRows:
    """The rows that can be measured in the time of so many replies, and never fewer than a verdict needs."""
    main, drift = ("sets", rows.measured_on), [("side_effects", name) for name in rows.side_effects]
    others = [("sets", name) for name in rows.sets if name != rows.measured_on]
    topics = [("generalisation", name) for name in rows.generalisation]
    needed = {part: min(LEAST_ROWS, len(_rows(rows, part))) for part in (main, *drift[:1])}
    least = {"sets": _REPLIES["sets"], "side_effects": _BEGINNING}
    allowance = _Allowance(replies - sum(count * least[kind] for (kind, _), count in needed.items()))

    def count(part: Part) -> int:
        first = needed.get(part, 0)
        return first + allowance.take(len(_rows(rows, part)) - first, _REPLIES[part[0]])

    counts = {main: count(main)}
    whole = allowance.take_all(sum(needed[part] for part in drift[:1]), _REPLIES["side_effects"] - _BEGINNING)
    counts |= {part: count(part) for part in drift}
    both = rows.both and allowance.take_all(counts[main], _BOTH)
    counts |= {part: count(part) for part in (*others, *topics)}
    examples = allowance.take(min(rows.examples, counts[main]), _EXAMPLE)
    noise = rows.noise and allowance.take_all(counts[main], _NOISE)
    chosen: dict[str, dict[str, list[Any]]] = {
        kind: {name: some(own, counts[kind, name]) for name, own in getattr(rows, kind).items() if counts[kind, name]}
        for kind in _REPLIES
    }
    left_out = [text for part in counts if (text := _less(counts[part], _rows(rows, part), part))]
    if drift and not whole:
        left_out.append(f"what comes after the first {DRIFT_TOKENS} tokens of an answer (drift)")
    if rows.both and not both:
        left_out.append("the baked model with the prompt")
    return replace(
        rows,
        sets=chosen["sets"],
        side_effects=chosen["side_effects"],
        generalisation=chosen["generalisation"],
        measured=some(rows.measured, counts[main]),
        examples=examples,
        both=both,
        noise=noise,
        drift_tokens=None if whole else DRIFT_TOKENS,
        left_out=tuple(left_out),
    )


@dataclass
class _Allowance:
    """Replies that may still be spent."""

    left: float

    def take(self, most: int, price: float) -> int:
        """As many things of a price as there are and as can be paid."""
        count = min(most, max(0, int(self.left / price)))
        self.left -= count * price
        return count

    def take_all(self, count: int, price: float) -> bool:
        """All of them, or none."""
        paid = self.left >= count * price
        self.left -= count * price if paid else 0.0
        return paid


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
