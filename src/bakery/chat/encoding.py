"""A rendered text to token ids, with the characters that each token stands for."""

import re
from bisect import bisect_left
from collections.abc import Callable
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

    def head(self, end: int) -> "Text":
        """The text up to a character."""
        if self.pieces is None:
            return Text(self.text[:end])
        pieces, left = [], end
        for piece, from_data in self.pieces:
            if left > 0:
                pieces.append((piece[:left], from_data))
            left -= len(piece)
        return Text(self.text[:end], tuple(pieces))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of a text and the half-open range of characters each stands for.

    The first `skipped` ids have no entry in `offsets`; nobody asked which characters they stand for.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    skipped: int = 0


def common_length(a: str, b: str) -> int:
    """How many characters two texts have in common at their begin."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


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
            encoded = self._behind_newline(encode, piece) if i else encode(piece)
            if from_data and self.tokenizer.convert_tokens_to_ids(piece) in encoded.ids:
                raise ViewError(f"the tokenizer makes a control token even of the word {piece!r} in data; take it out")
            tokens.ids.extend(encoded.ids)
            tokens.offsets.extend((at + start, at + end) for start, end in encoded.offsets)
            at += len(piece)
        return tokens

    def cut_differently(self, text: Text, tokens: Tokens, end: int) -> str:
        """How the first tokens of a text differ from those of its first `end` characters alone; empty if equal."""
        alone = self.encode(text.head(end), since=end).ids
        here = tokens.ids[: tokens.skipped + bisect_left(tokens.offsets, (end, 0))]
        if here == alone:
            return ""
        same = next(
            (i for i, (a, b) in enumerate(zip(here, alone, strict=False)) if a != b), min(len(here), len(alone))
        )
        shown = ([self.tokenizer.decode([i]) for i in ids[same:]] for ids in (alone, here))
        return "it ends in the tokens {} alone, in {} here".format(*shown)

    def _encode_segments(self, text: str, since: int) -> Tokens:
        cuts = [] if self._segmented is False else self.cuts(text)
        if cuts and self._segmented is None:  # once, whether this tokenizer does as it should
            self._segmented = self._joined(text, cuts, 0).ids == self._plain(text).ids
        return self._joined(text, cuts if self._segmented else [], since)

    def _joined(self, text: str, cuts: list[int], since: int) -> Tokens:
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        skipped = 0
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            segment = self._segment(text[start:end])
            ids += segment.ids
            if end <= since:
                skipped += len(segment.ids)
            else:
                offsets += [(start + a, start + b) for a, b in segment.offsets]
        return Tokens(ids, offsets, skipped)

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

    def _behind_newline(self, encode: Callable[[str], Tokens], piece: str) -> Tokens:
        """Encode a piece from the middle of a text behind a newline, so that it is given no prefix space."""
        newline = self._plain("\n").ids
        encoded = encode("\n" + piece)
        if encoded.ids[: len(newline)] != newline:
            return encode(piece)
        offsets = [(max(start - 1, 0), max(end - 1, 0)) for start, end in encoded.offsets[len(newline) :]]
        return Tokens(encoded.ids[len(newline) :], offsets)
