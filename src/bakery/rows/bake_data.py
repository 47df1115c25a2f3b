"""All rows of one bake: every file, folder and hub id that the settings name, read and checked. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bakery.errors import ConfigError, DataError
from bakery.rows.conversations import Conversation, Message, conversations_from_prompts, load_rows
from bakery.rows.document import Chunk, Document, load_document
from bakery.rows.prefix import load_prefix
from bakery.rows.questions import ScoredQuestion, load_scored_rows
from bakery.settings.checks import refuse, retained_problems
from bakery.settings.config import ContextConfig, DataConfig


@dataclass(frozen=True, slots=True)
class BakeData:
    """All rows of one bake, read and checked.

    Args:
        questions: held-out ones that the model has written.
        document: what is baked, where that is a document.
        chunks: its parts, once they are made (see `placement`).
    """

    prefix: tuple[Message, ...] | None
    train: list[Conversation]
    anchors: list[Conversation]
    validation: list[Conversation]
    heldout: list[ScoredQuestion]
    evaluation: list[ScoredQuestion]
    drift: list[Conversation]
    questions: list[Conversation] = field(default_factory=list)
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()


def load_bake_data(context: ContextConfig, data: DataConfig) -> BakeData:
    """Read every file, folder and hub id that the settings name.

    Raises:
        DataError: rows or a knowledge file are missing or malformed.
        ConfigError: a prefix file is, or there is nothing to bake.
    """
    document = None if data.corpus_file is None else load_document(data)
    prefix = load_prefix(context, document)
    columns = {"prompt_column": data.prompt_column, "response_column": data.response_column}
    if data.dataset is not None:
        train = load_rows(data.dataset, data.dataset_split, **columns)
    else:
        train = conversations_from_prompts(data.training_prompts or [], "training_prompts")
    check_something_to_bake(train, prefix, context.student_retained_turns)
    anchors = conversations_from_prompts(data.anchor_prompts or [], "anchor_prompts")
    return BakeData(
        prefix=prefix,
        train=train,
        anchors=anchors + (load_rows(data.anchor_dataset) if data.anchor_dataset else []),
        validation=load_rows(data.eval_dataset, data.eval_dataset_split, **columns) if data.eval_dataset else [],
        heldout=load_scored_rows(data.heldout_file) if data.heldout_file else [],
        evaluation=load_scored_rows(data.eval_file) if data.eval_file else [],
        drift=load_rows(data.anchor_file) if data.anchor_file else [],
        document=document,
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
                refuse(retained_problems(len(own), retained))
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
