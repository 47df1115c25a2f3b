"""Which columns of a table hold the prompt, the response and the prefix; doubt is an error, never a guess."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bakery.errors import DataError
from bakery.rows.sources import Row
from bakery.text import nearest

PROMPT_COLUMNS = ("prompt", "user_message", "input", "question", "instruction")
RESPONSE_COLUMNS = ("response", "completion", "output", "answer")
CHAT_COLUMNS = ("messages", "conversations")
PREFIX_COLUMN = "prefix_messages"


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are meant: a chat, or a prompt with or without a response."""

    prompt: str
    response: str | None = None


def column_names(rows: Sequence[Row]) -> list[str]:
    """The names of all columns in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.value))


def find_columns(
    names: Sequence[str],
    rows: Sequence[Row],
    location: str,
    prompt_column: str | None = None,
    response_column: str | None = None,
) -> Columns:
    """Which columns hold prompt and response.

    Raises:
        DataError: none or several could be meant, or a name is nearly but not quite a known one.
    """
    for key, name in (("prompt_column", prompt_column), ("response_column", response_column)):
        if name is not None and name not in names:
            raise DataError(f"{location}: {key}: there is no column {name!r}; its columns are {', '.join(names)}")
    chats = [name for name in CHAT_COLUMNS if name in names]
    if prompt_column is None and len(chats) == 1 and _adds_nothing(rows, chats[0], names):
        prompt_column = chats[0]
    prompts = [name for name in (*CHAT_COLUMNS, *PROMPT_COLUMNS) if name in names]
    prompt = prompt_column or _only(prompts, names, location, "prompt_column", "the prompt")
    if prompt in CHAT_COLUMNS:
        _refuse_near_misses([name for name in names if name != prompt], (PREFIX_COLUMN,), location)
        return Columns(prompt, response_column)
    responses = [name for name in RESPONSE_COLUMNS if name in names and name != prompt]
    if response_column is None and responses:
        response_column = _only(responses, names, location, "response_column", "the response")
    known = (PREFIX_COLUMN,) if response_column else (PREFIX_COLUMN, *RESPONSE_COLUMNS)
    _refuse_near_misses([name for name in names if name not in (prompt, response_column)], known, location)
    return Columns(prompt, response_column)


def _only(candidates: Sequence[str], names: Sequence[str], location: str, key: str, what: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        several = " or ".join(candidates)
        raise DataError(f"{location}: {what} could be column {several}; choose with {key}: {several}, or rename one")
    near = [(name, nearest(name, (*CHAT_COLUMNS, *PROMPT_COLUMNS))) for name in names]
    hint = next((f"is {name!r} meant to be {known!r}?" for name, known in near if known), None)
    raise DataError(
        f"{location}: no column holds {what} (its columns: {', '.join(names) or 'none'}); "
        + (hint or f"name it messages or prompt, or give {key}")
    )


def _refuse_near_misses(names: Iterable[str], known: Sequence[str], location: str) -> None:
    for name in names:
        near = nearest(name, known) if name not in (*known, *PROMPT_COLUMNS, *RESPONSE_COLUMNS) else None
        if near is not None:
            raise DataError(f"{location}: unknown column {name!r}; did you mean {near!r}? rename it, or take it out")


def _adds_nothing(rows: Sequence[Row], chat: str, names: Sequence[str]) -> bool:
    """Whether prompt and response columns beside a chat only repeat what the chat says."""
    beside = [name for name in (*PROMPT_COLUMNS, *RESPONSE_COLUMNS) if name in names]
    for row in rows if beside else ():
        turns = row.value.get(chat)
        turns = turns if isinstance(turns, list | tuple) else ()
        contents = [turn.get("content", turn.get("value")) for turn in turns if isinstance(turn, Mapping)]
        if any(row.value.get(name) not in contents for name in beside):
            return False
    return True
