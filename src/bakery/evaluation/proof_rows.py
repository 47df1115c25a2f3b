"""Which rows a proof is measured on, and that none of them was trained on. Torch-free.

heldout, eval     the user's scored questions
written           questions that the model wrote, held out from training
validation        rows given as `eval_dataset`, or prompts reserved from the training rows
training          only where there is nothing else; the proof says so
neutral           shipped questions under shipped system prompts (side_effects) and without (generalisation)
anchor_file       the user's own rows that should not change
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bakery.errors import DataError
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, Message, evenly, prompt_key, unanswered
from bakery.rows.questions import ScoredQuestion
from bakery.scoring.rules import Rule

_NEUTRAL = Path(__file__).parent / "neutral" / "prompts.json"
_MEASURED_ROWS = 256
_TRAINING_ROWS = 64
_SYSTEM_ROLES = ("system", "developer")
DRIFT_TOKENS = 32
"""Tokens of an answer under other prompts where there is no time for more."""
FLOOR_ROWS = 2
"""Rows on which the teacher is held against itself."""
EXAMPLES = 12
"""Questions of which a proof shows every reply token by token."""


@dataclass(frozen=True)
class ProofRows:
    """What is asked, none of it trained on (unless the measured rows are called training); rows by name."""

    sets: Mapping[str, Sequence[ScoredQuestion]]  # with expected answers or without
    measured_on: str  # the name in `sets` of the rows that the divergence is measured on
    measured: Sequence[Conversation]  # those rows
    side_effects: Mapping[str, Sequence[Conversation]]  # under other prompts, where the bake should change nothing
    generalisation: Mapping[str, Sequence[Conversation]]  # unlike the training rows; the bake should do as the prompt
    rules: tuple[Rule, ...]  # the clauses of the prompt, each about at least one question
    leaks: Mapping[str, int]  # by file, how many of its rows were also trained on
    examples: int = EXAMPLES  # questions of which every reply is shown token by token
    both: bool = True  # whether the baked model is asked with the prompt as well
    noise: bool = True  # whether two samples of the teacher are held against each other
    drift_tokens: int | None = None  # of an answer under other prompts at most; None: as many as of others
    left_out: tuple[str, ...] = ()  # what was not to be measured for want of time

    @property
    def work(self) -> tuple[int, int]:
        """Answers and comparisons that do not depend on the adapter, and those that do."""
        asked, others, unlike = (
            sum(map(len, rows.values())) for rows in (self.sets, self.side_effects, self.generalisation)
        )
        measured, main = len(self.measured), len(self.sets[self.measured_on])
        before = 2 * asked + 2 * measured + min(FLOOR_ROWS, measured) + others + 2 * unlike + 2 * main * self.noise
        baked = (1 + self.both) * (asked + measured)
        return before, baked + others + unlike + 3 * min(self.examples, main)


def proof_rows(data: BakeData, rules: tuple[Rule, ...] = ()) -> ProofRows:
    """Choose the rows of the proof.

    Raises:
        DataError: a held-out question was trained on, or no question matches a rule's `when`.
    """
    sets = {name: rows for name, rows in (("heldout", data.heldout), ("eval", data.evaluation)) if rows}
    candidates = {
        **{name: as_rows(questions) for name, questions in sets.items()},
        "written": data.questions,
        "validation": data.validation,
        "training": evenly(data.train, _TRAINING_ROWS),
    }
    measured_on, rows = next((name, rows) for name, rows in candidates.items() if rows)
    measured = evenly(rows, _MEASURED_ROWS)
    sets.setdefault(measured_on, as_questions(measured))
    for rule in rules:
        if not any(rule.applies(question.text) for questions in sets.values() for question in questions):
            raise DataError(
                f"rules: {rule.name}: no question matches when: {rule.when!r}; correct it or add a question"
            )
    systems, prompts = neutral()
    # Behind the configured prefix or, without one, behind the prefixes of the training rows in turn.
    prefixes = [None] if data.prefix else [row.prefix for row in data.train if row.prefix]
    side_effects = {
        "anchor_file": data.drift,
        "neutral": [
            Conversation((_message("system", system), _message("user", prompt)), (), f"neutral row {number}")
            for number, (prompt, system) in enumerate(zip(prompts, cycle(systems), strict=False), 1)
        ],
    }
    generalisation = {
        "neutral": [
            Conversation((_message("user", prompt),), prefix, f"neutral prompt {number}")
            for number, (prompt, prefix) in enumerate(zip(prompts, cycle(prefixes), strict=False), 1)
        ],
        "anchor_file": [row for row in data.drift if not any(m["role"] in _SYSTEM_ROLES for m in row.messages)],
    }
    return ProofRows(
        sets=sets,
        measured_on=measured_on,
        measured=measured,
        side_effects={name: others for name, others in side_effects.items() if others},
        generalisation={name: others for name, others in generalisation.items() if others},
        rules=rules,
        leaks=count_leaks(data),
    )


def neutral() -> tuple[list[str], list[str]]:
    """The shipped system prompts and questions."""
    shipped = json.loads(_NEUTRAL.read_text(encoding="utf-8"))
    return shipped["system_prompts"], shipped["prompts"]


def count_leaks(data: BakeData) -> dict[str, int]:
    """How many rows of each file that is measured on were trained on as well.

    Raises:
        DataError: one of them is a held-out question, which was promised not to be.
    """
    trained, anchored = ({prompt_key(row) for row in rows} for rows in (data.train, data.anchors))
    for question in as_rows(data.heldout):
        if prompt_key(question) in trained:
            raise DataError(
                f"{question.source}: this held-out question is trained on as well; take it out of one of the two, "
                "or give the file as eval_file, where it is counted and reported"
            )
    leaks = {
        "eval_file": sum(prompt_key(row) in trained for row in as_rows(data.evaluation)),
        "eval_dataset": sum(prompt_key(row) in trained for row in data.validation),
        "anchor_file": sum(prompt_key(row) in anchored for row in data.drift),
    }
    return {name: count for name, count in leaks.items() if count}


def as_questions(rows: Sequence[Conversation]) -> list[ScoredQuestion]:
    """Rows as questions without an expected answer."""
    return [ScoredQuestion(unanswered(row).messages, (), row.source, None, row.prefix, row.tools) for row in rows]


def as_rows(questions: Sequence[ScoredQuestion]) -> list[Conversation]:
    """Questions without their answers: what the conditions are asked."""
    return [Conversation(question.messages, question.prefix, question.source, question.tools) for question in questions]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
