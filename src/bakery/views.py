"""A conversation to two token sequences: what the teacher sees and what the student sees.

The laws, checked for every row; a row that breaks one is refused with its reason, never masked wrongly:

a. target ids are equal one by one in both views, and so is the token before each run of targets;
b. targets are a message's content as the template writes it and its end-of-turn token(s), and nothing of a header;
c. each view is what `apply_chat_template` gives for its conversation, token for token;
d. the prefix stands in the teacher's view, and only what is retained of it in the student's;
e. an answer follows the generation prompt that sampling would use;
f. where a template rewrites earlier turns when later ones come, every target turn becomes a pair of its own.

How the two conversations are made from a row and its prefix:

- The teacher sees the prefix, then the row. If both bring a system message, the teacher's is the prefix's text, a
  blank line, and the row's; the student keeps the row's own. A row's system message goes before few-shot turns.
- The student sees the last `student_retained_turns` messages of the prefix, then the row.
- A row without any prefix and `student_retained_turns` N > 0 is its own context: the teacher sees all of it, the
  student its last N messages, and targets are taken from those.
- An anchor is a row whose two views are equal: behaviour there must not change.

If a template writes no end-of-turn token after the last answer, the targets end with the content.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import regex

from bakery.data import Conversation
from bakery.errors import ConfigError, DataError, ViewError
from bakery.rendering import Message, Renderer, Text, Tokens, content_of, plain_messages
from bakery.spans import Locator, Span

PATTERN_SECONDS = 2.0


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


@dataclass(frozen=True, slots=True)
class _Context:
    """Both conversations of a row; its last `shared` messages are the row's own, seen by both."""

    teacher: list[Message]
    student: list[Message]
    shared: int
    prefix_key: str


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
        self.locator = Locator(self.renderer)
        self.prefix = plain_messages(prefix_messages or (), "prefix_messages")
        self.retained = student_retained_turns
        self.roles = frozenset(target_roles)
        self.content_pattern = _compiled("target_content_pattern", target_content_pattern)
        self.span_pattern = _compiled("target_span_pattern", target_span_pattern)
        self.fold = system_role == "fold"
        self.empty_system = student_system == "empty"
        self.notes: dict[str, int] = {}

    def views(self, conversation: Conversation, *, anchor: bool = False) -> list[ViewPair]:
        """The view pairs of an answered row: one, or one per target turn where the template rewrites earlier turns.

        Raises:
            ViewError: the views cannot be aligned, are equal (unless `anchor`), or hold no target.
            TemplateError: the template cannot render one of the views.
            DataError: a message is malformed.
        """
        try:
            return self._views(conversation, anchor)
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

    def _views(self, conversation: Conversation, anchor: bool) -> list[ViewPair]:
        row = plain_messages(conversation.messages)
        context = self._context(row, conversation.prefix, anchor)
        behind = [n for n in range(context.shared, 0, -1) if self._is_target(row[-n])]
        if not behind:
            pattern = f" and match {self.content_pattern.pattern!r}" if self.content_pattern else ""
            raise ViewError(
                f"no message is a target: none of {context.shared} message(s) has a role in {sorted(self.roles)}{pattern}"
            )
        sides = [self._side(messages, behind) for messages in (context.teacher, context.student)]
        if all(side.whole for side in sides):
            examples = [tuple((side.text, side.spans) for side in sides)]
        else:
            examples = [tuple((side.heads[i], side.spans[i : i + 1]) for side in sides) for i in range(len(behind))]
        return [
            self._pair(teacher, student, conversation.source, context.prefix_key, anchor)
            for teacher, student in examples
        ]

    def _side(self, messages: list[Message], behind: list[int]) -> "_Side":
        """Render one view and find its targets, which stand `behind[i]` messages from the end."""
        text = self.renderer.render(messages)
        self.locator.check_written(messages)
        heads, spans, whole = [], [], True
        for n in behind:
            head = messages[: len(messages) - n + 1]
            rendered = text if n == 1 else self.renderer.render(head)
            span = self.locator.last(head, rendered)
            whole = whole and text.text.startswith(rendered.text[: span.stop])
            heads.append(rendered)
            spans.append(span)
            if span.note:
                self.notes[span.note] = self.notes.get(span.note, 0) + 1
        return _Side(text, heads, spans, whole)

    def _pair(self, teacher: "_Part", student: "_Part", source: str, key: str, anchor: bool) -> ViewPair:
        tokens = [self.renderer.encode(text) for text, _ in (teacher, student)]
        targets = [
            sorted({p for span in spans for p in self._positions(text.text, encoded, span)})
            for (text, spans), encoded in zip((teacher, student), tokens, strict=True)
        ]
        pair = ViewPair(tokens[0].ids, tokens[1].ids, targets[0], targets[1], source, key)
        _check(pair, anchor)
        return pair

    def _positions(self, text: str, tokens: Tokens, span: Span) -> list[int]:
        """The tokens of a span; of its matches only, where a span pattern is set."""
        whole = _covering(text, tokens, span)
        if self.span_pattern is None:
            return whole
        content = text[span.content : span.end]
        chosen: list[int] = []
        for match in _timed(self.span_pattern.finditer, content):
            start, end = match.span(1 if self.span_pattern.groups else 0)
            if start < end:
                stop = span.stop if not content[end:].strip() else span.content + end
                chosen += _matching(text, tokens, whole, span.content + start, stop)
        if not chosen:
            raise ViewError(f"target_span_pattern {self.span_pattern.pattern!r} matches nothing in {_excerpt(content)}")
        return chosen

    def _prompts(self, conversation: Conversation, anchor: bool) -> PromptPair:
        row = plain_messages(conversation.messages)
        if conversation.answered:
            raise ViewError("the row ends with an answer, so there is nothing to sample; give it without")
        context = self._context(row, conversation.prefix, anchor)
        ids = []
        for messages in (context.teacher, context.student):
            self.locator.check_written(messages, generation_prompt=True)
            ids.append(self.renderer.encode(self.renderer.render(messages, generation_prompt=True)).ids)
        if ids[0][-1:] != ids[1][-1:]:
            raise ViewError("the generation prompt ends differently for teacher and student; use another chat template")
        _check_context(ids[0], ids[1], anchor)
        return PromptPair(ids[0], ids[1], conversation.source, context.prefix_key)

    def _is_target(self, message: Message) -> bool:
        if message["role"] not in self.roles:
            return False
        return self.content_pattern is None or bool(_timed(self.content_pattern.search, content_of(message)))

    def _context(self, row: list[Message], own: Sequence[Message] | None, anchor: bool) -> _Context:
        """Make both conversations of a row, as the head of this file says."""
        if not row:
            raise ViewError("the row has no messages; give at least one")
        prefix = self.prefix if own is None else plain_messages(own, "prefix_messages")
        if anchor:
            alone = self._student([], row)
            return _Context(alone, alone, len(row), "")
        if not prefix:
            if not 0 < self.retained < len(row):
                raise ViewError(
                    f"nothing to bake: the row has no prefix and student_retained_turns is {self.retained} "
                    f"for {len(row)} message(s), so teacher and student see the same; give prefix_messages"
                    + (", or a smaller number" if self.retained else "")
                )
            return _Context(self._folded(row), self._student([], row[-self.retained :]), self.retained,
                            _key(row[: -self.retained]))  # fmt: skip
        if self.retained >= len(prefix):
            raise ViewError(
                f"nothing to bake: student_retained_turns {self.retained} covers all {len(prefix)} prefix message(s); "
                "make it smaller"
            )
        kept = prefix[len(prefix) - self.retained :]
        shared = len(row) - (row[0]["role"] == "system")
        return _Context(self._folded(_joined(prefix, row)), self._student(kept, row), shared, _key(prefix))

    def _student(self, kept: list[Message], row: list[Message]) -> list[Message]:
        messages = _joined(kept, row)
        if self.empty_system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": ""}, *messages]
        return self._folded(messages)

    def _folded(self, messages: list[Message]) -> list[Message]:
        """With `system_role: fold`, put the text of system messages before the next user message."""
        if not self.fold:
            return messages
        folded: list[Message] = []
        waiting: list[str] = []
        for message in messages:
            if message["role"] == "system":
                waiting += [text] if (text := content_of(message)) else []
            elif message["role"] == "user" and waiting:
                folded.append({**message, "content": "\n\n".join([*waiting, content_of(message)])})
                waiting = []
            else:
                folded.append(message)
        if waiting:
            raise ViewError("system_role: fold needs a user message behind every system message; add one")
        return folded


