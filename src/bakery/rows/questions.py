"""Questions with the answers that count as right, for scoring before and after a bake. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass

from bakery.errors import DataError
from bakery.rows.columns import RESPONSE_COLUMNS, column_names, find_columns
from bakery.rows.conversations import Message, check_order, own_prefix, row_messages
from bakery.rows.sources import Row, read_rows
from bakery.rows.tools import joined_tools, row_tools, split_tools
from bakery.scoring.answers import check_problem
from bakery.settings.tools import Tool
from bakery.text import describe, listed


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """A question with the answers that count as right; `check` says how, as in `scoring` (None: exactly)."""

    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    source: str
    check: str | None = None
    prefix: tuple[Message, ...] | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def text(self) -> str:
        """The question's words."""
        return str(self.messages[-1]["content"])

    @property
    def answer(self) -> str:
        """The first right answer."""
        return self.answers[0]


def load_scored_rows(path: str) -> list[ScoredQuestion]:
    """Read questions with answers, by named columns only.

    A row has a question (any prompt column, or `messages` that end with the user) and an answer (any response
    column; a text, or a list of texts any of which is right), and may have `check`, `prefix_messages` and `tools`.

    Raises:
        DataError: a question or answer is missing or empty; the message names the row.
    """
    rows = read_rows(path, None)
    for row in rows:
        if not isinstance(row.value, Mapping):
            raise DataError(f"{row.location}: must be an object with question and answer, got {describe(row.value)}")
    names = column_names(rows)
    columns = find_columns([name for name in names if name not in RESPONSE_COLUMNS], rows, path)
    answers = [name for name in RESPONSE_COLUMNS if name in names]
    if len(answers) > 1:
        raise DataError(f"{path}: the answer could be column {' or '.join(answers)}; rename or remove one")
    return [_scored(row, columns.prompt, answers[0] if answers else "answer") for row in rows]


def _scored(row: Row, prompt: str, answer: str) -> ScoredQuestion:
    messages = row_messages(row, prompt, "user")
    check_order(messages, row.location)
    if messages[-1]["role"] == "assistant":
        raise DataError(f"{row.location}: {prompt}: ends with the assistant's message; the question must come last")
    if answer not in row.value:
        remedy = "without the right answer the reply cannot be scored"
        raise DataError(f"{row.location}: has no {answer!r} (its columns: {listed(row.value)}); {remedy}")
    value = row.value[answer]
    answers = value if isinstance(value, list) else [value]
    for one in answers or [None]:
        if not isinstance(one, str):
            raise DataError(f"{row.location}: {answer}: must be a text, got {describe(one)}; put it in quotes")
        if not one.strip():
            raise DataError(f"{row.location}: {answer}: is empty; an empty answer would count every reply as right")
    check = row.value.get("check") or None
    if check is not None and (problem := check_problem(check, answers)):
        raise DataError(f"{row.location}: check: {problem}")
    plain, inside = split_tools(messages)
    tools = joined_tools(inside, row_tools(row))
    return ScoredQuestion(tuple(plain), tuple(answers), row.location, check, own_prefix(row), tools)
