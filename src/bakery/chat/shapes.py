"""What rows of one shape (the roles of their messages) share, so that most rows need two renderings.

`Locator.side` renders a row about ten times with sentinels in it, and what it finds depends on the roles of the
messages, hardly on their words. So it is done once for each shape, with sentinels as the words; the result is a layout:
fixed texts, slots, and spans relative to the slots. A row's words are put into the slots, and the outcome is compared
with the real rendering: of the student's view for every row; of the teacher's, which has the prefix before the very
same messages, for the first 16 rows of a shape and then for every 64th, so that a long prefix is not rendered per row.
A row that holds more than plain text, or words that the template may look for, or that does not come out equal, is
located by `Locator.side` itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bakery.chat.contexts import Context
from bakery.chat.encoding import Text
from bakery.chat.rendering import Message
from bakery.chat.spans import Locator, Part, Side, Span, sentinels
from bakery.errors import BakeryError

LARGEST_CACHE = 512
FIRST_ROWS, EVERY = 16, 64
_PAD = "\n \n"
_LEFT: dict[str, Callable[[str], str]] = {_PAD: str, " \n": lambda text: text.lstrip("\n"), "": str.lstrip}
_RIGHT: dict[str, Callable[[str], str]] = {_PAD: str, "\n ": lambda text: text.rstrip("\n"), "": str.rstrip}

Example = tuple[Part, Part]


@dataclass(frozen=True, slots=True)
class _Layout:
    """One view of one example: fixed texts around slots, how a slot is trimmed, and its spans by slot."""

    length: int
    slots: tuple[int, ...]
    fixed: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    spans: tuple[tuple[int, Span], ...]


@dataclass(slots=True)
class _Shape:
    """The layouts of a shape, for each example the teacher's and the student's; and how many rows used them."""

    layouts: list[tuple[_Layout, _Layout]]
    rows: int = 0

    @property
    def checks_teacher(self) -> bool:
        return self.rows < FIRST_ROWS or self.rows % EVERY == 0


class Shapes:
    """Finds the examples of rows: by the layouts of their shape where it has any, else by the locator."""

    def __init__(self, locator: Locator) -> None:
        self.locator = locator
        self._known: dict[object, _Shape | None] = {}
        self._checked_prompts: set[object] = set()

    def check_prompts(self, context: Context) -> None:
        """Refuse prompts out of which the template leaves a message; the template is asked once for each shape.

        Raises:
            ViewError: a message is not written.
            TemplateError: the template cannot render the conversation.
        """
        fixed = {id(message) for message in context.prefix}
        key = self._key(context, (), fixed) if self._all_plain(context, fixed) else None
        if key is None or key not in self._checked_prompts:
            for messages in (context.teacher, context.student):
                self.locator.check_written(messages, generation_prompt=True)
        if key is not None:
            if len(self._checked_prompts) >= LARGEST_CACHE:
                self._checked_prompts.clear()
            self._checked_prompts.add(key)

    def examples(self, context: Context, behind: Sequence[int]) -> list[Example]:
        """Both views of a row with the spans of their targets: one example, or one per target turn.

        Raises:
            ViewError: a message is not written, or a target cannot be located.
            TemplateError: the template cannot render the conversation.
        """
        fixed = {id(message) for message in context.prefix}
        if self._all_plain(context, fixed):
            key = self._key(context, behind, fixed)
            if key in self._known:
                shape = self._known[key] = self._known[key] or self._build(context, behind, fixed)
                if filled := self._fill_all(shape, context):
                    return filled
            else:
                if len(self._known) >= LARGEST_CACHE:
                    self._known.clear()
                self._known[key] = None
        return self.slowly(context.teacher, context.student, behind)

    def slowly(self, teacher: list[Message], student: list[Message], behind: Sequence[int]) -> list[Example]:
        """What `examples` gives, without layouts."""
        sides = [self.locator.side(teacher, behind)]
        sides.append(sides[0] if student is teacher else self.locator.side(student, behind))
        return _aligned(sides[0], sides[1])

    def _all_plain(self, context: Context, fixed: set[int]) -> bool:
        both = (*context.teacher, *context.student)
        return all(self._is_plain(message) for message in both if id(message) not in fixed)

    def _is_plain(self, message: Message) -> bool:
        content = message.get("content")
        return (
            len(message) == 2
            and isinstance(content, str)
            and bool(content.strip())
            and not self.locator.renderer.triggers.search(content)
        )

    def _key(self, context: Context, behind: Sequence[int], fixed: set[int]) -> object:
        shape = (
            tuple("" if id(message) in fixed else message["role"] for message in messages)
            for messages in (context.teacher, context.student)
        )
        return context.prefix_key if context.prefix else "", tuple(behind), *shape

    def _build(self, context: Context, behind: Sequence[int], fixed: set[int]) -> _Shape:
        """The layouts of a shape; none if the template does more than put words into slots."""
        unique = iter(sentinels(context.teacher, len(context.teacher) + len(context.student)))
        words: dict[str, str] = {}

        def stand_in(message: Message) -> Message:
            content = message["content"]
            if id(message) in fixed:
                return message
            if content not in words:
                words[content] = next(unique)
            return {**message, "content": words[content]}

        teacher = [stand_in(message) for message in context.teacher]
        student = teacher if context.student is context.teacher else [stand_in(message) for message in context.student]
        slots = [
            tuple(i for i, message in enumerate(messages) if id(message) not in fixed)
            for messages in (context.teacher, context.student)
        ]
        try:
            examples = self.slowly(teacher, student, behind)
            return _Shape(
                [(self._layout(first, slots[0]), self._layout(second, slots[1])) for first, second in examples]
            )
        except (BakeryError, _NoMould):
            return _Shape([])

    def _layout(self, part: Part, slots: Sequence[int]) -> _Layout:
        slots = tuple(i for i in slots if i < len(part.messages))
        marks = [part.messages[i]["content"] for i in slots]
        fixed = _split(part.text.text, marks)
        padded = [
            {**message, "content": f"{_PAD}{message['content']}{_PAD}"} if i in slots else message
            for i, message in enumerate(part.messages)
        ]
        edges = _edges(fixed, _split(self.locator.renderer.render(padded).text, marks))
        slot_spans, at = [], 0
        for text, mark in zip(fixed, marks, strict=False):
            at += len(text)
            slot_spans.append((at, at + len(mark)))
            at += len(mark)
        spans = []
        for span in part.spans:
            slot = next((n for n, (_, end) in enumerate(slot_spans) if end == span.end), None)
            if slot is None:
                raise _NoMould
            spans.append((slot, _moved(span, -slot_spans[slot][0], -slot_spans[slot][1])))
        return _Layout(len(part.messages), slots, tuple(fixed), edges, tuple(spans))

    def _fill_all(self, shape: _Shape, context: Context) -> list[Example]:
        """The examples of a row, or none where a view does not come out as the template writes it."""
        alike = context.student is context.teacher
        examples: list[Example] = []
        for teacher, student in shape.layouts:
            second = self._fill(student, context.student)
            first = second if alike else self._fill(teacher, context.teacher, check=shape.checks_teacher)
            if first is None or second is None:
                return []
            examples.append((first, second))
        shape.rows += 1
        return examples

    def _fill(self, layout: _Layout, conversation: list[Message], *, check: bool = True) -> Part | None:
        messages = conversation if layout.length == len(conversation) else conversation[: layout.length]
        slot_spans, pieces, at = [], [layout.fixed[0]], len(layout.fixed[0])
        for slot, (left, right), behind in zip(layout.slots, layout.edges, layout.fixed[1:], strict=True):
            words = _RIGHT[right](_LEFT[left](messages[slot]["content"]))
            slot_spans.append((at, at + len(words)))
            pieces += (words, behind)
            at += len(words) + len(behind)
        text = Text("".join(pieces))
        if check and self.locator.renderer.render(messages) != text:
            return None
        return Part(messages, text, [_moved(span, *slot_spans[slot]) for slot, span in layout.spans])


class _NoMould(Exception):
    """The shape has no layout."""


def _aligned(teacher: Side, student: Side) -> list[Example]:
    """One example if both views hold all targets as they would be answered; else one per target turn."""
    if teacher.whole and student.whole:
        return [(teacher.whole, student.whole)]
    return list(zip(teacher.heads, student.heads, strict=True))


def _moved(span: Span, begin: int, end: int) -> Span:
    return replace(
        span,
        start=span.start + begin,
        content=span.content + begin,
        end=span.end + end,
        stop=span.stop + end,
    )


def _split(text: str, marks: Sequence[str]) -> list[str]:
    """The texts around marks, each of which must stand in `text` once and in order."""
    parts = []
    for mark in marks:
        before, separator, text = text.partition(mark)
        if not separator or mark in text:
            raise _NoMould
        parts.append(before)
    return [*parts, text]


def _edges(fixed: Sequence[str], padded: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What the template leaves of white space at both ends of each slot."""
    lefts, rights = [], []
    for n, (text, wide) in enumerate(zip(fixed, padded, strict=True)):
        fits = [
            (right, left)
            for right in (_RIGHT if n else [""])
            for left in (_LEFT if n < len(fixed) - 1 else [""])
            if wide == right + text + left
        ]
        if len(fits) != 1:
            raise _NoMould
        rights.append(fits[0][0])
        lefts.append(fits[0][1])
    return tuple(zip(lefts[:-1], rights[1:], strict=True))
