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
