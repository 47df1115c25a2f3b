"""A conversation to two token sequences: what the teacher sees and what the student sees.

The laws. A row that breaks one is refused with its reason, never masked wrongly:

a. target ids are equal one by one in both views, and so is the token before each run of targets;
b. targets are a message's content as the template writes it and its end-of-turn token(s), and nothing of a header;
c. each view is what `apply_chat_template` gives for its conversation, token for token;
d. the prefix stands in the teacher's view, and only what is retained of it in the student's;
e. an answer follows the generation prompt that sampling would use, token for token;
f. where a template rewrites earlier turns when later ones come, every target turn becomes a pair of its own.

Laws a and e are checked for every row; c for the student's view of every row, and for the teacher's of a sample of the
rows that differ in their words only (`shapes.py`). `contexts.py` makes the two conversations of a row and its prefix.
If a template writes no end-of-turn token after the last answer, the targets end with the content.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Literal, cast

from bakery.chat.contexts import Context, ContextRules
from bakery.chat.encoding import Encoder
from bakery.chat.rendering import Message, Renderer, content_of, plain_messages
from bakery.chat.shapes import Example, Shapes
from bakery.chat.spans import Locator, Part, PromptError
from bakery.chat.targets import Pattern, positions
from bakery.errors import BakeryError, ConfigError, DataError, ViewError
from bakery.rows.conversations import Conversation
from bakery.settings.config import ContextConfig

ASKING = "give prompts without answers (the teacher then writes them)"
THINKING = ("enable_thinking", "thinking", "keep_past_thinking")
"""Variables by which templates let thinking be chosen, commonest first."""


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Token ids of both views and the sorted positions of their targets; targets are equal one by one.

    Rows with an equal `prefix_key` share the messages that only the teacher sees before the row.
    """

    teacher_ids: list[int]
    student_ids: list[int]
    teacher_targets: list[int]
    student_targets: list[int]
    source: str = ""
    prefix_key: str = ""


@dataclass(frozen=True, slots=True)
class PromptPair:
    """Token ids of both views up to and including the generation prompt: what an answer is sampled from."""

    teacher_ids: list[int]
    student_ids: list[int]
    source: str = ""
    prefix_key: str = ""

    def with_answer(self, answer_ids: Sequence[int]) -> ViewPair:
        """Append sampled ids to both views; all of them are targets, exactly as they were sampled.

        Raises:
            ViewError: there are no ids.
        """
        answer = list(answer_ids)
        if not answer:
            raise ViewError(f"{self.source or 'row'}: the sampled answer is empty; there is nothing to learn from it")
        teacher, student = len(self.teacher_ids), len(self.student_ids)
        return ViewPair(
            self.teacher_ids + answer,
            self.student_ids + answer,
            list(range(teacher, teacher + len(answer))),
            list(range(student, student + len(answer))),
            self.source,
            self.prefix_key,
        )


