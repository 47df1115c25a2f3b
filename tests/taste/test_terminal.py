"""A conversation in the terminal: who is asked, what is printed, how it is stopped and left."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bakery.taste import terminal
from bakery.taste.conversation import Asked, Ended, Piece
from bakery.taste.terminal import ChatState, chat, command, distance, visible
from tests.taste.conftest import COLUMNS


def talk(tasting, *lines):
    """What is printed when these lines are typed, and the prompts they were typed at."""
    typed, prompts, out = iter(lines), [], io.StringIO()

    def read(prompt):
        prompts.append(prompt)
        line = next(typed, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    chat(tasting, Console(file=out, width=80), read, 6)
    return out.getvalue(), prompts


def text(tasting, column, *questions):
    messages = tuple({"role": "user", "content": question} for question in questions)
    events = tasting.answers(Asked(dict.fromkeys(COLUMNS, messages), max_new_tokens=6))
    return next(event for event in events if isinstance(event, Ended) and event.column == column)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_model_that_is_asked_answers(column, tasting):
    shown, prompts = talk(tasting, f"/{column}", "Hello!")
    assert visible(text(tasting, column, "Hello!").text) in shown
    assert prompts[1] == f"\nyou ({column}) > "
    assert "greets" in shown  # the rule under the answer


def test_what_can_be_said_beside_questions(tasting):
    shown, prompts = talk(tasting, "/strength 0.5", "/strength 2", "/strength", "/help", "/new", "", "/x", "/quit", "a")
    assert prompts[1] == "\nyou (baked at 0.5) > "
    assert "/strength: must be a number from 0 to 1.5, got 2" in shown
    assert "got nothing" in shown
    assert "/prompted" in shown
    assert "unknown command /x" in shown
    assert len(prompts) == 8


def test_commands_change_the_state():
    state = ChatState(messages=({"role": "user", "content": "a"},))
    assert command(state, "/strength 0.25", COLUMNS)[0] == ChatState("baked", 0.25, state.messages)
    assert command(state, "/strength nan", COLUMNS)[0] == state
    assert command(state, "/new", COLUMNS)[0] == ChatState()
    assert command(state, "/base", COLUMNS)[0].label == "base"


class Scripted:
    """Stands in for a model: says what it is told to."""

    keys = COLUMNS

    def __init__(self, *events):
        self.events, self.asked = events, []

    def answers(self, asked):
        self.asked.append(asked)
        for event in self.events:
            if isinstance(event, BaseException):
                raise event
            yield event


def piece(text):
    return Piece("baked", text, text, {}, {}, {})


def test_an_answer_can_be_stopped_and_the_conversation_goes_on():
    model = Scripted(piece("Ahoy"), KeyboardInterrupt())
    shown, _ = talk(model, "Hello!", KeyboardInterrupt(), "Again!")
    assert shown.count("Ahoy (stopped)") == 2
    assert [message["content"] for message in model.asked[1].messages["baked"]] == ["Hello!", "Ahoy", "Again!"]


def test_generated_text_commands_neither_the_terminal_nor_rich():
    shown, _ = talk(Scripted(piece("\x1b[31m[bold]red[/bold]\x07"), Ended("baked", "x", True, ())), "Hello!")
    assert "\ufffd[31m[bold]red[/bold]\ufffd" in shown
    assert "\x1b[31m" not in shown


def test_a_conversation_that_is_refused_is_told_and_taken_back(tasting):
    shown, prompts = talk(replace(tasting, longest=10), "Hello!", "Hello!")
    assert " ".join(shown.split()).count("start a new conversation") == 2
    assert len(prompts) == 3


def test_the_strongest_strength_is_that_of_the_evaluation():
    from bakery import evaluate

    assert terminal.STRONGEST == evaluate.STRONGEST


def test_all_are_asked_in_turn_and_their_distance_is_told(tasting):
    shown, prompts = talk(tasting, "/all", "Hello!")
    assert prompts[1] == "\nyou (all) > "
    at = [shown.index(f"{column}\n") for column in COLUMNS]
    assert at == sorted(at)
    for column in COLUMNS:
        assert visible(text(tasting, column, "Hello!").text) in shown
    nats = prompted_nats(tasting, "baked", "Hello!")
    assert distance(nats, "baked") in " ".join(shown.split())


def test_without_a_bake_both_are_asked_and_the_gap_over_all_answers_is_told(tasting):
    unbaked = replace(tasting, columns=tasting.columns[:2])
    shown, prompts = talk(unbaked, "Hello!", "/baked", "/strength 1", "/new", "Who are you?")
    assert prompts[0] == "\nyou (all) > "
    assert shown.count("nothing is baked yet") == 2
    nats = [one for question in ("Hello!", "Who are you?") for one in prompted_nats(tasting, "base", question)]
    assert distance(nats, "base") in " ".join(shown.split())
    assert distance(nats, "base").startswith(
        f"The prompt changes the model by {sum(nats) / len(nats):.3g} nats per token"
    )


def test_a_prompt_that_changes_nothing_is_told_so():
    assert distance([0.001, 0.002], "base").endswith("so there is little to bake.")


def prompted_nats(tasting, other, question):
    messages = ({"role": "user", "content": question},)
    events = tasting.answers(Asked({"prompted": messages}, max_new_tokens=6))
    return [event.nats[other] for event in events if isinstance(event, Piece)]
