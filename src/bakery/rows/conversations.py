"""Rows -> conversations: every column alias and shape, with errors that name file, row and column. Torch-free.

messages                          a chat; answered when the assistant has the last word
conversations                     the same, as ShareGPT writes it (from, value)
prompt | user_message | input | question | instruction     a text, or a list of messages
  with response | completion | output | answer             its answer, likewise
prefix_messages                   this row's own prefix; [] for none; absent or null for the configured one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakery.errors import ConfigError, DataError
from bakery.rows.columns import CHAT_COLUMNS, PREFIX_COLUMN, RESPONSE_COLUMNS, Columns, column_names, find_columns
from bakery.rows.prefix import load_prefix
from bakery.rows.sources import Row, parse_cell, read_rows
from bakery.scoring.answers import check_problem
from bakery.settings.checks import check_retained, message_problem, show

if TYPE_CHECKING:
    import datasets

    from bakery.settings.config import ContextConfig, DataConfig

Message = dict[str, Any]

_SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
             "model": "assistant", "system": "system", "tool": "tool"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row: its own messages, and its own prefix if it has one.

    `messages` ends with an assistant message if the answer is given. `prefix` None: the configured prefix applies;
    `()`: explicitly none. `source` is the place for error messages ("data/train.json row 12").
    """

    messages: tuple[Message, ...]
    prefix: tuple[Message, ...] | None
    source: str

    @property
    def answered(self) -> bool:
        """Whether the last message is the assistant's."""
        return bool(self.messages[-1]["role"] == "assistant")


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """A question with the answers that count as right.

    `check` says how, as in `scoring`; None: exactly.
    """

    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    source: str
    check: str | None = None
    prefix: tuple[Message, ...] | None = None

    @property
    def text(self) -> str:
        """The question's words."""
        return str(self.messages[-1]["content"])

    @property
    def answer(self) -> str:
        """The first right answer."""
        return self.answers[0]


@dataclass(frozen=True, slots=True)
class BakeData:
    """All rows of one bake, read and checked."""

    prefix: tuple[Message, ...] | None
    train: list[Conversation]
    anchors: list[Conversation]
    validation: list[Conversation]
    heldout: list[ScoredQuestion]
    evaluation: list[ScoredQuestion]
    drift: list[Conversation]


def load_bake_data(context: ContextConfig, data: DataConfig) -> BakeData:
    """Read every file, folder and hub id that the settings name.

    Raises:
        DataError: rows or a knowledge file are missing or malformed.
        ConfigError: a prefix file is, or there is nothing to bake.
    """
    prefix = load_prefix(context, data)
    columns = {"prompt_column": data.prompt_column, "response_column": data.response_column}
    if data.dataset is not None:
        train = load_rows(data.dataset, data.dataset_split, **columns)
    else:
        train = conversations_from_prompts(data.training_prompts or [], "training_prompts")
    check_something_to_bake(train, prefix, context.student_retained_turns)
    anchors = conversations_from_prompts(data.anchor_prompts or [], "anchor_prompts")
    if data.anchor_dataset is not None:
        anchors += load_rows(data.anchor_dataset)
    validation: list[Conversation] = []
    if data.eval_dataset is not None:
        validation = load_rows(data.eval_dataset, data.eval_dataset_split, **columns)
    return BakeData(
        prefix=prefix,
        train=train,
        anchors=anchors,
        validation=validation,
        heldout=load_scored_rows(data.heldout_file) if data.heldout_file else [],
        evaluation=load_scored_rows(data.eval_file) if data.eval_file else [],
        drift=load_rows(data.anchor_file) if data.anchor_file else [],
    )


