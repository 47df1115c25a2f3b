"""Thinking as a template has it: how it is asked for answers without, and thoughts in its own tags set apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bakery.chat.encoding import Encoder, Text
from bakery.chat.headers import squashed
from bakery.chat.rendering import Message, content_of, thinking_of
from bakery.chat.turns import Locator, sentinels
from bakery.errors import BakeryError

SWITCHES: tuple[tuple[str, object], ...] = (
    ("enable_thinking", False),
    ("thinking", False),
    ("reasoning_effort", "none"),
    ("thinking_budget", 0),
)
"""Variables by which templates let thinking be switched off, commonest first."""
_COMMON = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))
"""Tags around thoughts that templates know of and do not write themselves."""


def switch_off(locator: Locator) -> tuple[dict[str, object], Locator]:
    """The variable that switches thinking off, and a locator with it; found by trying.

    No variable, and the same locator, where an answer without thinking follows the generation prompt as it is, where
    no switch makes it do so, and for switches that the user has set.
    """
    if _answers_at_once(locator):
        return {}, locator
    renderer = locator.renderer
    for name, value in SWITCHES:
        if name in renderer.source and name not in renderer.kwargs:
            switched = Locator(renderer.switched({name: value}))
            if _answers_at_once(switched):
                return {name: value}, switched
    return {}, locator


def _answers_at_once(locator: Locator) -> bool:
    """Whether a model asked by this template writes nothing of its own before an answer without thinking."""
    try:
        return not locator.turn([{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]).written
    except BakeryError:
        return False


def inline_thoughts(locator: Locator) -> re.Pattern[str] | None:
    """Matches an answer with thoughts (its first group) in the template's own tags, and what follows them (its second).

    Such tags are `<seed:think>` or `<|START_THINKING|>`. None where the template writes no thinking, and for `<think>`,
    which templates read themselves.
    """
    opening, behind = locator.around_thinking
    closing = re.search(locator.tags, behind)
    if not opening or not closing or opening == "<think>":
        return None
    return re.compile(rf"\s*{re.escape(opening)}(.*?){re.escape(closing[0])}\s*(.*)", re.DOTALL)


def set_apart(messages: list[Message], inline: re.Pattern[str] | None) -> list[Message]:
    """The messages, with thoughts that answers hold inline beside their content, unless they have others already."""
    if inline is None:
        return messages
    return [_set_apart(message, inline) if message["role"] == "assistant" else message for message in messages]


def _set_apart(message: Message, inline: re.Pattern[str]) -> Message:
    parts = inline.fullmatch(content_of(message))
    if parts is None or thinking_of(message):
        return message
    return {**message, "reasoning_content": parts[1].strip(), "content": parts[2]}


@dataclass(frozen=True)
class ThinkingTokens:
    """The tokens around the thoughts of a sampled answer.

    Args:
        openings: what an answer with thoughts begins with, in every way it may be tokenised, shortest first; nothing
            where the generation prompt opens them.
        endings: what its thoughts end with, likewise.
        closing: what stands between thoughts and answer, as the template writes it.
    """

    openings: tuple[tuple[int, ...], ...]
    endings: tuple[tuple[int, ...], ...]
    closing: tuple[int, ...]

    def opened(self, ids: Sequence[int]) -> int | None:
        """How many of an answer's tokens open its thoughts; None where it begins otherwise."""
        return next((len(one) for one in self.openings if tuple(ids[: len(one)]) == one), None)

    def may_open(self, ids: Sequence[int]) -> bool:
        """Whether an answer that begins with these tokens may still open thoughts."""
        return any(one[: len(ids)] == tuple(ids) for one in self.openings)

    def ended(self, ids: Sequence[int], opened: int, at: int | None = None) -> bool:
        """Whether thoughts that so many tokens opened end with the last of these, or with the last one before `at`."""
        end = len(ids) if at is None else at
        return any(len(one) + opened <= end and tuple(ids[end - len(one) : end]) == one for one in self.endings)

    def begin(self, ids: Sequence[int]) -> int | None:
        """Where an answer goes on behind its thoughts: 0 where it has none, None where it was cut in them."""
        opened = self.opened(ids)
        if opened is None:
            return 0
        return next((end for end in range(opened + 1, len(ids) + 1) if self.ended(ids, opened, end)), None)

    def answer(self, ids: Sequence[int]) -> int | None:
        """The same, but behind the white space, too, that the template writes before the answer."""
        begin = self.begin(ids)
        if not begin:
            return begin
        last = min(len(ids), begin + max(map(len, self.endings)))
        return max(end for end in range(begin, last + 1) if self.ended(ids, 0, end))

    def thoughts(self, ids: Sequence[int]) -> Sequence[int]:
        """The tokens of an answer's thoughts, without what stands around them; none where it has none or was cut."""
        opened, begin = self.opened(ids), self.begin(ids)
        if opened is None or begin is None:
            return ()
        behind = tuple(ids[opened:begin])
        return behind[: len(behind) - max(len(one) for one in self.endings if behind[-len(one) :] == one)]


