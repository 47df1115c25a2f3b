"""What every token of both views is to a bake: context, header, target, or an end of turn that is a target.

Headers are what the template writes around words. Nothing here knows how it is shown; see `inspection.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from bakery.chat.examples import View
from bakery.chat.rendering import Message, plain_messages
from bakery.chat.template_checks import TemplateCheck, check_template
from bakery.chat.turns import Locator, sentinels
from bakery.chat.views import ViewBuilder
from bakery.errors import BakeryError
from bakery.rows.conversations import Conversation

Kind = Literal["context", "header", "target", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its id, the characters it stands for, and what it is to the bake."""

    id: int
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Shown:
    """One example of a row as both views, or why the row is refused.

    `unanswered`: the teacher is to answer it; `answer_only`: of what it writes then, its thoughts are not learned.
    """

    source: str
    teacher: Sequence[Token] = ()
    student: Sequence[Token] = ()
    refused: str = ""
    unanswered: bool = False
    answer_only: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything `bakery inspect` shows."""

    rows: list[Shown]
    template_checks: list[TemplateCheck]
    notes: list[str]


def inspect_views(builder: ViewBuilder, conversations: Iterable[Conversation], rows: int = 4) -> Inspection:
    """Look at the first `rows` conversations as `builder` shows them.

    Raises:
        TemplateError: the tokenizer has no usable chat template.
    """
    template_checks = check_template(builder.renderer.tokenizer, builder.renderer.kwargs)
    shown = [example for row in islice(conversations, rows) for example in _shown(builder, row)]
    told = tuple(check.text for check in template_checks)
    return Inspection(shown, template_checks, [remark for remark in builder.remarks() if not remark.endswith(told)])


def _shown(builder: ViewBuilder, conversation: Conversation) -> list[Shown]:
    try:
        if not conversation.answered:
            return [_prompt(builder, conversation)]
        builder.views(conversation)
        again = copy(builder)
        again.notes = Counter()  # the row is counted
        context, examples = again.examples(conversation, all_offsets=True)
        first, second = builder.prompt_locators(context)
        return [
            Shown(conversation.source, _tokens(first, teacher), _tokens(second, student))
            for teacher, student in examples
        ]
    except BakeryError as error:
        source = conversation.source
        return [Shown(source, refused=str(error).removeprefix(f"{source}: "))]


def _prompt(builder: ViewBuilder, conversation: Conversation) -> Shown:
    """A row that the teacher is to answer: both views up to the generation prompt."""
    builder.prompts(conversation)
    row = plain_messages(conversation.messages)
    context = builder.rules.context(row, conversation.prefix, conversation.tools, anchor=False)
    views = []
    for locator, messages in zip(builder.prompt_locators(context), (context.teacher, context.student), strict=True):
        text = locator.prompt(messages)
        views.append(_tokens(locator, View(messages, text, builder.encoder.encode(text), (), [])))
    teacher, student = views
    answer_only = builder.thinking is not None and not builder.target_thinking
    return Shown(conversation.source, teacher, student, unanswered=True, answer_only=answer_only)


def _tokens(locator: Locator, view: View) -> list[Token]:
    """All tokens of a view with their kinds."""
    targets, ends = set(view.targets), [(span.end, span.stop) for span in view.spans]
    words = [*_words(locator, view), *((span.content, span.end) for span in view.spans)]
    shown: list[Token] = []
    before = (-1, -1)
    for i, (token_id, (a, b)) in enumerate(zip(view.tokens.ids, view.tokens.offsets, strict=True)):
        kind: Kind = "context" if any(start <= a < stop for start, stop in words) else "header"
        if i in targets:
            kind = "end" if any(start <= a < stop for start, stop in ends) else "target"
        shown.append(Token(token_id, "" if (a, b) == before else view.text.text[a:b], kind))
        before = (a, b)
    return shown


def _words(locator: Locator, view: View) -> list[tuple[int, int]]:
    """Where the words of the messages that are context stand in a view, as far as can be told."""
    messages, text = view.messages, view.text.text
    answered = bool(view.spans) and messages[-1]["role"] == "assistant"
    if answered:
        messages, text = messages[:-1], text[: view.spans[-1].start]
    spans = []
    for i, message in enumerate(messages):
        (mark,) = sentinels(messages, 1)
        probe: list[Message] = [*messages[:i], {**message, "content": mark}, *messages[i + 1 :]]
        try:
            shadow = locator.renderer.render(probe, generation_prompt=answered or not view.spans)
        except BakeryError:
            continue
        before, _, after = shadow.text.partition(mark)
        if text.startswith(before) and text.endswith(after):
            spans.append((len(before), len(text) - len(after)))
    return spans