def check_something_to_bake(rows: Sequence[Conversation], prefix: Sequence[Message] | None, retained: int) -> None:
    """Refuse a bake in which teacher and student would see the same.

    Raises:
        ConfigError: there is no prefix anywhere and nothing retained, or the retained turns cover a prefix.
    """
    for row in rows:
        own = prefix if row.prefix is None else row.prefix
        if own:
            try:
                check_retained(len(own), retained)
            except ConfigError as error:
                raise ConfigError(f"{row.source}: {error}") if row.prefix is not None else error from None
        elif not retained:
            raise ConfigError(
                f"{row.source}: nothing to bake: there is no prefix and student_retained_turns is 0; "
                "give prefix_messages, or student_retained_turns to bake the row's own earlier messages"
            )
        elif len(row.messages) <= retained:
            raise DataError(
                f"{row.source}: nothing to bake: it has {len(row.messages)} message(s), no prefix, and the student "
                f"sees the last {retained} (student_retained_turns); take the row out or retain fewer"
            )


def load_rows(
    spec: str,
    split: str | None = "train",
    *,
    prompt_column: str | None = None,
    response_column: str | None = None,
) -> list[Conversation]:
    """Read the rows of a file, folder or hub id as conversations.

    Args:
        spec: path or hub id.
        split: split with optional slice; None: validation or test (see `sources.read_rows`).
        prompt_column: the column with the prompt or the messages, when several could be meant.
        response_column: the column with the answer, likewise.

    Raises:
        DataError: with file, row and column.
    """
    return conversations(read_rows(spec, split), spec, prompt_column=prompt_column, response_column=response_column)


def conversations(
    rows: Iterable[Any],
    name: str = "rows",
    *,
    prompt_column: str | None = None,
    response_column: str | None = None,
) -> list[Conversation]:
    """Turn raw rows (texts, mappings, or `Row`s) into conversations; `name` stands for their source.

    Raises:
        DataError: there are no rows, their columns are unclear, or a row is malformed.
    """
    numbered = [r if isinstance(r, Row) else Row(r, f"{name} row {i}") for i, r in enumerate(rows, 1)]
    if not numbered:
        raise DataError(f"{name}: holds no rows")
    _check_one_kind(numbered)
    if isinstance(numbered[0].value, str):
        return [Conversation((_user(row.value, row.place),), None, row.place) for row in numbered]
    columns = find_columns(column_names(numbered), numbered, name, prompt_column, response_column)
    found = [_conversation(row, columns) for row in numbered]
    for other in found[1:]:
        if other.answered != found[0].answered:
            has = ("has an answer", "has none")
            here, there = has if other.answered else has[::-1]
            raise DataError(
                f"{other.source}: {here}, but {found[0].source} {there}; "
                "put rows with answers and rows without into two files"
            )
    return found


def conversations_from_prompts(prompts: Sequence[Any], name: str = "training_prompts") -> list[Conversation]:
    """Turn inline prompts (texts, or mappings with `messages`) into conversations.

    Raises:
        DataError: a prompt is empty or malformed.
    """
    found = []
    for number, prompt in enumerate(prompts, 1):
        place = f"{name} {number}"
        if isinstance(prompt, str):
            found.append(Conversation((_user(prompt, place),), None, place))
        else:
            found += conversations([Row(prompt, place)], name)
    return found


def _check_one_kind(rows: Sequence[Row]) -> None:
    first = rows[0]
    for row in rows:
        if not isinstance(row.value, str | Mapping):
            raise DataError(f"{row.place}: must be a text or an object with columns, got {show(row.value)}")
        if isinstance(row.value, str) != isinstance(first.value, str):
            raise DataError(
                f"{row.place}: is {show(row.value)}, but {first.place} is {show(first.value)}; write all rows alike"
            )


def _conversation(row: Row, columns: Columns) -> Conversation:
    messages = _messages(row, columns.prompt, "user")
    if columns.response is not None:
        messages += _messages(row, columns.response, "assistant")
        if messages[-1]["role"] != "assistant":
            raise DataError(f"{row.place}: {columns.response}: must end with the assistant's message")
    if row.value.get("tools"):
        raise DataError(f"{row.place}: tools: not supported per row; give chat_template_kwargs: {{tools: [...]}}")
    _check_order(messages, row.place)
    return Conversation(messages, _own_prefix(row), row.place)