def thinking_tokens(locator: Locator, encoder: Encoder) -> ThinkingTokens | None:
    """What stands around the thoughts of an answer to a prompt of this template; None where it is asked for none."""
    markup = _markup(locator)
    if markup is None:
        return None
    opening, closing = markup
    return ThinkingTokens(
        openings=_spellings(opening, encoder),
        endings=_spellings(closing, encoder),
        closing=tuple(encoder.encode_behind(Text(closing)).ids),
    )


def _spellings(text: str, encoder: Encoder) -> tuple[tuple[int, ...], ...]:
    """Tokens of a text with and without the white space at its ends, which some tokenizers join to it."""
    texts = {text.strip(), text.lstrip(), text.rstrip(), text}
    return tuple(sorted({tuple(encoder.encode_behind(Text(one)).ids) if one else () for one in texts}, key=len))


def _markup(locator: Locator) -> tuple[str, str] | None:
    """What an answer with thoughts writes before them, and between them and the answer."""
    thought, mark = sentinels([], 2)
    asked = [{"role": "user", "content": "Q"}]
    try:
        prompt = locator.prompt(asked).text
        answer = {"role": "assistant", "content": mark, "reasoning_content": thought}
        shown = locator.renderer.render([*asked, answer]).text.partition(mark)[0]
    except BakeryError:
        return None
    before, written, closing = shown.partition(thought)
    if written:
        if not squashed(before).startswith(squashed(prompt)) or not closing.strip():
            return None  # the prompt ends thinking, or leaves it out
        return _behind(before, prompt), closing
    opening, ending = next((pair for pair in _COMMON if pair[1] in locator.renderer.source), ("", ""))
    if not ending or prompt.rstrip().endswith(ending):
        return None
    return "" if prompt.rstrip().endswith(opening) else f"{opening}\n", f"\n{ending}\n\n"


def _behind(text: str, start: str) -> str:
    """What follows in a text the words that it starts with, whatever their white space; empty if it is white space."""
    left = len(squashed(start))
    words = [at for at, character in enumerate(text) if not character.isspace()]
    rest = text[words[left - 1] + 1 :] if left else text
    return rest if rest.strip() else ""


def learned_of(ids: Sequence[int], forced: range, thinking: ThinkingTokens | None, target_thinking: bool) -> list[int]:
    """The positions in a sampled answer that are learned; none where it has no end of its thoughts and needs one.

    Args:
        ids: of the answer.
        forced: positions of what the model did not choose.
        thinking: what stands around thoughts, if there may be any.
        target_thinking: whether thoughts are learned.
    """
    begin = 0 if target_thinking or thinking is None else thinking.answer(ids)
    return [] if begin is None else [at for at in range(begin, len(ids)) if at not in forced]
