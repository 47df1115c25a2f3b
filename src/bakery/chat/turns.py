"""A target turn of a conversation: the context a server would send for it, and the text that is learned behind it.

The context of an answer is the template's rendering of the messages before it with the generation prompt. What is
learned is what the model itself has to write behind it: its thinking or markup such as `<|channel|>final<|message|>`,
the answer as the template writes it, and the end of the turn. Where the template's rendering of the answered
conversation begins with that context, the learned text is what follows; where it does not (other white space, a
thinking block that the prompt opens and the answered conversation does not show), the answer is put behind the prompt.

An answer that does not stand right behind the prompt is located by rendering the conversation once more with a sentinel
in its place, never by searching for its words: templates trim and rewrite.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bakery.chat.encoding import Text
from bakery.chat.headers import along, behind_prompt, past_thinking, squashed
from bakery.chat.rendering import THINK, Message, Renderer, content_of, thinking_of
from bakery.errors import TemplateError, ViewError
from bakery.text import excerpt

_TAG = r"<[^<>\s]{1,60}>"


@dataclass(frozen=True, slots=True)
class Turn:
    """A target message of a conversation.

    Attributes:
        context: the text that precedes it.
        learned: the text of the turn: what the model writes before the content, the content, the end of the turn.
        content, end: where the message's own content stands in `learned`.
        rendering: the template's rendering of the conversation up to this turn, if it begins with context and learned.
        written: what the model has to write before an answer without thinking, if anything.
        omits_thinking: whether the template leaves out the answer's thinking.
    """

    context: Text
    learned: Text
    content: int
    end: int
    rendering: Text | None
    written: str = ""
    omits_thinking: bool = False

    @property
    def notes(self) -> list[str]:
        """What a user should know about it."""
        notes = ["the template leaves out the thinking of the answer"] if self.omits_thinking else []
        if self.written:
            notes.append(f"the model has to write {excerpt(self.written)!r} before the answer; it is learned with it")
        return notes


class Locator:
    """Finds turns in what one `Renderer` writes."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._checked: set[tuple[object, ...]] = set()

    def turns(self, conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        """The last message of each conversation as a target; they end alike, and the last one is the shortest.

        Raises:
            ViewError, TemplateError: as `turn`.
        """
        *longer, shortest = conversations
        turn = self.turn(shortest)
        return [*(self._behind_more(turn, messages, shortest) or self.turn(messages) for messages in longer), turn]

    def _behind_more(self, turn: Turn, messages: Sequence[Message], shorter: Sequence[Message]) -> Turn | None:
        """The turn of the shorter conversation behind the prompt of a longer one, if both prompts end alike."""
        question = content_of(shorter[-2]).strip() if len(shorter) > 1 else ""
        if not question or turn.rendering is None or messages[-1]["role"] != "assistant":
            return None
        prompt, at = self.prompt(messages[:-1]), turn.context.text.rfind(question)
        if at < 0 or not prompt.text.endswith(turn.context.text[at:]):
            return None
        behind = turn.rendering[len(turn.context.text) :]
        return replace(turn, context=prompt, rendering=prompt + behind)

    def turn(self, messages: Sequence[Message]) -> Turn:
        """The last message as a target.

        Raises:
            ViewError: the template leaves out a message, or rewrites the last one so that it cannot be located.
            TemplateError: the template cannot render the conversation.
        """
        full, message = self.renderer.render(messages), messages[-1]
        if message["role"] != "assistant":
            content, end = self._content(messages, full.text, None)
            stop = end + self._end_of_turn(full.text[end:])
            return Turn(full[:content], full[content:stop], 0, end - content, full)
        prompt = self.prompt(messages[:-1]) if len(messages) > 1 else self._empty_prompt()
        if calls := message.get("tool_calls"):
            self.check_tool_calls(messages, len(messages) - 1)
            content, end, stop = -1, *self._end_of_calls(messages, full.text)
        else:
            content, end = self._content(messages, full.text, None if prompt is None else prompt.text)
            stop = end + self._end_of_turn(full.text[end:])
        eos = Text("" if stop > end else self._eos_between_turns(messages, full.text[:end]))
        thinking = thinking_of(message)
        if prompt is None:  # it is the first message, and the template renders no prompt for none
            begin = full.text.rfind("<think>", 0, content) if thinking else len(full.text[:content].rstrip(" "))
            return Turn(full[:begin], full[begin:stop], content - begin, end - begin, full)
        if full.text.startswith(prompt.text):
            begin, before = len(prompt.text), ""
        else:
            begin, before = self._begin(messages, prompt.text, full.text, content)
        content = max(content, begin)
        if calls and thinking:
            closing = re.search(self.tags, self.around_thinking[1])
            content = begin + past_thinking(full.text[begin:end], thinking, closing[0] if closing else "</think>")
        written = before + full.text[begin:content]
        shown = not thinking or squashed(thinking) in squashed(before + full.text[begin:end])
        return Turn(
            prompt,
            Text(before) + full[begin:stop] + eos,
            len(written),
            len(before) + end - begin,
            full if full.text.startswith(prompt.text) and not eos.text else None,
            "" if thinking or calls else written.strip(),
            not shown,
        )

    def _begin(self, messages: Sequence[Message], prompt: str, full: str, content: int) -> tuple[int, str]:
        """Where in `full`, which does not begin with the prompt, the text begins that the model writes behind it.

        Also what it writes before that and `full` does not show: its thinking, and the end of thinking that the prompt
        opens. What follows the last message before the answer is compared, white space aside; `content` is -1 where
        the begin of the content is not known.
        """
        asked, answered = self._headers(messages, prompt, full)
        start = len(full) - len(answered)
        known = content - start if content >= start else len(answered)
        i, j = along(asked, answered[:known])
        if content < 0:
            j = known = behind_prompt(asked[i:], answered, j, thinking_of(messages[-1]))
        thinking, between = thinking_of(messages[-1]), answered[j:known]
        opened = not re.search(self.tags, asked[i:])  # and so the thinking that is given has its place
        if not asked[i:].strip() or (thinking and opened and squashed(between).startswith(squashed(thinking))):
            return start + j, ""
        if answered[:known].strip() and squashed(asked).endswith(squashed(answered[:known])):
            return start + known, ""
        if re.sub(self.tags, "", between.replace(thinking, "") if thinking else between).strip():
            raise ViewError(
                f"the generation prompt goes on with {excerpt(asked[i:])!r}, but the rendered answer is preceded by "
                f"{excerpt(between)!r}; give prompts without answers (the teacher then writes them)"
            )
        closing = self._end_of_thinking(prompt, asked[i:])
        if content < start and thinking and squashed(thinking) in squashed(answered[j:]):
            return start + j, ""
        if (
            not closing and "think" in asked[i:].lower() and "think" not in between.lower()
        ):  # such as <|START_RESPONSE|>
            return start + j, ""
        return start + known, (thinking.strip("\n") if closing else "") + closing

    def _headers(self, messages: Sequence[Message], prompt: str, full: str) -> tuple[str, str]:
        """What follows the words of the last message before the answer, in the prompt and in the full rendering."""
        if len(messages) > 1:
            (mark,) = sentinels(messages, 1)
            probe = [*messages[:-2], {**messages[-2], "content": mark}]
            try:
                asked = self.renderer.render(probe, generation_prompt=True).text.split(mark)
                answered = self.renderer.render([*probe, messages[-1]]).text.split(mark)
            except TemplateError:
                return prompt, full
            if len(asked) == len(answered) == 2 and prompt.endswith(asked[1]) and full.endswith(answered[1]):
                return asked[1], answered[1]
        return prompt, full

    def prompt(self, messages: Sequence[Message]) -> Text:
        """What a server would send for an answer to these messages.

        Raises:
            ViewError: the template leaves out a message.
            TemplateError: the template cannot render them.
        """
        prompt = self.renderer.render(messages, generation_prompt=True)
        self.check_written(messages, prompt.text)
        return prompt

    def _empty_prompt(self) -> Text | None:
        try:
            return self.renderer.render([], generation_prompt=True)
        except TemplateError:
            return None

    def check_written(self, messages: Sequence[Message], prompt: str) -> None:
        """Refuse a template that leaves out a message of a conversation, of which `prompt` is the generation prompt.

        Every message's words are searched for; for the first conversation of its kind (roles and tool calls) each
        message is also replaced by a sentinel, as its words could stand in the text for another reason.

        Raises:
            ViewError: the content or the tool calls of a message are not in the prompt.
        """
        kind = tuple((message["role"], bool(content_of(message)), "tool_calls" in message) for message in messages)
        if kind not in self._checked or any(content_of(message).strip() not in prompt for message in messages):
            self._check_sentinels(messages, prompt)
            self._checked.add(kind)
        for i, message in enumerate(messages):
            if message.get("tool_calls"):
                self.check_tool_calls(messages, i)

    def _check_sentinels(self, messages: Sequence[Message], prompt: str) -> None:
        marks = [
            mark if content_of(message) else ""
            for mark, message in zip(sentinels(messages, len(messages)), messages, strict=True)
        ]
        probe = [
            {**message, "content": mark} if mark else message for message, mark in zip(messages, marks, strict=True)
        ]
        try:
            text = self.renderer.render(probe, generation_prompt=True).text
        except TemplateError:  # it insists on certain words; so look for the words themselves
            marks, text = [content_of(message).strip() for message in messages], prompt
        for i, (message, mark) in enumerate(zip(messages, marks, strict=True)):
            if mark not in text:
                raise ViewError(
                    f"the chat template leaves out the {message['role']} message, number {i + 1} of {len(messages)}; "
                    "change the conversation, or the template"
                )

    def _content(self, messages: Sequence[Message], full: str, prompt: str | None) -> tuple[int, int]:
        """Where the content of the last message begins and ends in the rendering `full`, its thinking left out."""
        message = messages[-1]
        thought = THINK.match(content_of(message)) if message["role"] == "assistant" else None
        answer = thought["answer"] if thought else content_of(message)
        if prompt is not None and full.startswith(prompt) and not thinking_of(message) and answer.strip():
            begin = len(prompt) + len(full[len(prompt) :]) - len(full[len(prompt) :].lstrip())
            end = begin + len(answer.strip())
            if full.startswith(answer.strip(), begin) and self._tag_or_end.match(full, end):
                return begin, end
        (mark,) = sentinels(messages, 1)
        before = content_of(message)[: thought.start("answer")] if thought else ""
        probe = [*messages[:-1], {**message, "content": before + mark}]
        why = f"the chat template rewrites the last {message['role']} message so that it cannot be located"
        try:
            shadow = self.renderer.render(probe).text
        except TemplateError:
            shadow = full
        if shadow.count(mark) == 1:
            head, tail = shadow.split(mark)
            if len(head) + len(tail) <= len(full) and full.startswith(head) and full.endswith(tail):
                written = full[len(head) : len(full) - len(tail)]
                if squashed(written) == squashed(answer):
                    blank = len(written) - len(written.lstrip()) if prompt is not None else 0
                    return len(head) + blank, len(full) - len(tail)
        elif mark in shadow:
            why = f"the chat template writes the last {message['role']} message more than once"
        elif shadow != full:
            why = f"the chat template does not write the content of the last {message['role']} message"
        raise ViewError(f"{why}; change the message, or use another template (tokenizer.chat_template)")

    def _end_of_calls(self, messages: Sequence[Message], full: str) -> tuple[int, int]:
        """Where the calls of the last message end in the rendering `full`, and where its turn does."""
        message = messages[-1]
        if content_of(message).strip() not in full:
            raise ViewError("the chat template leaves out what an assistant says beside its tool calls; remove it")
        (mark,) = sentinels(messages, 1)
        plain = {key: value for key, value in message.items() if key != "tool_calls"}
        shadow = self.renderer.render([*messages[:-1], {**plain, "content": mark}]).text
        tail = shadow.split(mark)[-1] if mark in shadow else ""
        closing = self._end_of_turn(tail)
        if not closing or not full.endswith(tail):
            last_tag = re.search(rf"(?:{self.tags})?\s*\Z", full)
            tail = last_tag[0] if last_tag else ""
            closing = len(tail.rstrip())
        end = len(full) - len(tail)
        return end, end + closing

    def check_tool_calls(self, messages: Sequence[Message], index: int) -> None:
        """Refuse a template that leaves out the tool calls of message `index`.

        Raises:
            ViewError: a call has no function, or the name of a called function is not in the rendering.
        """
        (mark,) = sentinels(messages, 1)
        calls = messages[index]["tool_calls"]
        for n, call in enumerate(calls):
            function = call.get("function", call)
            if not isinstance(function, dict):
                raise ViewError(f"a tool call's function must be a mapping, got {excerpt(repr(function))}; repair it")
            named = {**function, "name": mark}
            renamed = [*calls[:n], {**call, "function": named} if "function" in call else named, *calls[n + 1 :]]
            probe = [*messages[:index], {**messages[index], "tool_calls": renamed}, *messages[index + 1 :]]
            if mark not in self.renderer.render(probe).text:
                raise ViewError(
                    "the chat template does not write the tool calls of the assistant; "
                    "use the model's template for tools, or write the calls into the content"
                )

    @cached_property
    def drops_system(self) -> bool:
        """Whether the template leaves out a system message without a word."""
        (mark,) = sentinels([], 1)
        try:
            messages = [{"role": "system", "content": mark}, {"role": "user", "content": "Q"}]
            return mark not in self.renderer.render(messages, generation_prompt=True).text
        except TemplateError:
            return False

    def _end_of_thinking(self, prompt: str, asked: str) -> str:
        """What a model writes between the thinking that a generation prompt opens, or has closed, and the answer.

        Prompts open thinking with the tag that the template writes before it, with a tag that the template knows how
        to close, or with words: `asked`, the end of the prompt, is what the answered conversation does not show.
        """
        last = re.search(rf"({self.tags})(\s*)\Z", prompt)
        opening, behind = self.around_thinking
        if behind:
            closing = re.search(self.tags, behind)
            if last and last[1] == opening:
                return behind
            if last and closing and last[1] == closing[0]:
                rest = behind[closing.end() :]
                return rest if rest.strip() else ""
            if not last and re.sub(self.tags, "", asked).strip():
                return behind
        tag = f"{last[1][0]}/{last[1][1:]}" if last else ""
        if not last or tag not in self.renderer.source:
            return ""
        return f"\n{tag}\n\n" if "\n" in last[2] else tag

    @cached_property
    def around_thinking(self) -> tuple[str, str]:
        """The tag that the template writes before thinking, and its text between thinking and answer; or nothing."""
        thought, mark = sentinels([], 2)
        answer = {"role": "assistant", "content": mark}
        asked = [{"role": "user", "content": "Q"}]
        try:
            plain = self.renderer.render([*asked, answer]).text.partition(mark)[0]
            shown = self.renderer.render([*asked, {**answer, "reasoning_content": thought}]).text.partition(mark)[0]
        except TemplateError:
            return "", ""
        before, written, behind = shown.partition(thought)
        opened, header = (re.search(rf"({self.tags})\s*\Z", text) for text in (before, plain))
        opening = opened[1] if opened and not (header and header[1] == opened[1]) else ""
        return (opening, behind) if written else ("", "")

    @cached_property
    def tags(self) -> str:
        """A pattern for one control token: an added token of the tokenizer, or a `<tag>` of a template without them."""
        tokenizer = self.renderer.tokenizer
        names = [token.content for token in tokenizer.added_tokens_decoder.values() if token.content.strip()]
        return "|".join([re.escape(name) for name in sorted(names, key=len, reverse=True)] + [_TAG])

    @cached_property
    def _tag_run(self) -> re.Pattern[str]:
        return re.compile(rf"\s*(?:{self.tags})+")

    @cached_property
    def _tag_or_end(self) -> re.Pattern[str]:
        return re.compile(rf"\s*(?:{self.tags}|\Z)")

    def _end_of_turn(self, tail: str) -> int:
        """How many characters of `tail`, the text after a last message, are its end-of-turn token(s).

        White space before the first one counts (the model must write it to get there). What stands behind the
        end-of-sequence token does not, nor does the header of a next turn that some templates always append.
        """
        run = self._tag_run.match(tail)
        if run is None:
            return 0
        eos = self.renderer.tokenizer.eos_token
        for i, tag in enumerate(re.finditer(self.tags, run[0])):
            if i and tag[0] in self._openers:
                return tag.start()
            if tag[0] == eos:
                return tag.end()
        return run.end()

    def _eos_between_turns(self, messages: Sequence[Message], answered: str) -> str:
        """The end-of-sequence token, if the template writes it behind an answer only when another turn follows."""
        eos = self.renderer.tokenizer.eos_token
        try:
            later = self.renderer.render([*messages, {"role": "user", "content": "Q"}]).text
        except TemplateError:
            return ""
        return eos if eos and later.startswith(answered) and later.startswith(eos, len(answered)) else ""

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
