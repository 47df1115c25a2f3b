"""`bakery chat`: a conversation in the terminal with the baked, the prompted or the base model.

Each of the three has the whole conversation, whoever wrote its answers. Ctrl-C stops an answer, Ctrl-D leaves.
"""

import unicodedata
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from bakery.errors import BakeryError
from bakery.rows.conversations import Message
from bakery.taste.conversation import Asked, Ended, Piece, Tasting, with_answer, with_question

STRONGEST = 1.5
LONGEST_ANSWER = 512
"""Tokens of an answer, where the model reads as many."""
HELP = f"""\
  /baked         ask the baked model (at the start)
  /prompted      ask the base model that sees the prompt
  /base          ask the base model without it
  /strength X    of the adapter: 0 is the base, 1 as it was baked, at most {STRONGEST:g}
  /new           forget the conversation
  /help          this text
  /quit          leave, as does Ctrl-D; Ctrl-C stops an answer"""
COLOURS = {"base": "bright_black", "prompted": "blue", "baked": "dark_orange"}


@dataclass(frozen=True)
class ChatState:
    """Who is asked next, how strong the adapter is, and what was said so far."""

    column: str = "baked"
    strength: float = 1.0
    messages: tuple[Message, ...] = ()

    @property
    def label(self) -> str:
        """Who is asked, in words."""
        return self.column if self.column != "baked" or self.strength == 1 else f"baked at {self.strength:g}"


def chat(tasting: Tasting, console: Console, read: Callable[[str], str], max_new_tokens: int) -> None:
    """Talk until the person leaves.

    Args:
        tasting: who answers.
        console: where answers appear.
        read: asks for a line; raises EOFError at the end.
        max_new_tokens: of an answer.
    """
    state = ChatState()
    console.print("Talk to the baked model; /help shows what else you can do.", style="dim")
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
            state, told = command(state, line)
            console.print(told, style="dim", markup=False, highlight=False)
        elif line:
            state = _answer(tasting, state, line, console, max_new_tokens)


def command(state: ChatState, line: str) -> tuple[ChatState, str]:
    """What a line with a slash makes of the state, and what to tell."""
    name, _, value = line[1:].partition(" ")
    match name:
        case "base" | "prompted" | "baked":
            state = replace(state, column=name)
            return state, f"now asking: {state.label}"
        case "strength":
            try:
                strength = float(value)
            except ValueError:
                strength = -1.0
            if not 0 <= strength <= STRONGEST:
                return state, f"/strength: must be a number from 0 to {STRONGEST:g}, got {value.strip() or 'nothing'}"
            state = replace(state, column="baked", strength=strength)
            return state, f"now asking: {state.label}"
        case "new":
            return replace(state, messages=()), "a new conversation"
        case "help":
            return state, HELP
    return state, f"unknown command /{name}; /help shows all"


def _answer(tasting: Tasting, state: ChatState, line: str, console: Console, max_new_tokens: int) -> ChatState:
    """Print the answer as it grows; the state with both. What was stopped stays in the conversation as far as it is."""
    messages = with_question(state.messages, line)
    own = {state.column: messages}
    asked = Asked(own, strength=state.strength, max_new_tokens=max_new_tokens, compared=False)
    text, style = "", COLOURS[state.column]
    try:
        with closing(tasting.answers(asked)) as events:
            for event in events:
                if isinstance(event, Piece):
                    text += event.text
                    shown = Text(visible(event.text), style)
                    console.print(shown, end="", soft_wrap=True)
                elif isinstance(event, Ended):
                    _end(event, console)
    except KeyboardInterrupt:
        console.print(" (stopped)", style="dim")
    except BakeryError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return state
    return replace(state, messages=with_answer(messages, text.strip())) if text.strip() else state


def _end(event: Ended, console: Console) -> None:
    console.print("" if event.stopped else " … (cut off)", style="dim")
    for name, holds in event.rules:
        console.print(f"  {'✓' if holds else '✗'} {name}", style="green" if holds else "red", markup=False)


def visible(text: str) -> str:
    """A text whose control characters, which could command the terminal, are shown as a sign."""
    return "".join("\ufffd" if unicodedata.category(one) == "Cc" and one not in "\n\t" else one for one in text)
