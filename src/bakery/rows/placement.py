"""What the teacher sees of a document before each row: all of it, or the chunk that the row is about. Torch-free.

whole    one prefix for all rows
chunk    a prefix of its own for every row: the chunk that shares most words with its question, and its neighbours
auto     whole, where the document is no longer than a chunk with its neighbours
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bakery.errors import ConfigError
from bakery.rows.bake_data import BakeData
from bakery.rows.chunking import CountTokens, chunks_of
from bakery.rows.conversations import Conversation
from bakery.rows.document import Chunk, Document, neighbouring_chunks, whole_chunks
from bakery.rows.questions import ScoredQuestion
from bakery.rows.relevance import ChunkIndex
from bakery.settings.config import DataConfig

LONGEST_CHUNK = 512
"""Tokens of a chunk: a page or so, which small models still read exactly."""
_CHUNKS_A_CONTEXT = 32
"""Models read exactly only what is short for their context, so a chunk is no more than such a part of it."""
_SHORTEST_CHUNK = 16
_TOGETHER = 3
"""A chunk and its neighbours."""

Row = TypeVar("Row", Conversation, ScoredQuestion)


@dataclass(frozen=True)
class ModelLimits:
    """How a model counts tokens, how many it reads, and how many a question with its answer may take."""

    count: CountTokens
    context: int | None
    room: int

    @property
    def chunk(self) -> int:
        """Tokens of a chunk where none are set."""
        return LONGEST_CHUNK if self.context is None else min(LONGEST_CHUNK, self.context // _CHUNKS_A_CONTEXT)


def placed(data: BakeData, settings: DataConfig, limits: ModelLimits) -> BakeData:
    """The rows with the document's chunks, each row behind what the teacher is to see; as they are without a document.

    Raises:
        ConfigError: the document, or a chunk with its neighbours, does not fit the model's context.
        DataError: a sentence is longer than a chunk.
    """
    document = data.document
    if document is None:
        return data
    most = max(_SHORTEST_CHUNK, settings.corpus_chunk_tokens or limits.chunk)
    texts = chunks_of(document.text, most, limits.count, document.source)
    if settings.corpus_context == "whole" or (
        settings.corpus_context == "auto" and limits.count(document.text) <= _TOGETHER * most
    ):
        _check_whole(document, limits)
        return replace(data, chunks=whole_chunks(document, texts))
    chunks = neighbouring_chunks(document, texts)
    _check_chunks(chunks, most, limits)
    index = ChunkIndex(texts)
    return replace(
        data,
        prefix=None,
        chunks=chunks,
        train=behind_chunks(data.train, chunks, index),
        validation=behind_chunks(data.validation, chunks, index),
        heldout=behind_chunks(data.heldout, chunks, index),
        evaluation=behind_chunks(data.evaluation, chunks, index),
        questions=behind_chunks(data.questions, chunks, index),
    )


def behind_chunks(rows: Sequence[Row], chunks: Sequence[Chunk], index: ChunkIndex) -> list[Row]:
    """Rows without a prefix of their own behind the chunk that each is about; behind one after the other if unclear."""
    behind = []
    for at, row in enumerate(rows):
        if row.prefix is None:
            chunk = index.chunk_of(_question(row))
            row = replace(row, prefix=chunks[at % len(chunks) if chunk is None else chunk].prefix)
        behind.append(row)
    return behind


def _question(row: Conversation | ScoredQuestion) -> str:
    """The words of a row's last question."""
    return next((str(message["content"]) for message in reversed(row.messages) if message["role"] == "user"), "")


def _check_whole(document: Document, limits: ModelLimits) -> None:
    (message,) = document.prefix_of(document.text)
    tokens = limits.count(message["content"])
    if limits.context is not None and tokens + limits.room > limits.context:
        raise ConfigError(
            f"corpus_context: whole: {document.source} has {tokens:,} tokens, a question and its answer take "
            f"{limits.room:,}, and the model reads {limits.context:,} at most; use corpus_context: chunk"
        )


def _check_chunks(chunks: Sequence[Chunk], most: int, limits: ModelLimits) -> None:
    longest = max(limits.count(str(chunk.prefix[0]["content"])) for chunk in chunks)
    if limits.context is None or longest + limits.room <= limits.context:
        return
    fits = (limits.context - limits.room - (longest - _TOGETHER * most)) // _TOGETHER
    remedy = f"use at most {fits:,}" if _SHORTEST_CHUNK <= fits < most else "use a shorter system_prompt_template"
    raise ConfigError(
        f"corpus_chunk_tokens: {most:,}: a chunk with its neighbours has {longest:,} tokens, a question and its answer "
        f"take {limits.room:,}, and the model reads {limits.context:,} at most; {remedy}"
    )
