"""Properties of a chat template that a user should know, tried by rendering; told when a bake starts and by `inspect`.

default system     writes a system text of its own where a conversation has none
fixed system       writes a text of its own before every conversation
no system role     rejects system messages
lost system        leaves system messages out; they are folded into the next user message
date               writes the date; it is frozen for the whole bake
no end             writes no end-of-turn token after the last answer: stopping is not baked
other end          ends a turn with a token that is not the tokenizer's end-of-sequence token
rewrites turns     changes earlier turns when later ones come: rows of many turns become several examples
trims              cuts white space off an answer's ends
prompt             answers that are given cannot be baked
thinking off       can be asked without thinking, and is where answers are given without
writes before      something stands between the generation prompt and an answer; the model learns to write it
no thinking        does not write the thinking that a message carries beside its content
no tools           leaves out tool calls
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakery.chat.contexts import ContextRules
from bakery.chat.rendering import Message
from bakery.chat.thinking import switch_off
from bakery.chat.turns import Locator, sentinels
from bakery.chat.views import ViewBuilder
from bakery.errors import BakeryError, TemplateError, ViewError
from bakery.rows.conversations import Conversation
from bakery.rows.tools import split_tools
from bakery.text import excerpt

_ASK, _ANSWER, _AGAIN, _SYSTEM = sentinels([], 4)


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """One property: its name, a sentence about it, and whether a user should decide something because of it."""

    name: str
    text: str
    warns: bool = False


def check_template(tokenizer: Any, chat_template_kwargs: Mapping[str, Any] | None = None) -> list[TemplateCheck]:
    """The remarks of a tokenizer's chat template, the ones to decide about first.

    Raises:
        TemplateError: there is no chat template, or it cannot be run.
    """
    builder = ViewBuilder(tokenizer, chat_template_kwargs=chat_template_kwargs)
    locator = builder.locator
    checks = [*_system(locator), *_dates(locator), *_answers(builder), *_history(locator), *_extras(locator)]
    return sorted(checks, key=lambda check: not check.warns)


def warnings_for(template_checks: Sequence[TemplateCheck], rules: ContextRules) -> list[str]:
    """What to tell a user once at the start of a bake: the remarks that its settings do not settle already."""
    settled = {"prompt"}  # the rows have their views by now
    if rules.fold or not any(message["role"] == "system" for message in split_tools(rules.prefix)[0]):
        settled |= {"no system role", "lost system"}
    if rules.empty_system or rules.fold:
        settled.add("default system")
    return [check.text for check in template_checks if check.warns and check.name not in settled]


def default_system(locator: Locator) -> str:
    """The text that the template writes before a bare user message beyond that message's header; mostly empty."""
    shown = _renders(locator, [_user(_ASK), _assistant(_ANSWER), _user(_AGAIN)])
    if not shown.find(_ASK) < shown.find(_ANSWER) < shown.find(_AGAIN) or _ASK not in shown:
        return ""
    tags: dict[str, str] = {}
    shown = re.sub(locator.tags, lambda tag: tags.setdefault(tag[0], chr(0xE000 + len(tags))), shown)
    first = shown.partition(_ASK)[0]
    second = shown.partition(_ANSWER)[2].partition(_AGAIN)[0]
    pairs = zip(reversed(first), reversed(second), strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
    text = re.sub("[\ue000-\uf8ff]", " ", first[: len(first) - same]).strip()
    text = re.sub(r"^(system|developer)\b\s*", "", text)
    return text if any(character.isalpha() for character in text) else ""


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def _system(locator: Locator) -> Iterator[TemplateCheck]:
    conversation = [{"role": "system", "content": _SYSTEM}, _user(_ASK), _assistant(_ANSWER)]
    if not (_renders(locator, conversation[1:])):
        return
    shown = _renders(locator, conversation)
    if not shown:
        yield TemplateCheck(
            "no system role", "the template rejects system messages; system_role: fold is the way", True
        )
    elif locator.drops_system:
        text = "the template leaves system messages out; their text is put before the next user message"
        yield TemplateCheck("lost system", text)
    own = default_system(locator)
    if own and shown and own in re.sub(locator.tags, " ", shown):
        yield TemplateCheck(
            "fixed system", f"the template writes a text of its own before everything: {excerpt(own, 100)!r}"
        )
    elif own:
        served = "the student is served with it; student_system: empty gives it an empty system message instead"
        yield TemplateCheck(
            "default system",
            f"the template writes a system text where there is none: {excerpt(own, 100)!r}; {served}",
            True,
        )


def _renders(locator: Locator, messages: list[Message]) -> str:
    """The rendering, empty where the template refuses it."""
    try:
        return locator.renderer.render(messages).text
    except TemplateError:
        return ""


def _dates(locator: Locator) -> Iterator[TemplateCheck]:
    renderer = locator.renderer
    if renderer.dated:
        yield TemplateCheck(
            "date", f"the template writes the date; for this bake it is always {renderer.today:%d %B %Y}"
        )


def _answers(builder: ViewBuilder) -> Iterator[TemplateCheck]:
    messages = [_user(_ASK), _assistant(_ANSWER)]
    try:
        builder.views(Conversation(tuple(messages), None, ""), anchor=True)
        thinking_off, locator = switch_off(builder.locator)
        turn = locator.turn(messages)
    except ViewError as error:
        yield TemplateCheck("prompt", f"answers that are given cannot be baked: {error}", True)
        return
    except BakeryError:
        return
    for name, value in thinking_off.items():
        text = f"answers given without thinking are asked for with {name}: {json.dumps(value)}"
        yield TemplateCheck("thinking off", text)
    for note in turn.notes:
        yield TemplateCheck("writes before", note)
    end = turn.learned.text[turn.end :].strip()
    eos = locator.renderer.tokenizer.eos_token
    if not end:
        yield TemplateCheck(
            "no end", "the template writes no end-of-turn token after the last answer, so stopping is not baked", True
        )
    elif eos and eos not in end:
        yield TemplateCheck(
            "other end", f"the template ends a turn with {end}, not with the tokenizer's end-of-sequence token {eos}"
        )
    padded = [messages[0], _assistant(f"  {_ANSWER}  ")]
    if f"  {_ANSWER}  " not in locator.renderer.render(padded).text:
        yield TemplateCheck("trims", "the template cuts white space off the ends of an answer")


def _history(locator: Locator) -> Iterator[TemplateCheck]:
    messages = [_user(_ASK), _assistant(_ANSWER), _user(_AGAIN)]
    locator = switch_off(locator)[1]
    after = _renders(locator, messages)
    try:
        turn = locator.turn(messages[:2])
    except BakeryError:
        return
    if after and not after.startswith(turn.context.text + turn.learned.text):
        text = "the template changes earlier turns when later ones come: every answer becomes an example of its own"
        yield TemplateCheck("rewrites turns", text)


def _extras(locator: Locator) -> Iterator[TemplateCheck]:
    call = {"type": "function", "function": {"name": _AGAIN, "arguments": {"q": "x"}}}
    extras: dict[str, tuple[dict[str, Any], str]] = {
        "no thinking": (
            {"reasoning_content": _AGAIN},
            "the template leaves out thoughts (reasoning_content): the model does not see them",
        ),
        "no tools": ({"tool_calls": [call]}, "the template leaves out tool calls: the model does not see them"),
    }
    for name, (extra, text) in extras.items():
        if _AGAIN not in _renders(locator, [_user(_ASK), _assistant(_ANSWER, **extra)]):
            yield TemplateCheck(name, text)