def _own_prefix(row: Row) -> tuple[Message, ...] | None:
    value = row.value.get(PREFIX_COLUMN)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = parse_cell(value, f"{row.place}: {PREFIX_COLUMN}")
    return clean_messages(value, f"{row.place}: {PREFIX_COLUMN}")


def _messages(row: Row, column: str, role: str) -> tuple[Message, ...]:
    place = f"{row.place}: {column}"
    if column not in row.value:
        raise DataError(f"{row.place}: has no {column!r} (its columns: {', '.join(row.value) or 'none'}); fill it in")
    value = row.value[column]
    if column in CHAT_COLUMNS and isinstance(value, str):
        value = parse_cell(value, place)
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{place}: is empty; write a text or take the row out")
        return ({"role": role, "content": value},)
    if value is None:
        raise DataError(f"{place}: is null; write a text or take the row out")
    if not isinstance(value, list | tuple):
        raise DataError(f"{place}: must be a text or a list of messages, got {show(value)}; put it in quotes")
    if not value:
        raise DataError(f"{place}: has no messages; write one or take the row out")
    return clean_messages(value, place)


def clean_messages(value: Any, place: str) -> tuple[Message, ...]:
    """Check chat messages, translate ShareGPT's names, and drop keys that a table filled with null.

    Raises:
        DataError: it is not a list, or a message has no known role or no usable content.
    """
    if not isinstance(value, list | tuple):
        raise DataError(f"{place}: must be a list of messages {{role: ..., content: ...}}, got {show(value)}")
    found = []
    for number, message in enumerate(value, 1):
        if isinstance(message, Mapping) and "role" not in message and "from" in message:
            message = _from_sharegpt(message, f"{place}: message {number}")
        problem = message_problem(message)
        if problem:
            raise DataError(f"{place}: message {number}: {problem}")
        kept = {key: item for key, item in message.items() if item is not None or key == "content"}
        found.append(kept)
    return tuple(found)


def _from_sharegpt(message: Mapping[str, Any], place: str) -> Message:
    role = _SHAREGPT.get(message["from"])
    if role is None:
        raise DataError(f"{place}: unknown speaker {message['from']!r}; allowed are {', '.join(_SHAREGPT)}")
    if "value" not in message:
        raise DataError(f"{place}: has no key 'value' (its keys: {', '.join(message)}); write value: some text")
    rest = {key: item for key, item in message.items() if key not in ("from", "value")}
    return {"role": role, "content": message["value"], **rest}


def _check_order(messages: Sequence[Message], place: str) -> None:
    roles = [message["role"] for message in messages if message["role"] not in ("system", "developer")]
    if not roles or messages[-1]["role"] in ("system", "developer"):
        raise DataError(f"{place}: ends without a question or an answer; add the user's message")
    if roles[0] == "assistant":
        raise DataError(
            f"{place}: the assistant speaks first; a row starts with the user (what comes before belongs in "
            f"{PREFIX_COLUMN})"
        )
    for number, message in enumerate(messages, 1):
        empty = not message.get("content") and not message.get("tool_calls")
        if empty and message["role"] in ("user", "assistant"):
            what = "answer" if message["role"] == "assistant" else "question"
            raise DataError(f"{place}: message {number}: an empty {what}; write it or take the row out")


def _user(text: str, place: str) -> Message:
    if not text.strip():
        raise DataError(f"{place}: an empty prompt; write it or take it out")
    return {"role": "user", "content": text}


