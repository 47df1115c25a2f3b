"""`bakery chat`: a conversation in the terminal with the baked, the prompted or the base model, or with all of them.

Each has the whole conversation, whoever wrote its answers; where all were asked, it goes on with the prompted model's.
Where all are asked, every token is coloured by how far the model is from the prompted one there, as on the page.
Ctrl-C stops an answer, Ctrl-D leaves.
"""

import unicodedata
from bisect import bisect
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from statistics import fmean

from rich.console import Console
from rich.text import Text

from bakery.errors import BakeryError
from bakery.evaluation.proof import NO_GAP_NATS
from bakery.report.page import HEAT
from bakery.rows.conversations import Message
from bakery.taste.conversation import (
    BAKED_COLUMN,
    BASE_COLUMN,
    REFERENCE,
    Asked,
    Ended,
    Piece,
    Tasting,
    with_answer,
    with_question,
)

STRONGEST = 1.5
LONGEST_ANSWER = 512
"""Tokens of an answer, where the model reads as many."""
EVERYONE = "all"
"""Who is asked, where that is not one column."""
HELP = f"""\
  /baked         ask the baked model (at the start, where there is one)
  /prompted      ask the base model that sees the prompt
  /base          ask the base model without it
  /all           ask all of them; colours show where a model is far from the prompted one
  /strength X    of the adapter: 0 is the base, 1 as it was baked, at most {STRONGEST:g}
  /new           forget the conversation
  /help          this text
  /quit          leave, as does Ctrl-D; Ctrl-C stops an answer"""
COLOURS = {"base": "bright_black", "prompted": "blue", "baked": "dark_orange"}
HEAT_STYLES = ("", "black on wheat1", "black on light_salmon1", "black on dark_orange", "bold white on red3")
"""From what is almost the same to what is entirely different, readable on light and dark terminals."""


@dataclass(frozen=True)
class ChatState:
    """Who is asked next, how strong the adapter is, and what was said so far.

    Args:
        column: who is asked.
        strength: of the adapter.
        messages: the conversation.
        nats: at each token of the prompted model's answers so far, how far the compared model is away.
    """

    column: str = BAKED_COLUMN
    strength: float = 1.0
    messages: tuple[Message, ...] = ()
    nats: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        """Who is asked, in words."""
        return self.column if self.column != BAKED_COLUMN or self.strength == 1 else f"baked at {self.strength:g}"


def chat(tasting: Tasting, console: Console, read: Callable[[str], str], max_new_tokens: int) -> None:
    """Talk until the person leaves.

    Args:
        tasting: who answers.
        console: where answers appear.
        read: asks for a line; raises EOFError at the end.
        max_new_tokens: of an answer.
    """
    baked = BAKED_COLUMN in tasting.keys
    state = ChatState(BAKED_COLUMN if baked else EVERYONE)
    who = "the baked model" if baked else "the model with and without the prompt"
    console.print(f"Talk to {who}; /help shows what else you can do.", style="dim")
    while True:
        try:
            line = read(f"\nyou ({state.label}) > ").strip()
        except KeyboardInterrupt:
            console.print()
            continue
        except EOFError:
            console.print()
            return
        if line == "/quit":
            return
        if line.startswith("/"):
            state, told = command(state, line, tasting.keys)
            console.print(told, style="dim", markup=False, highlight=False)
        elif line:
            state = _answer(tasting, state, line, console, max_new_tokens)


def command(state: ChatState, line: str, columns: Sequence[str]) -> tuple[ChatState, str]:
    """What a line with a slash makes of the state, where these columns can be asked, and what to tell."""
    name, _, value = line[1:].partition(" ")
    if name in ("baked", "strength") and BAKED_COLUMN not in columns:
        return state, f"/{name}: nothing is baked yet; bakery bake does that, and then bakery chat takes its folder"
    match name:
        case "base" | "prompted" | "baked" | "all":
            state = replace(state, column=name)
            return state, f"now asking: {state.label}"
        case "strength":
            try:
                strength = float(value)
            except ValueError:
                strength = -1.0
            if not 0 <= strength <= STRONGEST:
                return state, f"/strength: must be a number from 0 to {STRONGEST:g}, got {value.strip() or 'nothing'}"
            state = replace(state, column=BAKED_COLUMN, strength=strength)
            return state, f"now asking: {state.label}"
        case "new":
            return replace(state, messages=()), "a new conversation"
        case "help":
            return state, HELP
    return state, f"unknown command /{name}; /help shows all"


@dataclass
class _Said:
    """The answers to one question as far as they are."""

    texts: dict[str, str] = field(default_factory=dict)
    nats: list[float] = field(default_factory=list)


def _answer(tasting: Tasting, state: ChatState, line: str, console: Console, max_new_tokens: int) -> ChatState:
    """Print the answer as it grows; the state with both. What was stopped stays in the conversation as far as it is."""
    messages, said = with_question(state.messages, line), _Said()
    everyone = state.column == EVERYONE
    other = BAKED_COLUMN if BAKED_COLUMN in tasting.keys else BASE_COLUMN
    try:
        for column in tasting.keys if everyone else (state.column,):
            if everyone:
                console.print(column, style=COLOURS[column])
            asked = Asked({column: messages}, None, state.strength, 0.0, 0, max_new_tokens, compared=everyone)
            _print_answer(tasting, asked, column, other, said, console)
    except KeyboardInterrupt:
        console.print(" (stopped)", style="dim")
    except BakeryError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return state
    if said.nats:
        state = replace(state, nats=(*state.nats, *said.nats))
        console.print(f"  {distance(state.nats, other)}", style="dim", highlight=False)
    text = said.texts.get(REFERENCE if everyone else state.column, "").strip()
    return replace(state, messages=with_answer(messages, text)) if text else state


def _print_answer(tasting: Tasting, asked: Asked, column: str, other: str, said: _Said, console: Console) -> None:
    """Print one answer, each token by its column's colour or, where all are compared, by its heat."""
    measured = other if column == REFERENCE else column
    with closing(tasting.answers(asked)) as events:
        for event in events:
            if isinstance(event, Piece):
                said.texts[column] = said.texts.get(column, "") + event.text
                nats = event.nats.get(measured)
                style = COLOURS[column] if nats is None else HEAT_STYLES[bisect(HEAT, nats)]
                console.print(Text(visible(event.text), style), end="", soft_wrap=True)
                if nats is not None and column == REFERENCE:
                    said.nats.append(nats)
            elif isinstance(event, Ended):
                _end(event, console)


def distance(nats: Sequence[float], other: str) -> str:
    """How far a model is from the prompted one over these tokens of its answers, in a sentence."""
    mean, over = fmean(nats), f"over {len(nats):,} tokens answered so far"
    if other != BASE_COLUMN:
        return f"The baked model is {mean:.3g} nats per token away from the prompted one, {over}."
    told = f"The prompt changes the model by {mean:.3g} nats per token, {over}"
    return f"{told}: almost nothing, so there is little to bake." if mean < NO_GAP_NATS else f"{told}."


def _end(event: Ended, console: Console) -> None:
    console.print("" if event.stopped else " … (cut off)", style="dim")
    for name, holds in event.rules:
        console.print(f"  {'✓' if holds else '✗'} {name}", style="green" if holds else "red", markup=False)


def visible(text: str) -> str:
    """A text whose control characters, which could command the terminal, are shown as a sign."""
    return "".join("\ufffd" if unicodedata.category(one) == "Cc" and one not in "\n\t" else one for one in text)
