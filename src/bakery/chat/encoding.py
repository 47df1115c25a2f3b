"""A rendered text to token ids with the characters each token stands for; text that many rows begin with only once."""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tokenizers import Tokenizer, processors

from bakery.errors import TemplateError, ViewError

LARGEST_CACHE = 128


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

    The first `skipped` ids stand for the text's known head and have no entry in `offsets`.
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


@dataclass(frozen=True, slots=True)
class _Head:
    """What all texts of one family seen so far begin with: `text`, its ids, and the control token behind it.

    Without ids, `text` is only what the first text was.
    """

    text: str
    token: str = ""
    ids: tuple[int, ...] = ()


class Encoder:
    """Tokenises as `apply_chat_template(tokenize=True)` does: without the tokenizer's own special tokens.

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
        self._heads: dict[str, _Head] = {}
        self._last: tuple[str, Tokens] = ("", Tokens([], []))
        self._ids = lru_cache(LARGEST_CACHE)(lambda text: self._plain(text).ids)

    def encode(self, text: Text) -> Tokens:
        """Tokenise a rendered conversation; offsets are of `text.text`.

        All tokens of a control word from data stand for the whole word.

        Raises:
            ViewError: the tokenizer makes a control token even out of ordinary characters.
        """
        if text.pieces is None:
            return self._plain(text.text)
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

    def encode_in_family(self, text: Text, family: str, limit: int) -> Tokens:
        """The same ids as `encode`; what earlier texts of the `family` began with is not tokenised again.

        The text is cut before a control token, which no token reaches across; only within its first `limit` characters.
        """
        if text.pieces is not None:
            return self.encode(text)
        whole, start = text.text, text.text[:limit]
        head = self._heads.get(family)
        if head is None or not start.startswith(head.text + head.token):
            if len(self._heads) >= LARGEST_CACHE:
                self._heads.clear()
            head = self._heads[family] = self._common(head, whole, start) if head else _Head(start)
        if not head.ids:
            return self._remembered(whole)
        at = len(head.text)
        tail = self._remembered(whole[at:])
        return Tokens([*head.ids, *tail.ids], [(at + a, at + b) for a, b in tail.offsets], len(head.ids))

    def otherwise(self, text: Text, tokens: Tokens, end: int) -> str:
        """How `tokens`, of all of `text`, begin otherwise than its first `end` characters alone; empty if they do not.

        No token reaches across a control token, so only what follows the last one is compared.
        """
        since = self._last_control(text.text, end) if text.pieces is None else 0
        alone = self._ids(text.text[since:end]) if text.pieces is None else self.encode(text.head(end)).ids
        starts = [start for start, _ in tokens.offsets]
        first, last = bisect_left(starts, since), bisect_left(starts, end)
        here = tokens.ids[tokens.skipped + first : tokens.skipped + last]
        if here == alone:
            return ""
        alike = next((i for i, (a, b) in enumerate(zip(here, alone, strict=False)) if a != b), len(alone))
        shown = ([self.tokenizer.decode([i]) for i in ids[alike:]] for ids in (alone, here))
        return "it ends in the tokens {} alone, in {} here".format(*shown)

    def _last_control(self, text: str, end: int) -> int:
        """Where the last control token before `end` begins that ends whatever stands before it; 0 if there is none."""
        width = 64
        while width < 4 * end:
            places = [match.start() for match in self._safe.finditer(text, max(end - width, 0), end)]
            if places:
                return places[-1]
            width *= 4
        return 0

    def _common(self, head: _Head, whole: str, start: str) -> _Head:
        """The head cut back, before a control token, to what it has in common with `start`; verified on `whole`."""
        common = common_length(head.text + head.token, start)
        cuts = [match for match in self._safe.finditer(start[:common]) if match.start()]
        if not cuts:
            return _Head("")
        at, token = cuts[-1].start(), cuts[-1][0]
        first = self._plain(whole[:at]).ids
        if first + self._plain(whole[at:]).ids != self._plain(whole).ids:
            return _Head("")
        return _Head(whole[:at], token, tuple(first))

    @cached_property
    def _safe(self) -> re.Pattern[str]:
        """Control tokens that end whatever stands before them, wherever they stand."""
        added = list(self.tokenizer.added_tokens_decoder.values())
        names = [
            token.content
            for token in added
            if not (token.normalized or token.lstrip or token.single_word or token.content.isspace())
            and not any(token.content in other.content[1:] for other in added)
        ]
        return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)")

    def _remembered(self, text: str) -> Tokens:
        """`_plain`, remembering the last text: the two views of a row mostly end in the same one."""
        if text != self._last[0]:
            self._last = (text, self._plain(text))
        return self._last[1]

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
        processor = backend.post_processor
        if processor is None or '"trim_offsets":true' not in str(processor.__getstate__()):
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
