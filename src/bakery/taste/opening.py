"""A run folder opened to be asked: its model with the adapter, its prompt, its rules, and questions to begin with."""

from pathlib import Path

from bakery.engine.model.loading import context_length
from bakery.errors import ConfigError
from bakery.evaluate import open_bake
from bakery.progress import Progress
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, Message, evenly, unanswered
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.taste.conversation import COLUMNS, Asked, Tasting

_QUESTIONS = 24
_HELLO = ({"role": "user", "content": "Hello."},)


def open_run(
    settings: BakeSettings, adapter: Path, progress: Progress, data: BakeData | None = None
) -> tuple[Tasting, tuple[str, ...]]:
    """What can be asked, and questions that the bake was not trained on, as far as there are any.

    Args:
        settings: those of the bake.
        adapter: the folder of its adapter.
        progress: where stages are shown.
        data: the rows, where they are read already.

    Raises:
        BakeryError: whatever a bake refuses, or an adapter that does not fit.
    """
    session, data = open_bake(settings, adapter, progress, data)
    prompt, chunks = prompt_of(data), () if data.prefix else data.chunks
    seen = prompt or chunks[0].prefix
    engine = session.engine([session.builder.prompts(Conversation(_HELLO, seen, "a first question"))])
    tasting = Tasting(
        engine=engine,
        builder=session.builder,
        prompt=prompt,
        rules=parse_rules(settings.data.rules),
        chunks=chunks,
        longest=context_length(settings.model),
    )
    for _ in tasting.answers(Asked(dict.fromkeys(COLUMNS, _HELLO), max_new_tokens=1)):
        pass  # the prompt is read and everything is warm before the first question
    engine.prefixes.progress = None  # what is read later is read while answers are shown
    return tasting, questions_of(data)


def prompt_of(data: BakeData) -> tuple[Message, ...]:
    """The prompt: that of all rows, else that of the first row; none where every question has its part of a document.

    Raises:
        ConfigError: the rows have no prompt, only earlier turns of their own.
    """
    if data.prefix or data.chunks:
        return data.prefix or ()
    own = next((row.prefix for row in (*data.train, *data.validation) if row.prefix), None)
    if own is None:
        raise ConfigError("nothing to taste: the rows of this bake have no prompt, only earlier turns of their own")
    return own


def questions_of(data: BakeData) -> tuple[str, ...]:
    """Single questions to begin with: held-out ones, else what was taken out of training, else training rows."""
    scored = [question.text for question in (*data.heldout, *data.evaluation) if len(question.messages) == 1]
    for rows in (data.questions, data.validation, data.train):
        if not scored:
            asked = [unanswered(row).messages for row in rows]
            scored = [str(messages[0]["content"]) for messages in asked if len(messages) == 1]
    return tuple(evenly(list(dict.fromkeys(scored)), _QUESTIONS))
