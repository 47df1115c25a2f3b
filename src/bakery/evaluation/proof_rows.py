"""Which rows a proof is measured on, and that none of them was trained on. Torch-free.

heldout, eval     the user's scored questions
validation        rows given as `eval_dataset`, or prompts kept aside from the training rows
training          only where there is nothing else; the proof says so
neutral           shipped questions under shipped system prompts (side_effects) and without (generalisation)
anchor_file       the user's own rows that should not change
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakery.errors import DataError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, Message
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import Rule

_NEUTRAL = Path(__file__).parent / "neutral" / "prompts.json"
_ENOUGH_PROMPTS = 20
_FEWEST_KEPT, _MOST_KEPT = 2, 64
_MEASURED_ROWS = 256
_TRAINING_ROWS = 64

Key = tuple[Any, ...]


@dataclass(frozen=True)
class ProofRows:
    """What is asked, none of it trained on (unless the measured rows are called training).

    Args:
        sets: questions by name, with expected answers or without.
        measured: the name of the rows the divergence is measured on, and the rows.
        side_effects: rows by name, under prompts of their own, where the bake should change nothing.
        generalisation: rows by name, unlike the training rows, where the bake should do what the prompt does.
        rules: the clauses of the prompt.
        leaks: by file, how many of its rows were also trained on.
    """

    sets: Mapping[str, Sequence[ScoredQuestion]]
    measured: tuple[str, Sequence[Conversation]]
    side_effects: Mapping[str, Sequence[Conversation]]
    generalisation: Mapping[str, Sequence[Conversation]]
    rules: tuple[Rule, ...]
    leaks: Mapping[str, int]

    @property
    def work(self) -> tuple[int, int]:
        """Answers and comparisons before the bake, and after it."""
        asked = sum(len(questions) for questions in self.sets.values())
        main = len(self.sets.get(self.measured[0]) or next(iter(self.sets.values())))
        measured, still = len(self.measured[1]), sum(len(rows) for rows in self.side_effects.values())
        spilt = sum(len(rows) for rows in self.generalisation.values())
        return 2 * asked + main + 2 * measured + still + 2 * spilt, 2 * asked + 2 * measured + still + spilt


def proof_rows(data: BakeData, rules: tuple[Rule, ...] = ()) -> ProofRows:
    """Choose the rows of the proof.

    Raises:
        DataError: a held-out question was trained on.
    """
    sets = {name: rows for name, rows in (("heldout", data.heldout), ("eval", data.evaluation)) if rows}
    name, rows = next(
        (name, rows)
        for name, rows in (
            ("heldout", as_rows(data.heldout)),
            ("eval", as_rows(data.evaluation)),
            ("validation", data.validation),
            ("training", _spread(data.train, _TRAINING_ROWS)),
        )
        if rows
    )
    rows = _spread(rows, _MEASURED_ROWS)
    if name not in sets:
        sets = {**sets, name: as_questions(rows)}
    systems, prompts = neutral()
    plain = [row for row in data.drift if not _has_system(row)]
    side_effects = {"anchor_file": data.drift, "neutral": _under(systems, prompts)}
    generalisation = {"neutral": _behind_prefixes(prompts, data), "anchor_file": plain}
    return ProofRows(
        sets=sets,
        measured=(name, rows),
        side_effects={name: others for name, others in side_effects.items() if others},
        generalisation={name: others for name, others in generalisation.items() if others},
        rules=rules,
        leaks=count_leaks(data),
    )


def neutral() -> tuple[list[str], list[str]]:
    """The shipped system prompts and questions."""
    found = json.loads(_NEUTRAL.read_text(encoding="utf-8"))
    return found["system_prompts"], found["prompts"]


def count_leaks(data: BakeData) -> dict[str, int]:
    """How many rows of each file that is measured on were trained on as well.

    Raises:
        DataError: one of them is a held-out question, which was promised not to be.
    """
    trained = {_key(row) for row in data.train}
    for question in as_rows(data.heldout):
        if _key(question) in trained:
            raise DataError(
                f"{question.source}: this held-out question is trained on as well; take it out of one of the two, "
                "or give the file as eval_file, where it is counted and reported"
            )
    anchored = {_key(row) for row in data.anchors}
    seen = {
        "eval_file": sum(_key(row) in trained for row in as_rows(data.evaluation)),
        "eval_dataset": sum(_key(row) in trained for row in data.validation),
        "anchor_file": sum(_key(row) in anchored for row in data.drift),
    }
    return {name: count for name, count in seen.items() if count}


def keep_aside(data: BakeData, share: float, seed: int, *, needed: bool) -> BakeData:
    """Move some prompts, with all their rows, from training to validation, where there are no validation rows.

    Args:
        data: all rows.
        share: of the distinct prompts.
        seed: of the choice.
        needed: the bake is to stop by them; else they are only measured on, if nothing else is and there are enough.

    Raises:
        DataError: they are needed, and there are not enough prompts to keep some aside.
    """
    measured = bool(data.heldout or data.evaluation)
    if data.validation or share == 0 or (measured and not needed):
        return data
    prompts = sorted({_key(row) for row in data.train}, key=repr)
    if len(prompts) < (_FEWEST_KEPT * 2 if needed else _ENOUGH_PROMPTS):
        if not needed:
            return data
        raise DataError(
            f"to stop early some prompts are kept aside, but there are only {len(prompts)}; "
            "give eval_dataset, or leave out target_divergence and patience"
        )
    count = min(_MOST_KEPT, max(_FEWEST_KEPT, round(share * len(prompts))))
    kept = set(random.Random(seed).sample(prompts, count))
    return replace(
        data,
        train=[row for row in data.train if _key(row) not in kept],
        validation=[row for row in data.train if _key(row) in kept],
    )


def unanswered(row: Conversation) -> Conversation:
    """A row up to its last question."""
    messages = row.messages
    while messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    return replace(row, messages=messages)


def as_questions(rows: Sequence[Conversation]) -> list[ScoredQuestion]:
    """Rows as questions without an expected answer."""
    asked = (unanswered(row) for row in rows)
    return [ScoredQuestion(row.messages, (), row.source, None, row.prefix) for row in asked if row.messages]


def as_rows(questions: Sequence[ScoredQuestion]) -> list[Conversation]:
    """Questions without their answers: what the conditions are asked."""
    return [Conversation(question.messages, question.prefix, question.source) for question in questions]


def _under(systems: Sequence[str], prompts: Sequence[str]) -> list[Conversation]:
    """Every question under one of the system prompts, which are nobody's prefix."""
    rows = []
    for number, prompt in enumerate(prompts):
        system = {"role": "system", "content": systems[number % len(systems)]}
        rows.append(Conversation((system, {"role": "user", "content": prompt}), (), f"neutral row {number + 1}"))
    return rows


def _behind_prefixes(prompts: Sequence[str], data: BakeData) -> list[Conversation]:
    """The questions behind the configured prefix, or behind those of the training rows in turn, where they have any."""
    own: list[tuple[Message, ...] | None]
    own = [None] if data.prefix else [row.prefix for row in data.train if row.prefix]
    if not own:
        return []
    return [
        Conversation(({"role": "user", "content": prompt},), own[number % len(own)], f"neutral prompt {number + 1}")
        for number, prompt in enumerate(prompts)
    ]


def _has_system(row: Conversation) -> bool:
    return any(message["role"] in ("system", "developer") for message in row.messages)


def _spread(rows: Sequence[Conversation], count: int) -> list[Conversation]:
    """At most `count` rows, evenly over all of them."""
    count = min(count, len(rows))
    return [rows[at * len(rows) // count] for at in range(count)]


def _key(row: Conversation) -> Key:
    """What makes two prompts the same: their words, whatever their case and white space, behind the same prefix."""
    messages = [*(row.prefix or ()), {"role": "|", "content": ""}, *unanswered(row).messages]
    return tuple((message["role"], " ".join(str(message.get("content")).split()).casefold()) for message in messages)
