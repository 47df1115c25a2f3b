"""What the tests of writing share: contexts, rows, and the words of rows."""

from collections.abc import Sequence
from typing import Any

from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, Message

FACTS: tuple[Message, ...] = (
    {
        "role": "system",
        "content": "The boss of Kolara is Walter. The wifi password is coral42. Luna's favourite food is soup.",
    },
)
GIVEN = ["What is the wifi password?", "Who is the boss of Kolara?", "What is the capital of France?"]


def asked(text: str, *answers: str, prefix: tuple[Message, ...] | None = None) -> Conversation:
    """A row of one question, answered if there is an answer."""
    replies = ({"role": "assistant", "content": answer} for answer in answers)
    return Conversation(({"role": "user", "content": text}, *replies), prefix, "a row")


def bake_data(train: Sequence[Conversation] = (), **parts: Any) -> BakeData:
    """The rows of a bake of three facts."""
    whole = {"prefix": FACTS, "anchors": [], "validation": [], "heldout": [], "evaluation": [], "drift": []}
    return BakeData(**{**whole, "train": list(train), **parts})


def last_words(rows: Sequence[Conversation]) -> list[str]:
    return [str(row.messages[-1]["content"]) for row in rows]
