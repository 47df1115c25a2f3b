"""What messages are to be written about: a context as the teacher sees it, and its clauses one by one. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Message
from bakery.rows.tools import split_tools
from bakery.settings.tools import description_of
from bakery.writing.selection import clauses

_MOST_CLAUSES = 64
_SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True)
class Topic:
    """One context, or one chunk of a document.

    Args:
        prefix: what the teacher sees.
        clauses: the sentences of its system message (of all its messages where it has none) and of what its tools are
            for, or of the chunk.
        own: whether rows about it carry the prefix themselves.
        chunk: the part of the prefix that is asked about; none: all of it.
    """

    prefix: tuple[Message, ...]
    clauses: tuple[str, ...]
    own: bool = False
    chunk: str | None = None

    @property
    def text(self) -> str:
        """All words of what is asked about."""
        if self.chunk is not None:
            return self.chunk
        contents = [str(message.get("content") or "") for message in self.prefix]
        return "\n".join([*contents, *_described(self.prefix)])


def topics_of(data: BakeData) -> list[Topic]:
    """The contexts of these rows: a document's chunks, the common prefix, or the rows' own ones."""
    if data.chunks:
        own = data.prefix is None
        return [topic_of(chunk.prefix, own=own, chunk=chunk.text) for chunk in data.chunks]
    if data.prefix:
        return [topic_of(data.prefix)]
    prefixes = {repr(row.prefix): row.prefix for row in data.train if row.prefix}
    return [topic_of(prefix, own=True) for prefix in prefixes.values()]


def topic_of(prefix: Sequence[Message], *, own: bool = False, chunk: str | None = None) -> Topic:
    """A context with its clauses."""
    contents = [(str(message["role"]), str(message.get("content") or "")) for message in prefix]
    said = [content for role, content in contents if role in _SYSTEM_ROLES] or [content for _, content in contents]
    text = "\n".join([*said, *_described(prefix)]) if chunk is None else chunk
    return Topic(tuple(prefix), tuple(clauses(text, _MOST_CLAUSES)), own, chunk)


def _described(prefix: Sequence[Message]) -> list[str]:
    """What the tools of a prefix are for."""
    return [description_of(tool) for tool in split_tools(prefix)[1]]
