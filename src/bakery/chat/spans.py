"""Where a message's words lie in a rendered conversation: located by rendering it again with a sentinel in its place.

Nothing is found by searching for the message itself: templates trim and rewrite. The conversation is rendered a second
time with the message's content replaced by a sentinel; what stands before and after the sentinel must be what the
real rendering begins and ends with, and what is left between is the content as the template writes it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bakery.chat.encoding import Text, common_length
from bakery.chat.rendering import REASONING_KEYS, THINK, Message, Renderer, content_of, reasoning_of
from bakery.errors import TemplateError, ViewError

_TAG = r"<[^<>\s]{1,60}>"


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of one message: its words `[start, end)` and its end-of-turn text `[end, stop)`.

    `start` is where the model itself would begin to write; if `prompted`, all before it is the generation prompt.
    `content` is where the message's own content begins.
    """

    start: int
    content: int
    end: int
    stop: int
    prompted: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A conversation as it is shown to one of the two: its messages, their rendering, the spans of its targets."""

    messages: list[Message]
    text: Text
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Side:
    """One view of a row: as a whole, if it holds every target as it would be answered, and up to each target."""

    whole: Part | None
    heads: list[Part]


class PromptError(ViewError):
    """An answer does not follow the generation prompt that sampling would use; says why, not yet what to do."""


class Locator:
    """Finds messages in what one `Renderer` writes."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer

    def side(self, messages: list[Message], behind: Sequence[int]) -> Side:
        """Render one view and find its targets, which stand `behind[i]` messages from the end (1 is the last).

        Raises:
            PromptError: an answer does not follow its generation prompt.
            ViewError: a message is not written, or a target cannot be located.
            TemplateError: the template cannot render the conversation.
        """
        text = self.renderer.render(messages)
        self.check_written(messages)
        heads, whole = [], True
        for n in behind:
            head = messages[: len(messages) - n + 1]
            rendered = text if n == 1 else self.renderer.render(head)
            span = self.last(head, rendered)
            whole = whole and text.text.startswith(rendered.text[: span.stop])
            heads.append(Part(head, rendered, [span]))
        spans = [self._ended(span, text.text) for head in heads for span in head.spans]
        return Side(Part(messages, text, spans) if whole else None, heads)

    def _ended(self, span: Span, full: str) -> Span:
        """A span with the end-of-sequence token behind it that some templates write between turns only."""
        eos = self.renderer.tokenizer.eos_token
        if span.stop == span.end and eos and full.startswith(eos, span.end):
            return replace(span, stop=span.end + len(eos))
        return span

    def last(self, messages: Sequence[Message], text: Text) -> Span:
        """The span of the last message of `messages`, of which `text` is the rendering.

        Raises:
            PromptError: what precedes an answer is not the generation prompt of sampling.
            ViewError: the template drops or rewrites the message so that it cannot be located.
        """
        message, full = messages[-1], text.text
        if message.get("tool_calls"):
            self.check_tool_calls(messages, len(messages) - 1)
            begin, content, end, stop = self._tool_turn(messages, full)
        else:
            begin, content, end = self._bracket(messages, full)
            stop = end + self._closing(full[end:])
        if message["role"] != "assistant":
            return Span(begin, content, end, stop)
        thinks = begin < content or bool(reasoning_of(message))
        if len(messages) == 1:  # nothing precedes it, so there is no generation prompt to compare with
            opened = full.rfind("<think>", 0, begin) if thinks else -1
            return Span(opened if opened >= 0 else len(full[:begin].rstrip(" ")), content, end, stop)
        start = self._prompt_end(messages, full, begin, thinks=thinks)
        whole = thinks or message.get("tool_calls") or _squashed(content_of(message)) == _squashed(full[begin:end])
        note = "" if whole else "the template leaves out the thinking of the answer"
        return Span(start, content, end, stop, prompted=True, note=note)

    def check_written(self, messages: Sequence[Message], *, generation_prompt: bool = False) -> None:
        """Refuse a template that leaves out a message.

        Raises:
            ViewError: the content or the tool calls of a message are not in the rendering.
        """
        unique = sentinels(messages, len(messages))
        marks = [mark if content_of(message) else "" for mark, message in zip(unique, messages, strict=True)]
        probe = [
            {**{k: v for k, v in message.items() if k not in REASONING_KEYS}, "content": mark} if mark else message
            for message, mark in zip(messages, marks, strict=True)
        ]
        try:
            text = self.renderer.render(probe, generation_prompt=generation_prompt).text
        except TemplateError:  # it insists on certain words; so look for the words themselves
            marks = [content_of(message).strip() for message in messages]
            text = self.renderer.render(messages, generation_prompt=generation_prompt).text
        for i, (message, mark) in enumerate(zip(messages, marks, strict=True)):
            if mark not in text:
                fold = " (or set system_role: fold)" if message["role"] == "system" else ""
                raise ViewError(
                    f"the chat template leaves out the {message['role']} message, number {i + 1} of {len(messages)}; "
                    f"change the conversation{fold}, or the template"
                )
            if message.get("tool_calls"):
                self.check_tool_calls(messages, i)

    def _bracket(self, messages: Sequence[Message], full: str) -> tuple[int, int, int]:
        """Begin of the message (thinking included), begin of its content, and its end."""
        message = messages[-1]
        why = f"the chat template rewrites the last {message['role']} message so that its tokens cannot be told"
        for thought, answer, probe in _probes(message, *sentinels(messages, 2)):
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

    def _prompt_end(self, messages: Sequence[Message], full: str, begin: int, *, thinks: bool) -> int:
        """Where the generation prompt ends that the last message follows, white space and its own thinking included."""
        prompt = self.renderer.render(messages[:-1], generation_prompt=True).text
        where = "the answer would be trained where the model never is at inference"
        if not full.startswith(prompt):
            common = common_length(prompt, full)
            common = len(re.sub(r"[<\[][^<>\[\]\s]*\Z", "", prompt[:common]))  # no tag is shown by halves
            raise PromptError(
                f"the generation prompt goes on with {_excerpt(prompt[common:])}, but the rendered answer is preceded "
                f"by {_excerpt(full[common:begin])}: {where}"
            )
        between = full[len(prompt) : begin]
        if between.strip() and not thinks:
            raise PromptError(
                f"the template writes {_excerpt(between)} between the generation prompt and the answer: {where}"
            )
        return len(prompt)

    def _tool_turn(self, messages: Sequence[Message], full: str) -> tuple[int, int, int, int]:
        """Begin, begin of the content, end and stop of a turn that calls tools; the calls belong to its words."""
        message = messages[-1]
        thought, answer = sentinels(messages, 2)
        plain = {key: value for key, value in message.items() if key not in ("tool_calls", *REASONING_KEYS)}
        thinking = {"reasoning_content": thought} if reasoning_of(message) else {}
        called = {**plain, "tool_calls": message["tool_calls"], **thinking, "content": answer}
        shadow = self.renderer.render([*messages[:-1], called]).text
        if (thinking and thought not in shadow) or (content_of(message) and answer not in shadow):
            raise ViewError("the chat template leaves out what an assistant says beside its tool calls; remove it")
        head = next((shadow.split(mark)[0] for mark in (thought, answer) if mark in shadow), "")
        if not content_of(message) and not full.startswith(head):
            head = head.rstrip()
        if not head or not full.startswith(head):
            raise ViewError(
                "the begin of a tool call cannot be told in this chat template; leave it out of the targets"
            )
        said = content_of(message).strip()
        content = full.find(said, len(head)) if thinking and said else len(head)
        shadow = self.renderer.render([*messages[:-1], {**plain, "content": answer}]).text
        tail = shadow.split(answer)[-1] if answer in shadow else ""
        closing = self._closing(tail)
        if not closing or not full.endswith(tail):
            last_tag = re.search(rf"(?:{self.tags})?\s*\Z", full)
            tail = last_tag[0] if last_tag else ""
            closing = len(tail.rstrip())
        end = len(full) - len(tail)
        if end <= len(head):
            raise ViewError("the end of a tool call cannot be told in this chat template; leave it out of the targets")
        return len(head), content, end, end + closing

    def check_tool_calls(self, messages: Sequence[Message], index: int) -> None:
        """Refuse a template that leaves out the tool calls of message `index`.

        Raises:
            ViewError: the name of a called function is not in the rendering.
        """
        (mark,) = sentinels(messages, 1)
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
    def tags(self) -> str:
        """A pattern for one control token: an added token of the tokenizer, or a `<tag>` of a template without them."""
        tokenizer = self.renderer.tokenizer
        names = [token.content for token in tokenizer.added_tokens_decoder.values() if token.content.strip()]
        return "|".join([re.escape(name) for name in sorted(names, key=len, reverse=True)] + [_TAG])

    def _closing(self, tail: str) -> int:
        """How many characters of `tail`, the text after a last message, are its end-of-turn token(s).

        White space before the first one counts (the model must write it to get there); what follows the run of
        adjoining control tokens does not; nor does the header of a next turn that some templates always append.
        """
        run = re.match(rf"\s*(?:{self.tags})+", tail)
        if run is None:
            return 0
        tags = list(re.finditer(self.tags, run[0]))
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
        (mark,) = sentinels([], 1)
        pieces = self.renderer.render([{"role": "user", "content": mark}]).text.split(mark)
        closer = re.match(rf"\s*({self.tags})", pieces[-1])
        return frozenset(re.findall(self.tags, pieces[0])) - {closer[1] if closer else ""}


def sentinels(messages: Sequence[Message], count: int) -> list[str]:
    """Words that stand nowhere in `messages`, of capitals and digits only, which templates rarely change."""
    text = repr(messages) if messages else ""
    stem = next(stem for n in range(1000) if (stem := f"QX{n}Z") not in text)
    return [f"{stem}{i}KJ" for i in range(count)]


def _probes(message: Message, thought: str, answer: str) -> list[tuple[str, str, Message]]:
    """What to render instead of `message`, best first: (sentinel of its thinking or "", of its content, probe)."""
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
        thought = THINK.match(content)
        allowed = {_squashed(content), _squashed(thought["answer"] if thought else content)}
        return 0 if _squashed(bare) in allowed else None
    if not (bare.startswith(reasoning.strip()) and bare.endswith(content.strip())):
        return None
    return len(written.rstrip()) - len(content.strip())


def _squashed(text: str) -> str:
    return "".join(text.split())


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
