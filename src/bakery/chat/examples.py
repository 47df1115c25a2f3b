"""Turns to tokens: both views of an example, with equal targets.

A view is tokenised as a whole where its tokens fall apart into those of the context alone and those of the turn;
elsewhere context and turn are tokenised each by itself, as they are when a server sends the one and a model writes the
other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bakery.chat.encoding import Encoder, Text, Tokens
from bakery.chat.rendering import Message
from bakery.chat.targets import Pattern, Span, behind_thinking, positions
from bakery.chat.turns import Turn
from bakery.errors import ViewError


@dataclass(frozen=True, slots=True)
class View:
    """A conversation as it is shown to one of the two, up to a target turn; `targets` are positions in `tokens.ids`."""

    messages: Sequence[Message]
    text: Text
    tokens: Tokens
    spans: tuple[Span, ...]
    targets: list[int]

    def begins(self, other: "View") -> bool:
        """Whether all of this view up to its last target is what `other` begins with."""
        return other.tokens.ids[: self.targets[-1] + 1] == self.tokens.ids[: self.targets[-1] + 1]


Example = tuple[View, View]
"""The teacher's view and the student's."""


@dataclass(frozen=True, slots=True)
class ExampleBuilder:
    """Tokenises turns.

    Args:
        encoder: of the bake's tokenizer.
        pattern: only what it matches within a message is a target.
        all_offsets: whether the characters of tokens before the first target are wanted too.
        target_thinking: whether what is written before a message's own content is a target.
    """

    encoder: Encoder
    pattern: Pattern | None = None
    all_offsets: bool = False
    target_thinking: bool = True

    def example(self, messages: Sequence[Sequence[Message]], turns: Sequence[Turn]) -> Example:
        """The views of one target turn, of the teacher and of the student.

        Raises:
            ViewError: their targets cannot be the same tokens, or the pattern matches nothing.
        """
        if example := self._sharing(messages, turns):
            return example
        wholes = [self._whole(turn) for turn in turns]
        learned = [whole and self._learned(turn, whole) for turn, whole in zip(turns, wholes, strict=True)]
        whole = None not in learned and learned[0] == learned[-1]
        if not whole and messages[0][-1]["role"] != "assistant":
            raise ViewError(
                "the tokenizer joins the message to what stands before or behind it; strip white space at its ends"
            )
        views = [
            self._view(part, turn, (whole and wholes[i]) or self._apart(turn), whole)
            for i, (part, turn) in enumerate(zip(messages, turns, strict=True))
        ]
        return views[0], views[-1]

    def _sharing(self, messages: Sequence[Sequence[Message]], turns: Sequence[Turn]) -> Example | None:
        """Both views where the teacher's text ends as the student's does, whose tokens are then its tokens."""
        teacher, own = turns[0], turns[-1]
        if len(turns) == 1 or self.all_offsets or teacher.learned is not own.learned:
            return None
        student = self._whole(own)
        if student is None or teacher.rendering is None or own.rendering is None or self._learned(own, student) is None:
            return None
        end = len(own.context.text)
        tokens = self.encoder.behind_another(teacher.rendering, own.rendering, student, end)
        if tokens is None:
            return None
        view, shift = self._view(messages[-1], own, student, True), len(tokens.ids) - len(student.ids)
        targets = [target + shift for target in view.targets]
        return View(messages[0], teacher.rendering, tokens, (_span(teacher),), targets), view

    def _view(self, messages: Sequence[Message], turn: Turn, tokens: Tokens, whole: bool) -> View:
        text = turn.rendering if whole and turn.rendering else turn.context + turn.learned
        span = _span(turn)
        targets = positions(text.text, tokens, span, self.pattern)
        if not self.target_thinking:
            targets = behind_thinking(targets, tokens, span)
        return View(messages, text, tokens, (span,), targets)

    def _whole(self, turn: Turn) -> Tokens | None:
        """The tokens of the template's rendering; None if they are not those of the context alone and some more."""
        if turn.rendering is None:
            return None
        start = len(turn.context.text)
        since = 0 if self.all_offsets else start
        tokens, context = self.encoder.encode_with_context(turn.rendering, start, since)
        return tokens if tokens.ids[: len(context)] == context else None

    def _learned(self, turn: Turn, tokens: Tokens) -> list[int] | None:
        """The token ids of the turn in those of its rendering; None if a token reaches across its end."""
        start = len(turn.context.text)
        span = Span(start, start, start, start + len(turn.learned.text))
        if any(a < span.stop < b for a, b in tokens.offsets):
            return None
        return [tokens.ids[position] for position in positions("", tokens, span)]

    def _apart(self, turn: Turn) -> Tokens:
        start = len(turn.context.text)
        context = self.encoder.encode(turn.context, 0 if self.all_offsets else start)
        learned = self.encoder.encode_behind(turn.learned)
        offsets = [*context.offsets, *((start + a, start + b) for a, b in learned.offsets)]
        return Tokens(context.ids + learned.ids, offsets, context.skipped)


def _span(turn: Turn) -> Span:
    """Where the turn stands in the text of its view."""
    start = len(turn.context.text)
    return Span(start, start + turn.content, start + turn.end, start + len(turn.learned.text))


def together(examples: Sequence[Example]) -> list[Example]:
    """One example of all target turns, if the last begins with every other in both views; else all of them."""
    *earlier, last = examples
    if not earlier or not all(
        mine.begins(other) for example in earlier for mine, other in zip(example, last, strict=True)
    ):
        return list(examples)
    merged = []
    for side, view in enumerate(last):
        spans = tuple(span for example in examples for span in example[side].spans)
        targets = [position for example in examples for position in example[side].targets]
        merged.append(View(view.messages, view.text, view.tokens, spans, targets))
    return [(merged[0], merged[1])]
