"""A document that is baked: its text, its chunks, and what the teacher sees before a row about a chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakery.rows.corpus import load_corpus
from bakery.settings.config import DataConfig

DEFAULT_TEMPLATE = "You know the following by heart.\n\n{corpus}"

Message = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A knowledge file: its text, the system prompt that any part of it is shown in, and where it was read."""

    text: str
    template: str = DEFAULT_TEMPLATE
    source: str = "the document"

    def prefix_of(self, part: str) -> tuple[Message, ...]:
        """What the teacher sees of the document when it sees this part of it."""
        return ({"role": "system", "content": self.template.replace("{corpus}", part)},)


@dataclass(frozen=True)
class Chunk:
    """A part of a document that questions are asked about, and what the teacher sees before them."""

    text: str
    prefix: tuple[Message, ...]


def load_document(data: DataConfig) -> Document:
    """The document of these settings, which have a `corpus_file`.

    Raises:
        DataError: the file is missing, empty or malformed.
    """
    path = str(data.corpus_file)
    return Document(load_corpus(path, data.corpus_format), data.system_prompt_template or DEFAULT_TEMPLATE, path)


def whole_chunks(document: Document, texts: Sequence[str]) -> tuple[Chunk, ...]:
    """Chunks behind which the teacher sees the whole document."""
    prefix = document.prefix_of(document.text)
    return tuple(Chunk(text, prefix) for text in texts)


def neighbouring_chunks(document: Document, texts: Sequence[str]) -> tuple[Chunk, ...]:
    """Chunks behind which the teacher sees each with the one before it and the one after it."""
    return tuple(
        Chunk(text, document.prefix_of("\n\n".join(texts[max(0, at - 1) : at + 2]))) for at, text in enumerate(texts)
    )
