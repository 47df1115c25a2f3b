"""Messages to text: the only file that touches chat templates.

A template is foreign code. It is always run by transformers (its sandbox, its conversion to plain data), never by us,
and in a process of its own (`template_bounds`); what it raises becomes a `TemplateError`. Dates it inserts are frozen
for the life of a `Renderer`, and control tokens that stand in the data are encoded as ordinary text, as
`apply_chat_template(sanitize_control_tokens=True)` does.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from bakery.chat.calls import as_mapping, as_text, with_arguments
from bakery.chat.encoding import Text
from bakery.chat.template_bounds import check_template_source, render_bounded
from bakery.errors import ConfigError, DataError, TemplateError
from bakery.settings.messages import message_problem
from bakery.text import excerpt

Message = dict[str, Any]

REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
THINK = re.compile(r"\s*<think>(?P<reasoning>.*?)</think>(?P<answer>.*)", re.DOTALL)

# The same private-use characters transformers wraps around control tokens in data.
_OPEN, _CLOSE = "\U000f0000", "\U000f0001"
_OWN_KWARGS = frozenset(
    ("add_generation_prompt", "chat_template", "continue_final_message", "conversation", "max_length", "padding",
     "return_assistant_tokens_mask", "return_dict", "return_tensors", "sanitize_control_tokens", "tokenize",
     "tokenizer_kwargs", "truncation")
)  # fmt: skip
_FOREIGN = (jinja2.TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError,
            AssertionError, MemoryError)  # fmt: skip


def plain_messages(messages: Sequence[Mapping[str, Any]], where: str = "messages") -> list[Message]:
    """Copy `messages` with lists of text parts joined into one string.

    Raises:
        DataError: a message has no known role or no usable content.
    """
    plain = []
    for i, message in enumerate(messages):
        if problem := message_problem(message):
            raise DataError(f"{where}[{i}]: {problem}")
        content = message.get("content")
        joined = "".join(part["text"] for part in content) if isinstance(content, list) else content
        plain.append({**message, "content": joined} if isinstance(content, list) else dict(message))
    return plain


def content_of(message: Message) -> str:
    """The text of a message; empty when it has none (a bare tool call)."""
    return message.get("content") or ""


def thinking_of(message: Message) -> str:
    """The thinking of an answer, beside its content or in `<think>` tags before it; empty if it has none."""
    for key in REASONING_KEYS:
        if isinstance(message.get(key), str) and message[key]:
            return str(message[key])
    match = THINK.match(content_of(message))
    return match["reasoning"].strip() if match else ""


class Renderer:
    """One tokenizer's chat template with the settings of one bake; safe to keep for as many rows as you like.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        chat_template_kwargs: variables for the template, such as `{"enable_thinking": False}`.
        today: the date and time that the template may insert; the current time when omitted, frozen from then on.

    Raises:
        TemplateError: no chat template, or one that is not a template or cannot be run in bounded time.
        ConfigError: `chat_template_kwargs` names an argument that Bakery sets itself.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        today: datetime | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.kwargs = dict(chat_template_kwargs or {})
        self.today = today or datetime.now()
        if taken := sorted(_OWN_KWARGS & self.kwargs.keys()):
            raise ConfigError(f"chat_template_kwargs: {taken[0]} is set by bakery; give only variables of the template")
        try:
            source = tokenizer.get_chat_template(None, self.kwargs.get("tools"))
        except ValueError:
            raise TemplateError(
                "the tokenizer has no chat template; use a chat model, or set tokenizer.chat_template "
                "(a file chat_template.jinja beside the tokenizer)"
            ) from None
        check_template_source(source)
        self.source = source
        self.template = freeze_dates(source, self.today)

    def switched(self, variables: Mapping[str, Any]) -> "Renderer":
        """A renderer with these variables for the template besides its own, and the same date."""
        return Renderer(self.tokenizer, chat_template_kwargs={**self.kwargs, **variables}, today=self.today)

    @property
    def dated(self) -> bool:
        """Whether the template writes the date."""
        return bool(self.template != self.source)

    def render(self, messages: Sequence[Message], *, generation_prompt: bool = False) -> Text:
        """Render `messages` as the template does.

        Raises:
            DataError: the text holds half a character (a lone surrogate).
            TemplateError: the template raises, or writes more than 32 million characters.
        """
        if any("tool_calls" in message for message in messages):
            messages = [with_arguments(message, self._arguments) for message in messages]
        given, marked = self.shield(messages)
        variables, marked_tools = self._variables
        try:
            text = self._run(given, generation_prompt, variables)
        except TemplateError:
            raise
        except _FOREIGN as error:
            raise TemplateError(_refusal(messages, error, bool(variables.get("tools")))) from None
        if not text.isascii() and (broken := re.search("[\ud800-\udfff]", text)):
            raise DataError(f"the text holds a lone surrogate {broken[0]!r}, half of a character; repair the row")
        return self._unmark(text) if marked or marked_tools else Text(text)

    @cached_property
    def _arguments(self) -> Callable[[Any], Any]:
        """The form in which the template takes the arguments of calls: a mapping, unless it takes text only."""
        function = {"name": "f", "arguments": {"a": "b"}}
        calls = [{"id": "call00001", "type": "function", "function": function}]
        call = {"role": "assistant", "content": "", "tool_calls": calls}
        for form in (as_mapping, as_text):
            messages = [{"role": "user", "content": "Q"}, with_arguments(call, form)]
            try:
                self._run(messages, False, self.kwargs)
            except _FOREIGN:
                continue
            return form
        return as_mapping

    @cached_property
    def _variables(self) -> tuple[dict[str, Any], int]:
        """The variables with the control tokens in the words of the tools marked, and how many there are."""
        if not self.kwargs.get("tools"):
            return self.kwargs, 0
        (marked,), count = self.shield([{"role": "", "tools": self.kwargs["tools"]}])
        return {**self.kwargs, "tools": marked["tools"]}, count

    def _run(self, messages: Sequence[Message], generation_prompt: bool, variables: Mapping[str, Any]) -> str:
        """The template's text, as `apply_chat_template` gives it."""
        if not (self._plain_tokenizer and messages):
            return self.tokenizer.apply_chat_template(  # type: ignore[no-any-return]
                list(messages),
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=generation_prompt,
                **variables,
            )
        given = [{key: value for key, value in message.items() if value is not None} for message in messages]
        named = {**self._special_tokens, **variables, "add_generation_prompt": generation_prompt}
        return render_bounded(self.template, given, named)

    @cached_property
    def _plain_tokenizer(self) -> bool:
        """Whether the tokenizer renders as transformers does, with no method of its own."""
        return type(self.tokenizer).apply_chat_template is PreTrainedTokenizerBase.apply_chat_template

    @cached_property
    def _special_tokens(self) -> dict[str, Any]:
        return dict(self.tokenizer.special_tokens_map)

    def shield(self, messages: Sequence[Message]) -> tuple[list[Message], int]:
        """Mark the control tokens inside the messages' own strings; returns the messages and how many there are."""
        if not any(self._has_control(message) for message in messages):
            return list(messages), 0
        count = 0

        def mark(value: Any) -> Any:
            nonlocal count
            if isinstance(value, str):
                value, n = self.control.subn(f"{_OPEN}\\g<0>{_CLOSE}", value.replace(_OPEN, "").replace(_CLOSE, ""))
                count += n
                return value
            if isinstance(value, Mapping):
                return {key: mark(item) for key, item in value.items()}
            return [mark(item) for item in value] if isinstance(value, (list, tuple)) else value

        return [_mark_message(message, mark) for message in messages], count

    def _has_control(self, message: Message) -> bool:
        search = self.control.search
        return any(
            bool(search(value if isinstance(value, str) else repr(value))) for value in message.values() if value
        )

    @cached_property
    def control(self) -> re.Pattern[str]:
        """The strings that are control tokens of this tokenizer and template, longest first."""
        chosen = getattr(self.tokenizer, "chat_control_tokens", None)
        literal = self.source if chosen is None else "\0".join(chosen)
        names = [
            token.content
            for token in self.tokenizer.added_tokens_decoder.values()
            if token.content and (token.special or (token.content in literal and not token.content.isspace()))
        ]
        return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)")

    @cached_property
    def _markers(self) -> re.Pattern[str]:
        names = sorted(self.tokenizer.added_tokens_encoder, key=len, reverse=True)
        tokens = "|".join(re.escape(name) for name in names) or "(?!)"
        return re.compile(f"{_OPEN}({tokens}){_CLOSE}|[{_OPEN}{_CLOSE}]")

    def _unmark(self, marked: str) -> Text:
        pieces = tuple((piece, i % 2 == 1) for i, piece in enumerate(self._markers.split(marked)) if piece)
        return Text("".join(piece for piece, _ in pieces), pieces if len(pieces) > 1 else None)


