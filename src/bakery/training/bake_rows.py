"""The rows of one bake as the trainer is given them, and as the model will see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.errors import DataError
from bakery.rows.conversations import Conversation, conversations


@dataclass(frozen=True)
class BakeRows:
    """Rows to learn from, rows to stay unchanged on, and by name those to measure on while training."""

    train: Sequence[Conversation]
    anchors: Sequence[Conversation]
    validation: Mapping[str, Sequence[Conversation]]


def bake_rows(train: Any, anchors: Any, validation: Any) -> BakeRows:
    """Rows in any shape that `bakery.rows` reads; `validation` may be a mapping of data sets by their names.

    Raises:
        DataError: there are none to learn from, one is malformed, or their number is not known beforehand.
    """
    return BakeRows(
        _conversations(train, "train_dataset"),
        [] if anchors is None else _conversations(anchors, "anchor_dataset"),
        {} if validation is None else rows_by_name(validation),
    )


def rows_by_name(rows: Any) -> dict[str, list[Conversation]]:
    """Data sets by their names; a single one has the empty name."""
    named = rows if isinstance(rows, Mapping) else {"": rows}
    return {name: _conversations(own, "eval_dataset") for name, own in named.items()}


def _conversations(rows: Any, name: str) -> list[Conversation]:
    """Rows in any shape `bakery.rows.conversations` reads; conversations stay as they are.

    Raises:
        DataError: when there are none, one is malformed, or their number is not known beforehand.
    """
    if rows is None:
        raise DataError(f"{name}: is missing; give a list of rows or a datasets.Dataset")
    if not hasattr(rows, "__len__"):
        raise DataError(
            f"{name}: a stream ({type(rows).__name__}) has no known end, and the teacher answers all "
            "rows once before training; take a part of it: datasets.Dataset.from_list(list(rows.take(1000)))"
        )
    if rows and all(isinstance(row, Conversation) for row in rows):
        return list(rows)
    return conversations(rows, name)


@dataclass(frozen=True)
class Views:
    """Rows as the model will see them: those with an answer, and those whose answer is still to be sampled."""

    pairs: tuple[ViewPair, ...]
    prompts: tuple[PromptPair, ...]

    @property
    def all(self) -> list[ViewPair | PromptPair]:
        """Those with an answer, then those without."""
        return [*self.pairs, *self.prompts]


def view_rows(builder: ViewBuilder, rows: Sequence[Conversation], *, anchor: bool = False) -> Views:
    """Rows as the model will see them.

    Raises:
        DataError: when a row cannot be aligned.
    """
    pairs = [pair for row in rows if row.answered for pair in builder.views(row, anchor=anchor)]
    prompts = [builder.prompts(row, anchor=anchor) for row in rows if not row.answered]
    return Views(tuple(pairs), tuple(prompts))
