"""Training sets for library users: made from prompts or chats, or read from files, as `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakery.errors import DataError
from bakery.rows.columns import PREFIX_COLUMN
from bakery.rows.conversations import Message, conversations, load_rows

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
    chats: Sequence[Sequence[Message]], prefix_messages: Sequence[Sequence[Message] | None] | None = None
) -> datasets.Dataset:
    """Make a training set of chats, each with its own prefix if `prefix_messages` gives one for each.

    Raises:
        DataError: a chat is malformed, or the prefixes are not as many.
    """
    if prefix_messages is not None and len(prefix_messages) != len(chats):
        got = f"got {len(chats)} chats but {len(prefix_messages)} prefixes"
        raise DataError(f"create_conversational_dataset: {got}; give one (or None) for each")
    rows: list[dict[str, Any]] = [{"messages": list(messages)} for messages in chats]
    for row, own in zip(rows, prefix_messages or (), strict=False):
        row[PREFIX_COLUMN] = own
    return _dataset(rows, "create_conversational_dataset")


def load_dataset(spec: str, split: str | None = "train") -> datasets.Dataset:
    """Read a file, folder or hub id as a `datasets.Dataset` with `messages` and, if any, `prefix_messages`.

    Raises:
        DataError: see `load_rows`.
    """
    chats = load_rows(spec, split)
    rows: list[dict[str, Any]] = [{"messages": list(chat.messages)} for chat in chats]
    if any(chat.prefix is not None for chat in chats):
        for row, chat in zip(rows, chats, strict=True):
            row[PREFIX_COLUMN] = None if chat.prefix is None else list(chat.prefix)
    return _dataset(rows, spec)


def _dataset(rows: list[dict[str, Any]], name: str) -> datasets.Dataset:
    """A data set of rows that can be read as conversations; `name` stands for them in messages."""
    from datasets import Dataset

    conversations(rows, name)
    return Dataset.from_list(rows)
