"""What the tests of conversations and views share: short rows, and the templates of `tests/templates/own`."""

from bakery.chat.views import ViewBuilder
from bakery.rows.conversations import Conversation
from tests.templates.support import OWN, assistant, make_tokenizer, system, user


def own(name, **settings):
    return make_tokenizer((OWN / "own" / f"{name}.jinja").read_text(encoding="utf-8"), **settings)


PIRATE = system("Be a pirate.")
ROW = [user("Who are you?"), assistant("Arr, a pirate.")]
TURNS = [*ROW, user("Since when?"), assistant("Since 1871.")]
SHOTS = [user("One?"), assistant("Arr one."), user("Two?"), assistant("Arr two.")]


OFF = {"enable_thinking": False}


def build_prompts(tokenizer, messages, *, anchor=False, **settings):
    return ViewBuilder(tokenizer, **settings).prompts(Conversation(tuple(messages), None, ""), anchor=anchor)


def learned(tokenizer, pair):
    return tokenizer.decode([pair.teacher_ids[p] for p in pair.teacher_targets])
