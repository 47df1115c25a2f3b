"""Where a message's words lie in a rendered conversation: found by rendering it again with a sentinel in its place.

Nothing is found by searching for the message itself: templates trim and rewrite. The conversation is rendered a second
time with the message's content replaced by a sentinel; what stands before and after the sentinel must be what the
real rendering begins and ends with, and what is left between is the content as the template writes it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bakery.errors import TemplateError, ViewError
from bakery.rendering import REASONING_KEYS, THINK, Message, Renderer, Text, content_of, reasoning_of

_TAG = r"<[^<>\s]{1,60}>"


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of one message: its words `[start, end)` and its end-of-turn text `[end, stop)`.

    `start` is where the model itself would begin to write: the end of the generation prompt if the rendering begins
    with it. `content` is where the message's own content begins. `before` are white-space characters directly
    before `start` that do not belong to the generation prompt, should a token join them to the content.
    """

    start: int
    content: int
    end: int
    stop: int
    before: int = 0
    note: str = ""


class Locator:
    """Finds messages in what one `Renderer` writes."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    def last(self, messages: Sequence[Message], text: Text) -> Span:
        """The span of the last message of `messages`, of which `text` is the rendering.

        Raises:
            ViewError: the template drops or rewrites the message so that its place cannot be told, or what precedes
                an answer is not what the generation prompt of sampling would be.
        """
        message = messages[-1]
        if message.get("tool_calls"):
            return self._tool_turn(messages, text)
        first, content, end = self._bracket(messages, text)
        stop = end + self._closing(text.text[end:])
        if message["role"] != "assistant" or len(messages) == 1:
            return Span(first, content, end, stop)
        start, before, note = self._answer_start(messages, text.text, first, thinks=first < content)
        return Span(start, content, end, stop, before, note)

    def check_written(self, messages: Sequence[Message], *, generation_prompt: bool = False) -> None:
        """Refuse a template that leaves out a message.

        Raises:
            ViewError: the content or the tool calls of a message are not in the rendering.
        """
        marks = [f"Sentinel{i}QcX" if content_of(message) else "" for i, message in enumerate(messages)]
        probe = [
            {**{k: v for k, v in message.items() if k not in REASONING_KEYS}, "content": mark} if mark else message
            for message, mark in zip(messages, marks, strict=True)
        ]
        text = self.renderer.render(probe, generation_prompt=generation_prompt).text
        for i, (message, mark) in enumerate(zip(messages, marks, strict=True)):
            if mark not in text:
                fold = " (or set system_role: fold)" if message["role"] == "system" else ""
                raise ViewError(
                    f"the chat template leaves out the {message['role']} message at place {i + 1} of {len(messages)}; "
                    f"change the conversation{fold}, or the template"
                )
            if message.get("tool_calls"):
                self.check_tool_calls(messages, i)

    def _bracket(self, messages: Sequence[Message], text: Text) -> tuple[int, int, int]:
        """Begin of the message (thinking included), begin of its content, and its end."""
        message, full = messages[-1], text.text
        why = f"the chat template rewrites the last {message['role']} message so that its tokens cannot be told"
        for thought, answer, probe in _probes(message, self._sentinels(messages)):
            try:
                shadow = self.renderer.render([*messages[:-1], probe]).text
            except TemplateError:
                continue
            counts = [shadow.count(mark) for mark in (thought, answer) if mark]
            if 0 in counts:
                what = "content" if shadow.count(answer) == 0 else "thinking"
                why = f"the chat template does not write the {what} of the last {message['role']} message"
                continue
            if counts != [1] * len(counts):
                why = f"the chat template writes the last {message['role']} message more than once"
                continue
            head, tail = shadow.split(thought or answer)[0], shadow.split(answer)[1]
            if len(head) + len(tail) > len(full) or not (full.startswith(head) and full.endswith(tail)):
                continue
            begin, end = len(head), len(full) - len(tail)
            if (content := _fits(message, full[begin:end], bool(thought))) is not None:
                return begin, begin + content, end
        raise ViewError(f"{why}; change the message, or use another template (tokenizer.chat_template)")

    def _sentinels(self, messages: Sequence[Message]) -> tuple[str, str]:
        text = repr(messages)
        n = next(n for n in range(1000) if f"Sentinel{n}Q" not in text)
        return f"Sentinel{n}QaX", f"Sentinel{n}QbX"

    def _answer_start(
        self, messages: Sequence[Message], full: str, begin: int, *, thinks: bool
    ) -> tuple[int, int, str]:
        """Where the model begins to write the last message, the loose white space before it, and what is odd."""
        prompt = self.renderer.render(messages[:-1], generation_prompt=True).text
        if full.startswith(prompt):
            between = full[len(prompt) : begin]
            if thinks or not between.strip():
                return len(prompt), 0, ""
            return begin, 0, f"the template writes {between!r} between the generation prompt and an answer"
        head = full[:begin]
        if _squashed(head).startswith(_squashed(prompt)):
            loose = 0 if head[-1:] == prompt[-1:] else len(head) - len(head.rstrip(" "))
            return begin, loose, "what precedes an answer differs from the generation prompt in white space"
        common = len(_common_prefix(prompt, full))
        raise ViewError(
            f"the generation prompt ends with {prompt[common:][-60:]!r}, but the rendered answer follows "
            f"{full[common:begin][-60:]!r}: it would be trained where the model never is at inference; "
            f"{self._remedy(messages)}"
        )

    def _remedy(self, messages: Sequence[Message]) -> str:
        for kwargs in ({"enable_thinking": False}, {"enable_thinking": True}, {"thinking": False}, {"thinking": True}):
            other = Renderer(self.renderer.tokenizer, chat_template_kwargs={**self.renderer.kwargs, **kwargs})
            try:
                prompt = other.render(messages[:-1], generation_prompt=True).text
                if other.render(messages).text.startswith(prompt):
                    key, value = next(iter(kwargs.items()))
                    return f"set chat_template_kwargs: {{{key}: {str(value).lower()}}}, or give prompts without answers"
            except TemplateError:
                continue
        return "give prompts without answers (the teacher then writes them), or another chat template"

    def _tool_turn(self, messages: Sequence[Message], text: Text) -> Span:
        """The span of an assistant turn that calls tools: from the generation prompt to the end of the turn."""
        message, full = messages[-1], text.text
        self.check_tool_calls(messages, len(messages) - 1)
        prompt = self.renderer.render(messages[:-1], generation_prompt=True).text if len(messages) > 1 else ""
        if not prompt or not full.startswith(prompt):
            raise ViewError(
                "the rendering of a tool call does not begin with the generation prompt; "
                "leave tool calls out of the targets (target_content_pattern), or use another chat template"
            )
        plain = {key: value for key, value in message.items() if key not in ("tool_calls", *REASONING_KEYS)}
        mark = self._sentinels(messages)[1]
        shadow = self.renderer.render([*messages[:-1], {**plain, "content": mark}]).text
        tail = shadow.split(mark)[-1] if mark in shadow else ""
        closing = self._closing(tail)
        if not closing or not full.endswith(tail):
            tail = re.search(rf"(?:{self._tags})?\s*\Z", full)[0]  # type: ignore[index]
            closing = len(tail.rstrip())
        end = len(full) - len(tail)
        if end < len(prompt):
            raise ViewError("the end of a tool call cannot be told in this chat template; leave it out of the targets")
        return Span(len(prompt), len(prompt), end, end + closing)

    def check_tool_calls(self, messages: Sequence[Message], index: int) -> None:
        """Refuse a template that leaves out the tool calls of message `index`.

        Raises:
            ViewError: the name of a called function is not in the rendering.
        """
        mark = self._sentinels(messages)[0]
        for n, call in enumerate(messages[index]["tool_calls"]):
            function = call.get("function", call)
            named = {**function, "name": mark}
            renamed = list(messages[index]["tool_calls"])
            renamed[n] = {**call, "function": named} if "function" in call else named
            probe = [*messages[:index], {**messages[index], "tool_calls": renamed}, *messages[index + 1 :]]
            if mark not in self.renderer.render(probe).text:
                raise ViewError(
                    "the chat template does not write the tool calls of the assistant; "
                    "use the model's template for tools, or write the calls into the content"
                )

    @cached_property
    def _tags(self) -> str:
        """A pattern for one control token: an added token of the tokenizer, or a `<tag>` of a template without them."""
        tokenizer = self.renderer.tokenizer
        names = [token.content for token in tokenizer.added_tokens_decoder.values() if token.content.strip()]
        return "|".join([re.escape(name) for name in sorted(names, key=len, reverse=True)] + [_TAG])

    def _closing(self, tail: str) -> int:
        """How many characters of `tail`, the text after a last message, are its end-of-turn token(s).

        White space before the first one counts (the model must write it to get there); what follows the run of
        adjoining control tokens does not; nor does the header of a next turn that some templates always append.
        """
        run = re.match(rf"\s*(?:{self._tags})+", tail)
        if run is None:
            return 0
        tags = list(re.finditer(self._tags, run[0]))
        eos = self.renderer.tokenizer.eos_token
        for tag in tags:
            if tag[0] == eos:
                return tag.end()
        if self._appends_header:
            for i, tag in enumerate(tags):
                if i and tag[0] in self._openers:
                    return tag.start()
        return run.end()

    @cached_property
    def _appends_header(self) -> bool:
        """Whether the template ends with a generation prompt although none was asked for."""
        user = [{"role": "user", "content": "Q"}]
        answered = [*user, {"role": "assistant", "content": "A"}]
        try:
            closed, opened = (self.renderer.render(answered, generation_prompt=g).text for g in (False, True))
        except TemplateError:
            return False
        return closed == opened and "A" in closed

    @cached_property
    def _openers(self) -> frozenset[str]:
        """Control tokens that stand before a first user message and never directly behind one."""
        mark = "Sentinel0QaX"
        pieces = self.renderer.render([{"role": "user", "content": mark}]).text.split(mark)
        closer = re.match(rf"\s*({self._tags})", pieces[-1])
        return frozenset(re.findall(self._tags, pieces[0])) - {closer[1] if closer else ""}


def _probes(message: Message, marks: tuple[str, str]) -> list[tuple[str, str, Message]]:
    """What to render instead of `message`, best first: (sentinel of its thinking or "", of its content, probe)."""
    thought, answer = marks
    bare = {key: value for key, value in message.items() if key not in REASONING_KEYS}
    plain: list[tuple[str, str, Message]] = [("", answer, {**bare, "content": answer})]
    if reasoning_of(message):
        return [(thought, answer, {**bare, "reasoning_content": thought, "content": answer})]
    if message["role"] == "assistant" and (match := THINK.match(content_of(message))):
        tag = match[0][: match.start("reasoning")]
        split = {**bare, "content": f"{tag}{thought}</think>{answer}"}
        return [*plain, (thought, answer, split)] if match["reasoning"].strip() else plain
    return plain


def _fits(message: Message, written: str, thinks: bool) -> int | None:
    """Where the content begins in `written`, or None if `written` is not this message's words."""
    content, reasoning = content_of(message), reasoning_of(message)
    if thinks and not reasoning:
        match = THINK.match(content)
        assert match
        content, reasoning = match["answer"], match["reasoning"]
    bare = written.strip()
    if not thinks:
        return 0 if bare in content and (bare or not content.strip()) else None
    if not (bare.startswith(reasoning.strip()) and bare.endswith(content.strip())):
        return None
    return len(written.rstrip()) - len(content.strip())


def _squashed(text: str) -> str:
    return "".join(text.split())


def _common_prefix(a: str, b: str) -> str:
    return a[: next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]