def _mark_message(message: Message, mark: Callable[[Any], Any]) -> Message:
    """Mark all strings of a message except its role; a leading `<think>…</think>` of an assistant stays markup."""
    content = message.get("content")
    thought = THINK.match(content) if message["role"] == "assistant" and isinstance(content, str) else None
    if thought is None or content is None:
        return {key: value if key == "role" else mark(value) for key, value in message.items()}
    opened, closed, answer = thought.start("reasoning"), thought.end("reasoning"), thought.start("answer")
    marked = content[:opened] + mark(content[opened:closed]) + content[closed:answer] + mark(content[answer:])
    rest = {key: value if key == "role" else mark(value) for key, value in message.items() if key != "content"}
    return {**rest, "content": marked}


def _refusal(messages: Sequence[Message], error: Exception, tools: bool) -> str:
    said = excerpt(str(error) or type(error).__name__, 160)
    remedy = f"change the roles{', their order or the tools' if tools else ' or their order'}, or the template"
    if bare := [i for i, message in enumerate(messages) if message.get("content") is None]:
        remedy = f"give message {bare[0] + 1} a content, if only an empty one, or change the roles or the template"
    return f"the chat template refuses this conversation of roles {_roles(messages)}: {said}; {remedy}"


def _roles(messages: Sequence[Message]) -> str:
    names = [str(message.get("role")) for message in messages]
    return ", ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-3:]])


_DATE_MACRO = "{{%- macro strftime_now(format) -%}}{{{{- format{replacements} -}}}}{{%- endmacro %}}\n"


def freeze_dates(source: str, today: datetime) -> str:
    """Give a template that asks for the date a macro of its own that always answers `today`.

    The macro is followed by one newline, which the template engine's `trim_blocks` removes; so nothing is written.
    """
    if "strftime_now" not in source:
        return source
    named = sorted(set(re.findall(r"%-?[a-zA-Z]", source)))
    values = {"%%": "\0"} | {directive: today.strftime(directive) for directive in named} | {"\0": "%"}
    replacements = "".join(f".replace({directive!r}, {value!r})" for directive, value in values.items())
    return _DATE_MACRO.format(replacements=replacements) + source
