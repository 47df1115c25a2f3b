"""Training sets for library users: made from prompts or chats, or read from files, as `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakery.errors import DataError
from bakery.rows.columns import PREFIX_COLUMN
from bakery.rows.conversations import Message, as_row, conversations, load_rows
from bakery.rows.tools import TOOLS, as_cell, as_text
from bakery.settings.tools import Tool

if TYPE_CHECKING:
    import datasets


def create_dataset(prompts: Sequence[str], answers: Sequence[str] | None = None) -> datasets.Dataset:
    """Make a training set of prompts, with or without their answers.

    Raises:
        DataError: there are no prompts, one is empty, or the answers are not as many.
    """
    if answers is not None and len(answers) != len(prompts):
        raise DataError(f"create_dataset: got {len(prompts)} prompts but {len(answers)} answers; give one for each")
    rows = [{"prompt": prompt} for prompt in prompts]
    for row, answer in zip(rows, answers or (), strict=False):
        row["response"] = answer
    return _dataset(rows, "create_dataset")


def create_conversational_dataset(
    chats: Sequence[Sequence[Message]],
    prefix_messages: Sequence[Sequence[Message] | None] | None = None,
    tools: Sequence[Sequence[Tool] | None] | None = None,
) -> datasets.Dataset:
    """Make a training set of chats, each with its own prefix and tools if `prefix_messages` and `tools` give them.

    Raises:
        DataError: a chat is malformed, or the prefixes or the tools are not as many.
    """
    for what, given in (("prefixes", prefix_messages), ("lists of tools", tools)):
        if given is not None and len(given) != len(chats):
            got = f"got {len(chats)} chats but {len(given)} {what}"
            raise DataError(f"create_conversational_dataset: {got}; give one (or None) for each")
    rows: list[dict[str, Any]] = [{"messages": list(messages)} for messages in chats]
    for row, own in zip(rows, prefix_messages or (), strict=False):
        row[PREFIX_COLUMN] = own and [as_cell(message) for message in own]
    for row, shown in zip(rows, tools or (), strict=False):
        row[TOOLS] = as_text(shown or ())
    return _dataset(rows, "create_conversational_dataset")


def load_dataset(spec: str, split: str | None = "train") -> datasets.Dataset:
    """Read a file, folder or hub id as a `datasets.Dataset` with `messages` and, if any, `prefix_messages` and `tools`.

    Raises:
        DataError: see `load_rows`.
    """
    chats = load_rows(spec, split)
    rows = [as_row(chat) for chat in chats]
    names = {name for row in rows for name in row}
    return _dataset([{name: row.get(name) for name in sorted(names)} for row in rows], spec)


def _dataset(rows: list[dict[str, Any]], name: str) -> datasets.Dataset:
    """A data set of rows that can be read as conversations; `name` stands for them in messages."""
    from datasets import Dataset

    conversations(rows, name)
    return Dataset.from_list(rows)
