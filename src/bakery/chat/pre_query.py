"""The header of a message that the model itself is to write: a user turn, or a system message.

A prompted chat model writes user turns when it is given everything up to and including the bare header of the next user
message and goes on until the end of the turn; Magpie (Xu et al. 2024, arXiv:2406.08464) calls this the pre-query
template. The header is located by rendering the conversation with a sentinel as the message's words, never by
searching for a role's name.

The law: for words without white space at their ends, the token ids of the whole rendering begin with `PreQuery.ids`
(words that begin with the name of a control token aside, which are encoded apart from what precedes them).
Tokenizers may join the end of a header with the beginning of the words: the space of `[INST] ` belongs to the word
behind it. Such an end is left to the model, which writes it as it has read it in training.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from string import ascii_letters, digits, punctuation
from typing import Any

from bakery.chat.contexts import Context
from bakery.chat.encoding import Encoder, Text
from bakery.chat.rendering import Message, Renderer, plain_messages
from bakery.chat.turns import Locator, sentinels
from bakery.chat.views import ViewBuilder
from bakery.errors import ViewError

_ORDINARY = ("what is 7 + 8?", "Ärger, she said: 'no'.")
"""Words that a template has to write as they are."""

_BEGINNINGS = (
    *ascii_letters,
    *digits,
    *punctuation,
    *(f"{mark}a" for mark in punctuation),
    *(f"{mark}{mark}" for mark in punctuation),
    *("What", "I'm", "n't", "é", "Ж", "東", "ع", "🙂", "¿", "«", "“", "—", "…"),
)
"""Beginnings of words, of every kind that tokenizers join with what stands before them, or not."""

_NEAR = 256
"""Characters before the words that are looked at first; the tokens before them hardly ever depend on the words."""

_BYTE = re.compile("<0x[0-9A-F]{2}>")


@dataclass(frozen=True, slots=True)
class PreQuery:
    """What a model continues to write a message of a conversation.

    Attributes:
        ids: everything before the message's words.
        stop_ids: tokens that end the message: the control token that the template writes behind the words, the
            tokenizer's end-of-sequence token, and those that the caller adds.
        stop_text: the text that ends the message where the template writes no control token right behind the words,
            such as ` [/INST]` or `\\n\\nAssistant:`; empty where a stop token does. A sampler that stops at tokens only
            runs on behind it, and `words` cuts it off.
        lead: the end of the header that is left to the model since its token depends on the words; mostly empty or a
            space.
        control_ids: tokens that no message holds.
    """

    ids: tuple[int, ...]
    stop_ids: frozenset[int]
    stop_text: str
    lead: str
    control_ids: frozenset[int]

    def words(self, tokenizer: Any, ids: Sequence[int]) -> str | None:
        """The words of a message that was sampled behind `ids`, without white space at their ends.

        Returns:
            None where the turn is broken: it was never ended, is empty, begins with something else than the rest of
            the header, or holds a control token or half a character.
        """
        written = list(takewhile(lambda token: token not in self.stop_ids | self.control_ids, ids))
        # The space is one that many tokenizers leave out before the first word, where a stop text may begin with it.
        text = " " + _decoded(tokenizer, written)
        end = text.find(self.stop_text) if self.stop_text else -1
        if end >= 0:
            text = text[:end]
        elif len(written) == len(ids) or ids[len(written)] not in self.stop_ids:
            return None
        text, lead = text.strip(), self.lead.strip()
        if not text.startswith(lead) or "\N{REPLACEMENT CHARACTER}" in text:
            return None
        return text.removeprefix(lead).strip() or None


def pre_query(
    builder: ViewBuilder,
    row: Sequence[Mapping[str, Any]] = (),
    *,
    prefix: Sequence[Mapping[str, Any]] | None = None,
    prompted: bool = True,
    role: str = "user",
    end_ids: Iterable[int] = (),
) -> PreQuery:
    """What a model continues to write the message that follows `row`, by the rules that `builder` makes views by.

    Args:
        builder: renders and tokenises.
        row: the row's messages so far; none before its first user message.
        prefix: the row's own prefix; the builder's when None.
        prompted: whether the prefix is seen (the teacher's view), or only what is retained of it (the student's).
        role: `user`, or `system` for a system message at the very beginning, behind neither row nor prefix.
        end_ids: further tokens that end a message, such as those of the model's generation settings.

    Raises:
        ViewError: there is no header to continue: the template leaves a message out, rewrites the words or writes them
            more than once, writes nothing before them, or nothing behind them that tells their end.
        TemplateError: the template cannot render the conversation.
        DataError: a message is malformed.
    """
    if role == "system":
        if row or prefix:
            raise ViewError("a system message that the model writes is the first message; give neither row nor prefix")
        conversation, locator = _system_conversation(builder), builder.prompt_locator
    elif role == "user":
        conversation, locator = _user_conversation(builder, plain_messages(row), prefix, prompted)
    else:
        raise ViewError(f"role: got {role!r}; the model can be asked to write a user or a system message")
    head, tail = _split(locator, conversation, role)
    ids, lead = _head_ids(builder.encoder, head, tail)
    if not ids:
        raise ViewError(f"the chat template writes nothing before the {role} message; use another template")
    tokenizer, control = builder.renderer.tokenizer, _control_ids(builder.renderer)
    stop_id, stop_text = _stop(builder, tail)
    if stop_id is None and not stop_text:
        raise ViewError(
            f"the chat template writes nothing behind the {role} message that tells its end; use another template"
        )
    stop_ids = {stop_id, tokenizer.eos_token_id, *end_ids} - {None}
    return PreQuery(ids, frozenset(stop_ids), stop_text, lead, control)


Conversation = Callable[[str], list[Message]]
"""The whole conversation with these words in the message that is asked for."""


def _user_conversation(
    builder: ViewBuilder, row: list[Message], prefix: Sequence[Mapping[str, Any]] | None, prompted: bool
) -> tuple[Conversation, Locator]:
    """The conversation, and the locator with the tools that are seen in it."""
    bare = not (builder.rules.prefix if prefix is None else prefix)
    own = None if prefix is None else plain_messages(prefix, "prefix_messages")

    def context(words: str) -> Context:
        return builder.rules.context([*row, {"role": "user", "content": words}], own, anchor=bare)

    teacher, student = builder.prompt_locators(context(""))
    if prompted:
        return lambda words: context(words).teacher, teacher
    return lambda words: context(words).student, student


_QUESTION = "Qui va là"
"""Behind a system message, as many templates refuse a conversation without a user message."""


def _system_conversation(builder: ViewBuilder) -> Conversation:
    if builder.rules.fold:
        raise ViewError("system messages are folded into the user's, so none has a header; write them by other means")
    return lambda words: [{"role": "system", "content": words}, {"role": "user", "content": _QUESTION}]


def _split(locator: Locator, conversation: Conversation, role: str) -> tuple[Text, Text]:
    """What the template writes before and behind the words; behind a system message up to the question.

    Raises:
        ViewError: it depends on the words, or they stand at several positions or none.
        TemplateError: the template cannot render the conversation.
    """
    (mark,) = sentinels(conversation(""), 1)
    shadow = locator.prompt(conversation(mark))
    if shadow.text.count(mark) != 1:
        often = "more than once" if mark in shadow.text else "in other words"
        raise ViewError(f"the chat template writes the {role} message {often}; use another template")
    at = shadow.text.index(mark)
    head, tail = shadow[:at], shadow[at + len(mark) :]
    for words in _ORDINARY:
        if locator.renderer.render(conversation(words), generation_prompt=True) != head + Text(words) + tail:
            raise ViewError(f"the chat template rewrites the {role} message; use another template")
    return head, tail[: tail.text.index(_QUESTION)] if role == "system" and _QUESTION in tail.text else tail


def _head_ids(encoder: Encoder, head: Text, tail: Text) -> tuple[tuple[int, ...], str]:
    """The tokens of `head` that are the same whatever words follow, and the end of it that they leave out."""
    whole = encoder.encode(head + Text(_BEGINNINGS[0]) + tail)
    near = head[max(len(head.text) - _NEAR, 0) :]
    behind = _unsettled(encoder, near, tail) if near.pieces is None else whole.ids
    if len(behind) == len(whole.ids) or whole.ids[-len(behind) :] != behind:  # nearness does not suffice here
        behind = _unsettled(encoder, head, tail)
    count = len(whole.ids) - len(behind)
    return tuple(whole.ids[:count]), head.text[whole.offsets[count - 1][1] if count else 0 :]


def _unsettled(encoder: Encoder, near: Text, tail: Text) -> list[int]:
    """The tokens of near, the first beginning and tail that lie behind those of `near` that no beginning changes."""
    first = encoder.encode(near + Text(_BEGINNINGS[0]) + tail).ids
    settled = len(first)
    for beginning in _BEGINNINGS:
        tokens = encoder.encode(near + Text(beginning) + tail)
        ends = zip(tokens.ids, (end for _, end in tokens.offsets), strict=True)
        inside = takewhile(lambda token: token[1] <= len(near.text), ends)
        equal = takewhile(lambda pair: pair[0] == pair[1][0], zip(first[:settled], inside, strict=False))
        settled = sum(1 for _ in equal)
    return first[settled:]


def _control_ids(renderer: Renderer) -> frozenset[int]:
    """The tokens that are control tokens; those of single bytes, which some tokenizers call special, are not."""
    added = {
        name: token for name, token in renderer.tokenizer.added_tokens_encoder.items() if not _BYTE.fullmatch(name)
    }
    control = {token for name, token in added.items() if renderer.control.fullmatch(name)}
    return frozenset(control.union(renderer.tokenizer.all_special_ids))


def _stop(builder: ViewBuilder, tail: Text) -> tuple[int | None, str]:
    """The first control token behind the words, if any, and the first line of text before it as it is decoded."""
    pieces = tail.pieces or [(tail.text, False)]
    template = "".join("\0" * len(piece) if from_data else piece for piece, from_data in pieces)
    tokenizer, token = builder.renderer.tokenizer, builder.renderer.control.search(template)
    line = re.match(r"\s*\S[^\n]*", tail.text[: token.start()] if token else tail.text)
    stop_id = tokenizer.added_tokens_encoder[token[0]] if token else None
    if line is None:
        return stop_id, ""
    with_words, words = (
        _decoded(tokenizer, builder.encoder.encode(Text(text)).ids)
        for text in (_ORDINARY[0] + line[0].rstrip(), _ORDINARY[0])
    )
    return stop_id, with_words.removeprefix(words)


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
