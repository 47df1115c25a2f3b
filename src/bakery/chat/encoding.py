"""A rendered text to token ids, with the characters that each token stands for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer, processors

from bakery.errors import TemplateError, ViewError

SEGMENTS = 256


@dataclass(frozen=True, slots=True)
class Text:
    """A rendered conversation.

    `pieces` is None for ordinary text; otherwise the text cut into (piece, from_data): a piece from data looks like a
    control token and is to be encoded as ordinary characters.
    """

    text: str
    pieces: tuple[tuple[str, bool], ...] | None = None

    def __getitem__(self, part: slice) -> "Text":
        """A part of the text; only for a slice without step and with bounds inside the text."""
        start, stop, _ = part.indices(len(self.text))
        if self.pieces is None:
            return Text(self.text[start:stop])
        pieces, at = [], 0
        for piece, from_data in self.pieces:
            if cut := piece[max(start - at, 0) : max(stop - at, 0)]:
                pieces.append((cut, from_data))
            at += len(piece)
        return _of_pieces(pieces)

    def __add__(self, other: "Text") -> "Text":
        """Both texts, one behind the other."""
        if self.pieces is None and other.pieces is None:
            return Text(self.text + other.text)
        return _of_pieces([*(self.pieces or [(self.text, False)]), *(other.pieces or [(other.text, False)])])


def _of_pieces(pieces: Iterable[tuple[str, bool]]) -> Text:
    """A text of pieces, in which ordinary pieces that adjoin are one."""
    joined: list[tuple[str, bool]] = []
    for piece, from_data in pieces:
        if joined and not from_data and not joined[-1][1]:
            joined[-1] = (joined[-1][0] + piece, False)
        elif piece:
            joined.append((piece, from_data))
    from_data_too = any(from_data for _, from_data in joined)
    return Text("".join(piece for piece, _ in joined), tuple(joined) if from_data_too else None)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of a text and the half-open range of characters each stands for.

    The first `skipped` ids have no entry in `offsets`; nobody asked which characters they stand for. At `cuts`, pairs
    of a character and the number of ids before it, the text falls apart: both sides have the same tokens alone.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    skipped: int = 0
    cuts: tuple[tuple[int, int], ...] = ()


class Encoder:
    """Tokenises as `apply_chat_template(tokenize=True)` does: without the tokenizer's own special tokens.

    A text is cut before control tokens, which no token reaches across, and every segment is tokenised by itself, so
    that a prefix that many rows share is tokenised once.

    Raises:
        TemplateError: the tokenizer is not a fast one, so it cannot tell which characters a token stands for.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise TemplateError(
                f"{type(tokenizer).__name__} is a slow tokenizer, which does not say which characters a token stands "
                "for; use a fast one (AutoTokenizer loads it where there is a tokenizer.json)"
            )
        self.tokenizer = tokenizer
        self._segment = lru_cache(SEGMENTS)(self._plain)
        self._beginning = lru_cache(SEGMENTS)(self._ids_before)
        self._segmented: bool | None = None

    def encode(self, text: Text, since: int = 0) -> Tokens:
        """Tokenise a rendered conversation; offsets are of `text.text`, and left out where they lie before `since`.

        All tokens of a control word from data stand for the whole word.

        Raises:
            ViewError: the tokenizer makes a control token even out of ordinary characters.
        """
        if text.pieces is None:
            return self._encode_segments(text.text, since)
        tokens, at = Tokens([], []), 0
        for i, (piece, from_data) in enumerate(text.pieces):
            encode = self._word if from_data else self._plain
            encoded = (self._without_newline(encode("\n" + piece)) if i else None) or encode(piece)
            if from_data and self.tokenizer.convert_tokens_to_ids(piece) in encoded.ids:
                raise ViewError(f"the tokenizer makes a control token even of the word {piece!r} in data; take it out")
            tokens.ids.extend(encoded.ids)
            tokens.offsets.extend((at + start, at + end) for start, end in encoded.offsets)
            at += len(piece)
        return tokens

    def encode_with_context(self, text: Text, end: int, since: int) -> tuple[Tokens, list[int]]:
        """The tokens of a text, and the ids of its first `end` characters alone; offsets as in `encode`.

        Raises:
            ViewError: as `encode`.
        """
        tokens = self.encode(text, since)
        at, before = next(((at, ids) for at, ids in reversed(tokens.cuts) if at <= end), (0, 0))
        if not tokens.cuts or self._reaches_across(text.text, at, end):
            return tokens, self.encode(text[:end], end).ids
        rest = self._segment(text.text[at:end]).ids if at < end else []
        return tokens, tokens.ids[:before] + rest

    def behind_another(self, text: Text, other: Text, tokens: Tokens, most: int) -> Tokens | None:
        """The tokens of a text that ends as `other` does, whose tokens are known; offsets where those have some.

        Args:
            text: to tokenise.
            other: a text that ends alike.
            tokens: of `other`.
            most: how many first characters of `other` may differ at most; `tokens` have no offsets of these.

        Returns:
            None where both texts do not end alike from a cut on.
        """
        if text.pieces is not None or other.pieces is not None:
            return None
        longer = len(text.text) - len(other.text)
        for cut, before in tokens.cuts:
            if cut > most:
                return None
            if text.text.endswith(other.text[cut:]) and (ids := self._before(text.text, cut + longer)) is not None:
                offsets = [(a + longer, b + longer) for a, b in tokens.offsets]
                return Tokens([*ids, *tokens.ids[before:]], offsets, tokens.skipped + len(ids) - before)
        return None

    def encode_behind(self, text: Text) -> Tokens:
        """Tokenise what a model goes on with behind another text: it is given no prefix space of its own."""
        return self._without_newline(self.encode(Text("\n") + text)) or self.encode(text)

    def _reaches_across(self, text: str, start: int, end: int) -> bool:
        """Whether a control token begins between `start` and `end` and ends behind `end`."""
        return any(match.end() > end for match in self._added.finditer(text, start) if match.start() < end)

    def _before(self, text: str, cut: int) -> list[int] | None:
        """The ids of a text before a control token; None if the token is not one of its own there."""
        word = self._added.match(text, cut)
        return self._beginning(text[:cut], word[0]) if word else None

    def _ids_before(self, text: str, word: str) -> list[int] | None:
        return self.encode(Text(text), len(text)).ids if not text or len(text) in self.cuts(text + word) else None

    def _encode_segments(self, text: str, since: int) -> Tokens:
        cuts = [] if self._segmented is False else self.cuts(text)
        if cuts and self._segmented is None:  # once, whether this tokenizer does as it should
            self._segmented = self._joined(text, cuts, 0).ids == self._plain(text).ids
        return self._joined(text, cuts if self._segmented else [], since)

    def _joined(self, text: str, cuts: list[int], since: int) -> Tokens:
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        counted: list[tuple[int, int]] = []
        skipped = 0
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            segment = self._segment(text[start:end])
            if start or self._begins_apart(text):
                counted.append((start, len(ids)))
            ids += segment.ids
            if end <= since:
                skipped += len(segment.ids)
            else:
                offsets += [(start + a, start + b) for a, b in segment.offsets]
        return Tokens(ids, offsets, skipped, tuple(counted) if cuts else ())

    def _begins_apart(self, text: str) -> bool:
        """Whether a text begins with a control token that ends whatever stands before it."""
        word = self._added.match(text)
        return word is not None and word[0] in self._separate

    def cuts(self, text: str) -> list[int]:
        """Where control tokens begin that end whatever stands before them, in order; never 0."""
        return [match.start() for match in self._added.finditer(text) if match.start() and match[0] in self._separate]

    @cached_property
    def _separate(self) -> frozenset[str]:
        """Added tokens that are the same tokens wherever they stand."""
        return frozenset(
            token.content
            for token in self.tokenizer.added_tokens_decoder.values()
            if not (token.normalized or token.lstrip or token.single_word or token.content.isspace())
        )

    @cached_property
    def _added(self) -> re.Pattern[str]:
        names = sorted(filter(None, self.tokenizer.added_tokens_encoder), key=len, reverse=True)
        return re.compile("|".join(re.escape(name) for name in names) or "(?!)")

    def _plain(self, text: str) -> Tokens:
        backend = self._backend
        if backend.truncation is None and backend.padding is None and not backend.encode_special_tokens:
            encoding = backend.encode(text, add_special_tokens=False)
            return Tokens(encoding.ids, encoding.offsets)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return Tokens(list(encoded["input_ids"]), list(encoded["offset_mapping"]))

    @cached_property
    def _backend(self) -> Any:
        """The tokenizer behind the tokenizer; a copy of it if it leaves white space out of its offsets."""
        backend = self.tokenizer.backend_tokenizer
        offsets = backend.encode("a b\n\n", add_special_tokens=False).offsets
        if all(start <= end for (_, end), (start, _) in pairwise([(0, 0), *offsets, (5, 5)])):
            return backend
        copy = Tokenizer.from_str(backend.to_str())
        copy.no_truncation()
        copy.no_padding()
        copy.post_processor = processors.Sequence([])
        return copy

    def _word(self, word: str) -> Tokens:
        """Encode a word without looking for added tokens in it: the tokenizer's pipeline, run by hand."""
        backend = self.tokenizer.backend_tokenizer
        text = word if backend.normalizer is None else backend.normalizer.normalize_str(word)
        splits = [text]
        if backend.pre_tokenizer is not None:
            splits = [split for split, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        ids = [token.id for split in splits for token in backend.model.tokenize(split)]
        return Tokens(ids, [(0, len(word))] * len(ids))

    def _without_newline(self, tokens: Tokens) -> Tokens | None:
        """The tokens of a text behind a newline, if the newline is a token of its own."""
        newline = self._plain("\n").ids
        if tokens.ids[: len(newline)] != newline:
            return None
        offsets = [(max(start - 1, 0), max(end - 1, 0)) for start, end in tokens.offsets[len(newline) :]]
        return Tokens(tokens.ids[len(newline) :], offsets)
