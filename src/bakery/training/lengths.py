"""Rows longer than the model's context, or than the settings allow: refused before anything is sampled."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from bakery.chat.views import PromptPair, ViewBuilder, ViewPair
from bakery.engine.model.structure import base_of, context_of
from bakery.errors import DataError, ViewError
from bakery.rows.conversations import Conversation, Message
from bakery.settings.arguments import BakeryConfig

_SHORTEST = "?"


@dataclass(frozen=True)
class Limit:
    """The longest teacher's view in tokens; `by_model`: by the model's context, else by `max_seq_length`."""

    tokens: int
    by_model: bool

    def __str__(self) -> str:
        return f"the model's context holds {self.tokens:,}" if self.by_model else f"max_seq_length is {self.tokens:,}"


def limit_of(model: nn.Module, args: BakeryConfig) -> Limit | None:
    """The lower of both limits; None where there is none."""
    context, wanted = context_of(base_of(model).config), args.max_seq_length
    if wanted is not None and (context is None or wanted <= context):
        return Limit(wanted, by_model=False)
    return None if context is None else Limit(context, by_model=True)


def check_prefix(prefix: Sequence[Message], builder: ViewBuilder, model: nn.Module, args: BakeryConfig) -> None:
    """Refuse a prefix behind which not even the shortest question has room for an answer.

    Raises:
        ViewError: it is too long.
    """
    question, limit = Conversation(({"role": "user", "content": _SHORTEST},), tuple(prefix), ""), limit_of(model, args)
    try:
        tokens = len(builder.prompts(question).teacher_ids)
    except DataError:
        return  # the rows will be refused for it, each with its place
    if limit is not None and tokens >= limit.tokens:
        remedy = (
            "shorten it, give a long text as corpus_file (read in parts), or use a model with a longer context"
            if limit.by_model
            else "raise it, or shorten the prefix"
        )
        raise ViewError(f"the prefix with the shortest question has {tokens:,} tokens, and {limit}; {remedy}")


def check_lengths(rows: Sequence[ViewPair | PromptPair], model: nn.Module, args: BakeryConfig) -> None:
    """Refuse rows that are too long, or leave no room for an answer, unless they may be skipped.

    Raises:
        ViewError: a row is too long and none may be skipped, or all are.
    """
    limit = limit_of(model, args)
    if limit is None:
        return
    long = [row for row in rows if len(row.teacher_ids) + isinstance(row, PromptPair) > limit.tokens]
    if long and len(long) == len(rows) and args.on_long_row == "skip":
        raise all_too_long(limit)
    if long and args.on_long_row == "error":
        raise too_long(long, len(rows), limit)


def too_long(long: Sequence[ViewPair | PromptPair], rows: int, limit: Limit) -> ViewError:
    """What is said of these too long rows."""
    remedy = "shorten them" if limit.by_model else "raise it"
    return ViewError(
        f"{long[0].source}: the teacher's view has {len(long[0].teacher_ids):,} tokens, {limit}, and {len(long) - 1} "
        f"more of {rows} rows are too long; {remedy}, or set on_long_row: skip"
    )


def all_too_long(limit: Limit) -> ViewError:
    """What is said where no row is left."""
    return ViewError(f"every row is too long ({limit}): nothing is left to learn from; give shorter rows")