class ViewBuilder:
    """Builds the views of many rows with the settings of one bake.

    Args:
        tokenizer: a fast transformers tokenizer with a chat template.
        prefix_messages: what the teacher sees before every row that brings no prefix of its own.
        student_retained_turns: how many trailing prefix messages the student sees too.
        target_roles: roles whose messages are targets.
        target_content_pattern: only messages in whose content this regular expression is found are targets.
        target_span_pattern: only what this expression (or its first group) matches inside a message is the target.
        system_role: `native` refuses a template that drops or rejects system messages; `fold` writes their text before
            the next user message instead.
        student_system: `empty` gives a student without system message an empty one; `none` leaves it to the template.
        chat_template_kwargs: variables for the template, the same in both views.
        today: the date that the template may insert; frozen at construction when omitted.

    Attributes:
        notes: what to tell about the rows so far, and in how many.
        control_words: how many control tokens stood in the rows so far; they were encoded as ordinary text.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        prefix_messages: Sequence[Mapping[str, Any]] | None = None,
        student_retained_turns: int = 0,
        target_roles: Sequence[str] = ("assistant",),
        target_content_pattern: str | None = None,
        target_span_pattern: str | None = None,
        system_role: Literal["native", "fold"] = "native",
        student_system: Literal["none", "empty"] = "none",
        chat_template_kwargs: Mapping[str, Any] | None = None,
        today: datetime | None = None,
    ) -> None:
        if student_retained_turns < 0:
            raise ConfigError(f"student_retained_turns: got {student_retained_turns}, must be 0 or more")
        if isinstance(target_roles, str) or not target_roles:
            raise ConfigError(f"target_roles: got {target_roles!r}, must be a list of roles such as [assistant]")
        self.renderer = Renderer(tokenizer, chat_template_kwargs=chat_template_kwargs, today=today)
        self.encoder = Encoder(tokenizer)
        self.locator = Locator(self.renderer)
        self.shapes = Shapes(self.locator)
        self.rules = ContextRules(
            plain_messages(prefix_messages or (), "prefix_messages"),
            student_retained_turns,
            fold=system_role == "fold",
            empty_system=student_system == "empty",
        )
        self.roles = frozenset(target_roles)
        self.content_pattern = (
            Pattern("target_content_pattern", target_content_pattern) if target_content_pattern else None
        )
        self.span_pattern = Pattern("target_span_pattern", target_span_pattern) if target_span_pattern else None
        self.notes: Counter[str] = Counter()
        self.control_words = 0

    def on(self, today: datetime) -> "ViewBuilder":
        """A builder with the same settings whose template may write another date."""
        return self._with({}, today)

    def remarks(self) -> list[str]:
        """What to tell about the rows built so far, in words, with counts."""
        lines = [f"in {count} row(s): {note}" for note, count in self.notes.items()]
        if self.control_words:
            lines.append(f"{self.control_words} control token(s) stand in the rows' words; they are kept as plain text")
        return lines

    def views(self, conversation: Conversation, *, anchor: bool = False) -> list[ViewPair]:
        """The view pairs of an answered row: one, or one per target turn where the template rewrites earlier turns.

        Raises:
            ViewError: the views cannot be aligned, are equal (unless `anchor`), or hold no target.
            TemplateError: the template cannot render one of the views.
            DataError: a message is malformed.
        """
        try:
            return self._views(conversation, anchor)
        except PromptError as error:
            remedy = self._remedy(conversation, anchor)
            raise _at(conversation.source, ViewError(f"{error}; {remedy}")) from None
        except DataError as error:
            raise _at(conversation.source, error) from error.__cause__

    def prompts(self, conversation: Conversation, *, anchor: bool = False) -> PromptPair:
        """Both views of an unanswered row, ending with the generation prompt.

        Raises:
            ViewError: the row is answered already, or both views are equal (unless `anchor`).
            TemplateError: the template cannot render one of the views.
            DataError: a message is malformed.
        """
        try:
            return self._prompts(conversation, anchor)
        except DataError as error:
            raise _at(conversation.source, error) from error.__cause__

    def examples(self, conversation: Conversation, *, anchor: bool = False) -> tuple[Context, list[Example]]:
        """Both conversations of an answered row, and its examples as text: what `views` tokenises.

        Raises:
            DataError: as `views`, without the row's source.
        """
        row = plain_messages(conversation.messages)
        context = self.rules.context(row, conversation.prefix, anchor=anchor)
        behind = [n for n in range(context.shared, 0, -1) if self._is_target(row[-n])]
        if not behind:
            matching = f" whose content matches {self.content_pattern.text!r}" if self.content_pattern else ""
            raise ViewError(
                f"no target: none of the {context.shared} message(s) has a role in {sorted(self.roles)}{matching}"
            )
        return context, self.shapes.examples(context, behind)

    def _views(self, conversation: Conversation, anchor: bool) -> list[ViewPair]:
        context, examples = self.examples(conversation, anchor=anchor)
        self.control_words += self.renderer.shield(conversation.messages)[1]
        return [self._pair(teacher, student, context, conversation.source) for teacher, student in examples]

    def _remedy(self, conversation: Conversation, anchor: bool) -> str:
        """What to do about answers that do not follow their generation prompt; tried on this very row."""
        row = plain_messages(conversation.messages)
        spaced = [message for message in row if self._is_target(message) and content_of(message)[:1].isspace()]
        for message in spaced:
            message["content"] = message["content"].lstrip()
        bare = replace(conversation, messages=tuple(row))
        tries: list[tuple[str, dict[str, bool], Conversation]] = []
        if spaced:
            tries.append(("strip leading white space from the answer", {}, bare))
        for name, value in product(THINKING, (False, True)):
            if name in self.renderer.source:
                words = f"set chat_template_kwargs: {{{name}: {str(value).lower()}}}, or {ASKING}"
                tries.append((words, {name: value}, conversation))
        return next((words for words, kwargs, row in tries if self._with(kwargs)._is_exact(row, anchor)), ASKING)

    def _with(self, kwargs: Mapping[str, Any], today: datetime | None = None) -> "ViewBuilder":
        """A builder with these variables for the template besides its own, on this day or another."""
        other = copy(self)
        kwargs, today = {**self.renderer.kwargs, **kwargs}, today or self.renderer.today
        other.renderer = Renderer(self.renderer.tokenizer, chat_template_kwargs=kwargs, today=today)
        other.locator = Locator(other.renderer)
        other.shapes = Shapes(other.locator)
        other.notes = Counter()
        return other

    def _is_exact(self, conversation: Conversation, anchor: bool) -> bool:
        """Whether the row has views, with all that was given in them."""
        try:
            return bool(self._views(conversation, anchor)) and not self.notes
        except BakeryError:
            return False

    def _pair(self, teacher: Part, student: Part, context: Context, source: str) -> ViewPair:
        ids, targets = [], []
        for part in (teacher, student):
            begin = min(span.start for span in part.spans)
            tokens = self.encoder.encode(part.text, since=begin)
            for span in part.spans:
                if span.prompted and (how := self.encoder.cut_differently(part.text, tokens, span.start)):
                    raise PromptError(
                        f"the tokenizer cuts the generation prompt differently when this answer follows: {how}"
                    )
            ids.append(tokens.ids)
            targets.append(
                sorted({p for span in part.spans for p in positions(part.text.text, tokens, span, self.span_pattern)})
            )
        self.notes.update(span.note for span in teacher.spans if span.note)
        pair = ViewPair(ids[0], ids[1], targets[0], targets[1], source, context.prefix_key)
        _check(pair, anchor=context.teacher is context.student)
        return pair

    def _prompts(self, conversation: Conversation, anchor: bool) -> PromptPair:
        row = plain_messages(conversation.messages)
        if row and row[-1]["role"] == "assistant":
            raise ViewError("the row ends with an answer, so there is nothing to sample; give it without")
        context = self.rules.context(row, conversation.prefix, anchor=anchor)
        self.control_words += self.renderer.shield(row)[1]
        self.shapes.check_prompts(context)
        ids = []
        for messages in (context.teacher, context.student):
            text = self.renderer.render(messages, generation_prompt=True)
            ids.append(self.encoder.encode(text, since=len(text.text)).ids)
        if ids[0][-1:] != ids[1][-1:]:
            raise ViewError("the generation prompt ends differently for teacher and student; use another chat template")
        _check_context(ids[0], ids[1], anchor)
        return PromptPair(ids[0], ids[1], conversation.source, context.prefix_key)

    def _is_target(self, message: Message) -> bool:
        if message["role"] not in self.roles:
            return False
        return not self.content_pattern or self.content_pattern.found_in(content_of(message))


def view_builder(
    tokenizer: Any,
    context: ContextConfig,
    prefix: Sequence[Mapping[str, Any]] | None,
    today: datetime | None = None,
) -> ViewBuilder:
    """The builder of views that a context asks for, behind a prefix that is read already."""
    return ViewBuilder(
        tokenizer,
        prefix_messages=prefix,
        student_retained_turns=context.student_retained_turns,
        target_roles=context.target_roles,
        target_content_pattern=context.target_content_pattern,
        target_span_pattern=context.target_span_pattern,
        system_role=cast(Any, context.system_role),
        student_system=cast(Any, context.student_system),
        chat_template_kwargs=context.chat_template_kwargs,
        today=today,
    )


def build_views(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    *,
    prefix_messages: Sequence[Mapping[str, Any]] | None = None,
    student_retained_turns: int = 0,
    target_roles: Sequence[str] = ("assistant",),
    target_content_pattern: str | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    anchor: bool = False,
    **settings: Any,
) -> list[ViewPair]:
    """Both views of one conversation; for many rows keep a `ViewBuilder`, which takes the same settings.

    Returns:
        One pair, or one per target turn where the template rewrites earlier turns when later ones come.

    Raises:
        BakeryError: the views cannot be aligned; the message says why and what to do.
    """
    builder = ViewBuilder(
        tokenizer,
        prefix_messages=prefix_messages,
        student_retained_turns=student_retained_turns,
        target_roles=target_roles,
        target_content_pattern=target_content_pattern,
        chat_template_kwargs=chat_template_kwargs,
        **settings,
    )
    return builder.views(_conversation(messages), anchor=anchor)


def build_prompts(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    *,
    prefix_messages: Sequence[Mapping[str, Any]] | None = None,
    student_retained_turns: int = 0,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    anchor: bool = False,
    **settings: Any,
) -> PromptPair:
    """Both views of one unanswered conversation, ending with the generation prompt.

    Raises:
        BakeryError: the views cannot be made; the message says why and what to do.
    """
    builder = ViewBuilder(
        tokenizer,
        prefix_messages=prefix_messages,
        student_retained_turns=student_retained_turns,
        chat_template_kwargs=chat_template_kwargs,
        **settings,
    )
    return builder.prompts(_conversation(messages), anchor=anchor)


def prompt_ids(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    *,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> list[int]:
    """Token ids of plain messages and the generation prompt, with the same shielding and dates as the views.

    Raises:
        TemplateError: the template cannot render them.
        DataError: a message is malformed.
    """
    renderer = Renderer(tokenizer, chat_template_kwargs=chat_template_kwargs)
    return Encoder(tokenizer).encode(renderer.render(plain_messages(messages), generation_prompt=True)).ids


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    return Conversation(messages=cast(Any, tuple(messages)), prefix=None, source="")


def _check(pair: ViewPair, anchor: bool) -> None:
    """The laws that can be read off the ids.

    Raises:
        ViewError: a law does not hold.
    """
    teacher = [pair.teacher_ids[p] for p in pair.teacher_targets]
    student = [pair.student_ids[p] for p in pair.student_targets]
    if not teacher:
        raise ViewError("the targets hold no token: the message is empty and the template writes no end of turn")
    if teacher != student:
        raise ViewError(
            "the tokenizer writes the targets differently behind the prefix; strip white space at the message's ends"
        )
    before = [
        [ids[p - 1] if p else None for p, last in zip(targets, [-2, *targets], strict=False) if p != last + 1]
        for ids, targets in (
            (pair.teacher_ids, pair.teacher_targets),
            (pair.student_ids, pair.student_targets),
        )
    ]
    if before[0] != before[1]:
        raise ViewError("the token before a target differs between teacher and student; use another chat template")
    _check_context(pair.teacher_ids, pair.student_ids, anchor)


def _check_context(teacher: list[int], student: list[int], anchor: bool) -> None:
    if (teacher == student) != anchor:
        raise ViewError(
            "an anchor row must look the same to teacher and student"
            if anchor
            else "nothing to bake: the chat template shows teacher and student the same; it drops the prefix "
            "(system_role: fold puts system messages into the user's)"
        )


def _at(source: str, error: DataError) -> DataError:
    return type(error)(f"{source}: {error}") if source else error