_Part = tuple[Text, list[Span]]


@dataclass(frozen=True, slots=True)
class _Side:
    """One view: its text, the text up to each target turn, the target spans, and whether the text holds them all."""

    text: Text
    heads: list[Text]
    spans: list[Span]
    whole: bool


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
    return renderer.encode(renderer.render(plain_messages(messages), generation_prompt=True)).ids


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    return Conversation(messages=tuple(dict(message) for message in messages), prefix=None, source="")


def _joined(prefix: list[Message], row: list[Message]) -> list[Message]:
    """The prefix before the row, with at most one system message at the front."""
    if not prefix or row[0]["role"] != "system":
        return [*prefix, *row]
    own, rest = row[0], row[1:]
    if prefix[0]["role"] != "system":
        return [own, *prefix, *rest]
    both = "\n\n".join(text for text in (content_of(prefix[0]), content_of(own)) if text)
    return [{**prefix[0], "content": both}, *prefix[1:], *rest]


def _key(messages: list[Message]) -> str:
    text = json.dumps(messages, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _compiled(name: str, pattern: str | None) -> Any:
    try:
        return None if pattern is None else regex.compile(pattern)
    except regex.error as error:
        raise ConfigError(f"{name}: {pattern!r} is not a regular expression: {error}") from None


def _timed(search: Any, text: str) -> Any:
    try:
        found = search(text, timeout=PATTERN_SECONDS)
        return list(found) if hasattr(found, "__next__") else found
    except TimeoutError:
        raise ViewError(
            f"a target pattern takes more than {PATTERN_SECONDS:g} s on {_excerpt(text)}; make it simpler"
        ) from None


def _excerpt(text: str) -> str:
    shown = " ".join(text.split())
    return repr(shown if len(shown) <= 40 else shown[:39] + "…")


def _covering(text: str, tokens: Tokens, span: Span) -> list[int]:
    """Positions of the tokens that make up `[span.start, span.stop)`, of which none may reach outside.

    Raises:
        ViewError: a token joins characters of the span to their neighbours.
    """
    start = span.start
    inside = [i for i, (a, b) in enumerate(tokens.offsets) if start <= a < span.stop and b <= span.stop]
    if inside and _uncovered(tokens, inside[0]) < start and span.before:
        start -= span.before
        inside = [i for i, (a, b) in enumerate(tokens.offsets) if start <= a < span.stop and b <= span.stop]
    elif span.before:
        wider = [i for i, (a, b) in enumerate(tokens.offsets) if a == start - span.before and b > start]
        if wider and wider[0] not in inside:
            inside, start = sorted({*inside, wider[0]}), start - span.before
    for a, b in tokens.offsets:
        if a < start < b:
            raise ViewError(
                f"the tokenizer joins {text[a:start]!r} before the message to {text[start:b]!r} at its start; "
                "strip leading white space from the message"
            )
        if a < span.stop < b:
            raise ViewError(
                f"the tokenizer joins {text[a : span.stop]!r} at the end of the message to {text[span.stop : b]!r} "
                "behind it; strip trailing white space from the message, or use a template with an end-of-turn token"
            )
    return inside


def _uncovered(tokens: Tokens, position: int) -> int:
    """Where the characters begin that no earlier token stands for (some tokenizers leave spaces out of offsets)."""
    return tokens.offsets[position - 1][1] if position else 0


def _matching(text: str, tokens: Tokens, within: list[int], start: int, end: int) -> list[int]:
    """Of the positions `within`, those that make up `[start, end)` but for white space at its edges."""
    chosen = [i for i in within if tokens.offsets[i][0] < end and tokens.offsets[i][1] > start]
    for i in (chosen[0], chosen[-1]) if chosen else ():
        a, b = tokens.offsets[i]
        if text[a : max(a, start)].strip() or text[min(b, end) : b].strip():
            raise ViewError(
                f"target_span_pattern matches part of the token {text[a:b]!r}; let the match begin and end at words"
            )
    return chosen


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
