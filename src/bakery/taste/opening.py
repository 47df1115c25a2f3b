"""Opening what is to be asked: a prompt before anything is baked, or run folders, all of them on one loaded base."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.engine.distill.conditions import adapter_names
from bakery.engine.model.loading import context_length
from bakery.engine.session import Session
from bakery.errors import ConfigError
from bakery.evaluate import open_bake
from bakery.evaluation.trained_on import context_of, trained_on
from bakery.progress import Progress
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, Message, evenly, unanswered
from bakery.scoring.rules import parse_rules
from bakery.settings.build import BakeSettings
from bakery.settings.paths import distinct_ends
from bakery.taste.conversation import BAKED_COLUMN, Asked, Column, Tasting, columns_of

FIRST_QUESTIONS = ("Who are you?", "What can you do for me?", "Tell me something I should know.")
"""Questions to begin with where there are no rows yet."""
_QUESTIONS = 24
_HELLO = ({"role": "user", "content": "Hello."},)


@dataclass(frozen=True)
class Run:
    """One bake among those that are asked.

    Args:
        folder: of the run.
        name: what tells it from the others.
        same_prompt: whether it was baked from the prompt of the first one; none: its folder does not say.
    """

    folder: Path
    name: str
    same_prompt: bool | None = True


@dataclass(frozen=True)
class Opened:
    """What can be asked, and what there is to tell about it.

    Args:
        base_model: its name.
        prompt: what the prompted model sees; empty where every question has its part of a document.
        in_parts: whether that is so.
        columns: who can be asked.
        questions: to begin with.
        runs: whose adapters are loaded; none: nothing is baked yet.
        tasting: answers; none while the model is used otherwise.
    """

    base_model: str
    prompt: tuple[Message, ...]
    in_parts: bool
    columns: tuple[Column, ...]
    questions: tuple[str, ...]
    runs: tuple[Run, ...]
    tasting: Tasting | None

    def closed(self) -> "Opened":
        """The same without a model."""
        return replace(self, tasting=None)


@dataclass
class Current:
    """What can be asked now; a bake puts something else in its stead."""

    opened: Opened


def open_prompt(settings: BakeSettings, progress: Progress, data: BakeData | None = None) -> Opened:
    """The base model and the prompted one, before anything is baked.

    Args:
        settings: of the bake that is thought of.
        progress: where stages are shown.
        data: the rows, where they are read already.

    Raises:
        BakeryError: whatever a bake refuses.
    """
    session, data = open_bake(settings, settings.lora, progress, data)
    return _open(settings, session, data, ())


def open_runs(
    settings: BakeSettings, folders: Sequence[Path], progress: Progress, data: BakeData | None = None
) -> Opened:
    """One bake or several of the same base, and questions they were not trained on, as far as there are any.

    Args:
        settings: those of the first one's bake.
        folders: of the runs, at least one.
        progress: where stages are shown.
        data: the rows of the first one, where they are read already.

    Raises:
        BakeryError: whatever a bake refuses, or an adapter that does not fit.
    """
    names = adapter_names(len(folders))
    session, data = open_bake(settings, folders[0], progress, data, dict(zip(names[1:], folders[1:], strict=True)))
    baked = context_of(data)
    contexts = [baked, *(trained_on(folder).context for folder in folders[1:])]
    same = [None if context is None else context == baked for context in contexts]
    return _open(settings, session, data, tuple(map(Run, folders, distinct_ends(folders), same)))


def _open(settings: BakeSettings, session: Session, data: BakeData, runs: tuple[Run, ...]) -> Opened:
    """Everything read and warm before the first question."""
    prompt, chunks = prompt_of(data), () if data.prefix else data.chunks
    seen = prompt or chunks[0].prefix
    engine = session.engine([session.builder.prompts(Conversation(_HELLO, seen, "a first question"))])
    names = [BAKED_COLUMN] if len(runs) == 1 else [f"{BAKED_COLUMN}: {run.name}" for run in runs]
    tasting = Tasting(
        engine=engine,
        builder=session.builder,
        columns=columns_of(engine.teacher_condition, names),
        prompt=prompt,
        rules=parse_rules(settings.data.rules),
        chunks=chunks,
        longest=context_length(settings.model),
    )
    for _ in tasting.answers(Asked(dict.fromkeys(tasting.keys, _HELLO), max_new_tokens=1)):
        pass
    engine.prefixes.progress = None  # what is read later is read while answers are shown
    questions = questions_of(data) or FIRST_QUESTIONS
    name = settings.model.model_name_or_path
    return Opened(name, prompt, bool(chunks), tasting.columns, questions, runs, tasting)


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
