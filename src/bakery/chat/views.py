"""A conversation to two token sequences: what the teacher sees and what the student sees.

The laws. A row that breaks one is refused with its reason, never masked wrongly:

a. target ids are equal one by one in both views, and so is the token before each run of targets;
b. targets are what the model itself writes behind the generation prompt: its thinking or markup, the message's content
   as the template writes it, and the end-of-turn token(s); nothing of a header;
c. what precedes an answer is what a server would send for it, token for token: the template's rendering of the messages
   before it, with the generation prompt;
d. the prefix stands in the teacher's view, and only what is retained of it in the student's;
e. where the template's rendering of the whole conversation begins with all of that, a view is that rendering, token for
   token; elsewhere nothing but white space stands behind the end of its last turn;
f. where a template shows earlier turns otherwise than the last one, every target turn becomes a pair of its own.

`contexts.py` makes the two conversations of a row and its prefix, `turns.py` finds context and target in a rendering.
If a template writes no end-of-turn token after the last answer, the targets end with the content.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, cast

from bakery.chat.contexts import Context, ContextRules
from bakery.chat.encoding import Encoder
from bakery.chat.examples import Example, ExampleBuilder, together
from bakery.chat.pairs import PromptPair as PromptPair
from bakery.chat.pairs import ViewPair as ViewPair
from bakery.chat.rendering import Message, Renderer, content_of, plain_messages, thinking_of
from bakery.chat.targets import Pattern
from bakery.chat.thinking import ThinkingTokens, inline_thoughts, learned_of, set_apart, switch_off, thinking_tokens
from bakery.chat.tools import LEFT_OUT, Sides, ToolLocators, turns_of
from bakery.chat.turns import Locator
from bakery.errors import BakeryError, ConfigError, DataError, TemplateError, ViewError
from bakery.rows.conversations import Conversation
from bakery.settings.config import ContextConfig


class ViewBuilder:
    """Builds the views of many rows with the settings of one bake.

    Args:
        tokenizer: a fast transformers tokenizer with a chat template.
        prefix_messages: what the teacher sees before every row that brings no prefix of its own.
        student_retained_turns: how many trailing prefix messages the student sees too.
        target_roles: roles whose messages are targets.
        target_content_pattern: only messages in whose content this regular expression is found are targets.
        target_span_pattern: only what this expression (or its first group) matches inside a message is the target.
        target_thinking: whether an answer's thinking, and what else stands before its content, is learned with it.
        system_role: `native` refuses a template that drops or rejects system messages; `fold` writes their text before
            the next user message instead.
        student_system: `empty` gives a student without system message an empty one; `none` leaves it to the template.
        chat_template_kwargs: variables for the template, the same in both views.
        today: the date that the template may insert; frozen at construction when omitted.

    Attributes:
        thinking_off: the variable that asks the template without thinking, once answers without any were given.
        notes: what to tell about the rows so far, and in how many.
        leaves_out_tools: whether the template showed a row without tools that it has.
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
        target_thinking: bool = True,
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
        self._inline = inline_thoughts(self.locator)
        self.folds_unasked = system_role == "native" and self.locator.drops_system
        self.rules = ContextRules(
            self._messages(prefix_messages or (), "prefix_messages"),
            student_retained_turns,
            fold=system_role == "fold" or self.folds_unasked,
            empty_system=student_system == "empty",
        )
        self.roles = frozenset(target_roles)
        self.content_pattern = (
            Pattern("target_content_pattern", target_content_pattern) if target_content_pattern else None
        )
        self.span_pattern = Pattern("target_span_pattern", target_span_pattern) if target_span_pattern else None
        self.target_thinking = target_thinking
        self.notes: Counter[str] = Counter()
        self.thinking_off: dict[str, object] = {}
        self.tool_locators = ToolLocators()
        self.leaves_out_tools = False
        self.control_words = 0
        self._thinking: dict[Locator, ThinkingTokens | None] = {}

    def on(self, today: datetime) -> "ViewBuilder":
        """A builder with the same settings whose template may write another date."""
        other = copy(self)
        other.renderer = Renderer(self.renderer.tokenizer, chat_template_kwargs=self.renderer.kwargs, today=today)
        other.locator, other.notes = Locator(other.renderer), Counter()
        vars(other).pop("_switch", None)  # it was tried with the other date
        return other

    def remarks(self) -> list[str]:
        """What to tell about the rows built so far, in words, with counts."""
        lines = [f"in {count} row(s): {note}" for note, count in self.notes.items()]
        for name, value in self.thinking_off.items():
            lines.append(f"answers without thinking: the template is asked with {name}: {json.dumps(value)} everywhere")
        if self.folds_unasked:
            lines.append("the template leaves out system messages: their text is put before the next user message")
        if self.leaves_out_tools:
            lines.append(LEFT_OUT)
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
        except (TemplateError, ViewError) as error:
            if self._folds_instead(conversation, anchor):
                error = type(error)(f"{error}; or set system_role: fold")
            raise _at(conversation.source, error) from error.__cause__
        except DataError as error:
            raise _at(conversation.source, error) from error.__cause__

    def _folds_instead(self, conversation: Conversation, anchor: bool) -> bool:
        """Whether a row that is refused has views with `system_role: fold`; tried on the row itself."""
        if self.rules.fold:
            return False
        folding = copy(self)
        folding.rules, folding.notes = replace(self.rules, fold=True), Counter()
        try:
            folding._views(conversation, anchor)
        except BakeryError:
            return False
        return True

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

    def examples(
        self, conversation: Conversation, *, anchor: bool = False, all_offsets: bool = False
    ) -> tuple[Context, list[Example]]:
        """Both conversations of an answered row, and its examples with their text: what `views` returns without.

        Raises:
            DataError: as `views`, without the row's source.
        """
        row = self._messages(conversation.messages)
        context = self.rules.context(row, self._prefix(conversation), conversation.tools, anchor=anchor)
        behind = [n for n in range(context.shared, 0, -1) if self._is_target(row[-n])]
        if not behind:
            matching = f" whose content matches {self.content_pattern.text!r}" if self.content_pattern else ""
            raise ViewError(
                f"no target: none of the {context.shared} message(s) has a role in {sorted(self.roles)}{matching}"
            )
        locator = self._locator([row[-n] for n in behind], anchor)
        locators = self.tool_locators.sides(locator, context)
        builder = ExampleBuilder(self.encoder, self.span_pattern, all_offsets, self.target_thinking)
        sides = [context.teacher] if context.student is context.teacher else [context.teacher, context.student]
        examples = []
        for n in behind:
            heads = [messages[: len(messages) - n + 1] for messages in sides]
            turns = turns_of(locators, heads)
            examples.append(builder.example(heads, turns))
            if notes := turns[0].notes:
                self.notes.update(notes)
        self.leaves_out_tools |= self.tool_locators.left_out(locator, context, examples[-1][0].text.text)
        return context, together(examples)

    def _locator(self, targets: Sequence[Message], anchor: bool) -> Locator:
        """The locator for these targets: where answers come without thinking, the template is asked for none."""
        answers = [message for message in targets if message["role"] == "assistant"]
        if not answers or any(thinking_of(message) for message in answers):
            return self.locator
        variables, locator = self._switch
        if not anchor:  # how prompts are asked is decided by the rows that are baked
            self.thinking_off = variables
        return locator

    @property
    def prompt_locator(self) -> Locator:
        """What prompts are made with: without thinking, once answers without any were given."""
        return self._switch[1] if self.thinking_off else self.locator

    def prompt_locators(self, context: Context) -> Sides:
        """The same with the tools that teacher and student are shown."""
        return self.tool_locators.sides(self.prompt_locator, context)

    @property
    def thinking(self) -> ThinkingTokens | None:
        """What stands around the thoughts of answers to prompts; None where they have none."""
        locator = self.prompt_locator
        if locator not in self._thinking:
            self._thinking[locator] = thinking_tokens(locator, self.encoder)
        return self._thinking[locator]

    @property
    def thinking_switch(self) -> dict[str, object]:
        """The variable by which the template can be asked for answers without thoughts, if it has one."""
        return self._switch[0]

    def learned_of(self, ids: Sequence[int], forced: range = range(0)) -> list[int]:
        """The positions in a sampled answer that are learned, but for those of `forced`; see `thinking.learned_of`."""
        return learned_of(ids, forced, self.thinking, self.target_thinking)

    @cached_property
    def _switch(self) -> tuple[dict[str, object], Locator]:
        return switch_off(self.locator)

    def _views(self, conversation: Conversation, anchor: bool) -> list[ViewPair]:
        context, examples = self.examples(conversation, anchor=anchor)
        words = self._messages(conversation.messages) if self._inline else conversation.messages
        self.control_words += self.renderer.shield(words)[1]
        pairs = []
        for teacher, student in examples:
            ids = (teacher.tokens.ids, student.tokens.ids)
            pair = ViewPair(*ids, teacher.targets, student.targets, conversation.source, context.prefix_key)
            _check(pair, context)
            pairs.append(pair)
        return pairs

    def _prompts(self, conversation: Conversation, anchor: bool) -> PromptPair:
        row = self._messages(conversation.messages)
        if row and row[-1]["role"] == "assistant":
            raise ViewError("the row ends with an answer, so there is nothing to sample; give it without")
        context = self.rules.context(row, self._prefix(conversation), conversation.tools, anchor=anchor)
        self.control_words += self.renderer.shield(row)[1]
        sides = zip(self.prompt_locators(context), (context.teacher, context.student), strict=True)
        texts = [locator.prompt(messages) for locator, messages in sides]
        self.leaves_out_tools |= self.tool_locators.left_out(self.prompt_locator, context, texts[0].text)
        ids = [self.encoder.encode(text, since=len(text.text)).ids for text in texts]
        if ids[0][-1:] != ids[1][-1:]:
            raise ViewError("the generation prompt ends differently for teacher and student; use another chat template")
        _check_context(ids[0], ids[1], context)
        return PromptPair(ids[0], ids[1], conversation.source, context.prefix_key)

    def _messages(self, messages: Sequence[Mapping[str, Any]], where: str = "messages") -> list[Message]:
        return set_apart(plain_messages(messages, where), self._inline)

    def _prefix(self, conversation: Conversation) -> list[Message] | None:
        return None if conversation.prefix is None else self._messages(conversation.prefix, "prefix_messages")

    def _is_target(self, message: Message) -> bool:
        if message["role"] not in self.roles:
            return False
        return not self.content_pattern or self.content_pattern.matches(content_of(message))


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
        target_thinking=context.target_thinking,
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
    return builder.views(Conversation(cast(Any, tuple(messages)), None, ""), anchor=anchor)


def _check(pair: ViewPair, context: Context) -> None:
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
    _check_context(pair.teacher_ids, pair.student_ids, context)


def _check_context(teacher: list[int], student: list[int], context: Context) -> None:
    if (teacher == student) == context.anchor:
        return
    if context.anchor:
        raise ViewError("an anchor row must look the same to teacher and student")
    dropped = "it drops the prefix (system_role: fold puts system messages into the user's)"
    if context.teacher_tools != context.student_tools:
        dropped = "it leaves out the prefix's tools (use the model's template for tools, or write them as a message)"
    raise ViewError(f"nothing to bake: the chat template shows teacher and student the same; {dropped}")


def _at(source: str, error: DataError) -> DataError:
    return type(error)(f"{source}: {error}") if source else error