def load_scored_rows(path: str) -> list[ScoredQuestion]:
    """Read questions with answers, by named columns only.

    A row has a question (any prompt column, or `messages` that end with the user) and an answer (any response
    column; a text, or a list of texts any of which is right), and may have `check` and `prefix_messages`.

    Raises:
        DataError: a question or answer is missing or empty; the message names the row.
    """
    rows = read_rows(path, None)
    for row in rows:
        if not isinstance(row.value, Mapping):
            raise DataError(f"{row.place}: must be an object with question and answer, got {show(row.value)}")
    names = column_names(rows)
    columns = find_columns([name for name in names if name not in RESPONSE_COLUMNS], rows, path)
    answers = [name for name in RESPONSE_COLUMNS if name in names]
    if len(answers) > 1:
        raise DataError(f"{path}: the answer could be column {' or '.join(answers)}; rename or remove one")
    return [_scored(row, columns.prompt, answers[0] if answers else "answer") for row in rows]


def _scored(row: Row, prompt: str, answer: str) -> ScoredQuestion:
    messages = _messages(row, prompt, "user")
    _check_order(messages, row.place)
    if messages[-1]["role"] == "assistant":
        raise DataError(f"{row.place}: {prompt}: ends with the assistant's message; the question must come last")
    if answer not in row.value:
        raise DataError(
            f"{row.place}: has no {answer!r} (its columns: {', '.join(row.value)}); "
            "without the right answer the reply cannot be scored"
        )
    value = row.value[answer]
    answers = value if isinstance(value, list) else [value]
    for one in answers or [None]:
        if not isinstance(one, str):
            raise DataError(f"{row.place}: {answer}: must be a text, got {show(one)}; put it in quotes")
        if not one.strip():
            raise DataError(f"{row.place}: {answer}: is empty; an empty answer would count every reply as right")
    check = row.value.get("check") or None
    if check is not None and (problem := check_problem(check, answers)):
        raise DataError(f"{row.place}: check: {problem}")
    return ScoredQuestion(messages, tuple(answers), row.place, check, _own_prefix(row))


def create_dataset(prompts: Sequence[str], answers: Sequence[str] | None = None) -> datasets.Dataset:
    """Make a training set of prompts, with or without their answers.

    Raises:
        DataError: there are no prompts, one is empty, or the answers are not as many.
    """
    if answers is not None and len(answers) != len(prompts):
        raise DataError(f"create_dataset: got {len(prompts)} prompts but {len(answers)} answers; give one for each")
    rows: list[dict[str, Any]] = [{"prompt": prompt} for prompt in prompts]
    if answers is not None:
        rows = [{**row, "response": answer} for row, answer in zip(rows, answers, strict=True)]
    conversations(rows, "create_dataset")
    return _dataset(rows)


def create_conversational_dataset(
    chats: Sequence[Sequence[Message]], prefix_messages: Sequence[Sequence[Message] | None] | None = None
) -> datasets.Dataset:
    """Make a training set of chats, each with its own prefix if `prefix_messages` gives one for each.

    Raises:
        DataError: a chat is malformed, or the prefixes are not as many.
    """
    if prefix_messages is not None and len(prefix_messages) != len(chats):
        raise DataError(
            f"create_conversational_dataset: got {len(chats)} chats but {len(prefix_messages)} prefixes; "
            " give one (or None) for each"
        )
    rows: list[dict[str, Any]] = [{"messages": list(messages)} for messages in chats]
    if prefix_messages is not None:
        rows = [{**row, PREFIX_COLUMN: own} for row, own in zip(rows, prefix_messages, strict=True)]
    conversations(rows, "create_conversational_dataset")
    return _dataset(rows)


def load_dataset(spec: str, split: str | None = "train") -> datasets.Dataset:
    """Read a file, folder or hub id as a `datasets.Dataset` with `messages` and, if any, `prefix_messages`.

    Raises:
        DataError: see `load_rows`.
    """
    rows = load_rows(spec, split)
    own = any(row.prefix is not None for row in rows)
    return _dataset(
        [
            {"messages": list(row.messages)}
            | ({PREFIX_COLUMN: None if row.prefix is None else list(row.prefix)} if own else {})
            for row in rows
        ]
    )


def _dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    from datasets import Dataset

    return Dataset.from_list(rows)
