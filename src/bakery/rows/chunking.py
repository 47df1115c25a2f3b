"""A long text cut into chunks: at blank lines, and before a Markdown heading once a chunk is half full.

A heading stays with what follows it. A paragraph that is longer than a chunk is cut at the ends of its sentences and
lines; a sentence that is longer is refused, as half a sentence says something else.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bakery.errors import DataError

CountTokens = Callable[[str], int]

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"'”’)\]])\s+|(?<=[。！？])|\n+")
_HEADING = re.compile(r"#{1,6}\s")
_SHOWN = 40
"""Characters of a refused sentence that the message shows."""


@dataclass(frozen=True)
class _Piece:
    """Text that is not cut, its tokens, what stands before it in its chunk, and whether a heading begins it."""

    text: str
    tokens: int
    before: str
    heading: bool


def chunks_of(text: str, most: int, count: CountTokens, source: str) -> list[str]:
    """The chunks of a text, in order; together they say all that it says.

    Args:
        text: the whole of it.
        most: tokens of a chunk.
        count: the tokens of a text.
        source: where it comes from, for messages.

    Raises:
        DataError: a sentence has more tokens than a chunk may have.
    """
    chunks: list[list[_Piece]] = []
    filled = 0
    for piece in _pieces(text, most, count, source):
        if not chunks or filled + piece.tokens > most or (piece.heading and 2 * filled >= most):
            chunks.append([])
            filled = 0
        chunks[-1].append(piece)
        filled += piece.tokens
    return ["".join((piece.before if at else "") + piece.text for at, piece in enumerate(chunk)) for chunk in chunks]


def _pieces(text: str, most: int, count: CountTokens, source: str) -> Iterator[_Piece]:
    """Paragraphs, each with the headings before it, and the sentences of those that are too long for a chunk."""
    for paragraph in _with_headings([part.strip() for part in _BLANK_LINES.split(text) if part.strip()]):
        heading = bool(_HEADING.match(paragraph))
        whole = _Piece(paragraph, count(f"{paragraph}\n\n"), "\n\n", heading)
        if count(paragraph) <= most:
            yield whole
        else:
            yield from _sentences(whole, most, count, source)


def _with_headings(paragraphs: Sequence[str]) -> Iterator[str]:
    """Headings that stand alone, joined with the paragraph that follows them."""
    waiting: list[str] = []
    for paragraph in paragraphs:
        waiting.append(paragraph)
        if not (_HEADING.match(paragraph) and "\n" not in paragraph):
            yield "\n\n".join(waiting)
            waiting = []
    if waiting:
        yield "\n\n".join(waiting)


def _sentences(paragraph: _Piece, most: int, count: CountTokens, source: str) -> Iterator[_Piece]:
    gaps = [(match.start(), match.end()) for match in _SENTENCE_ENDS.finditer(paragraph.text)]
    for (gap, start), (end, _) in pairwise([(0, 0), *gaps, (len(paragraph.text), 0)]):
        text = paragraph.text[start:end]
        tokens = count(text)
        if tokens > most:
            raise DataError(
                f"{source}: the sentence that begins with {text[:_SHOWN]!r} has {tokens:,} tokens and a chunk at most "
                f"{most:,} (corpus_chunk_tokens); raise it, or write the sentence in parts"
            )
        before = paragraph.text[gap:start] if start else paragraph.before
        if text:
            yield _Piece(text, count(before + text), before, paragraph.heading and not start)
