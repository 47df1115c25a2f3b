"""What an adapter was trained on, as far as the folder tells in which its bake left it.

A question counts as trained on where a training row asks the student the same, whatever the teacher saw before it: the
student sees the row's own messages alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakery.errors import BakeryError
from bakery.rows.bake_data import BakeData, load_bake_data
from bakery.rows.conversations import Conversation, load_rows, prompt_key
from bakery.settings.build import build, check_settings
from bakery.settings.reading import Setting, Settings, read_settings_file
from bakery.settings.relative_paths import SETTINGS_FILE
from bakery.writing.completion import reserved_rows
from bakery.writing.topics import topics_of
from bakery.writing.written import PROMPTS

_STAND_IN = [{"role": "system", "content": "The prompt that was left out of the folder."}]


@dataclass(frozen=True)
class TrainedOn:
    """What an adapter was trained on; what is not known is None.

    Args:
        questions: what its training rows ask.
        anchors: rows on which it was to stay as it is.
        context: all words of what was baked.
    """

    questions: frozenset[Any] | None = None
    anchors: frozenset[Any] = frozenset()
    context: str | None = None

    def asked(self, rows: Iterable[Conversation]) -> frozenset[str] | None:
        """The names of those rows that it was trained on; None where that is not known."""
        return None if self.questions is None else frozenset(r.source for r in rows if _asked(r) in self.questions)

    def anchored(self, rows: Iterable[Conversation]) -> frozenset[str]:
        """The names of those rows that were its anchors."""
        return frozenset(row.source for row in rows if _asked(row) in self.anchors)


def trained_on(folder: Path) -> TrainedOn:
    """What the run folder of an adapter tells; of a folder without `bakery.yaml`, or whose rows are gone, nothing."""
    if not (folder / SETTINGS_FILE).is_file():
        return TrainedOn()
    try:
        given = read_settings_file(folder / SETTINGS_FILE)
        without_prompt = "keep_prompt" in given.entries and not given.entries["keep_prompt"].value
        if without_prompt:
            given = given.overridden_by(Settings({"prefix_messages": Setting(_STAND_IN, str(folder))}))
        settings = build(check_settings(given))
        data = reserved_rows(load_bake_data(settings.context, settings.data), settings, folder)
        learned = data.train
        if without_prompt and not (settings.data.dataset or settings.data.training_prompts):
            # Rows that brought their own prompts are left out of the folder too; what was written for them is not.
            learned = load_rows(str(folder / PROMPTS), None)
    except BakeryError:
        return TrainedOn()
    context = None if without_prompt else context_of(data)
    return TrainedOn(_keys(learned) if learned else None, _keys(data.anchors), context)


def context_of(data: BakeData) -> str:
    """All words of what is baked: of the document, of the prompt, or of all prompts that rows bring along."""
    if data.document is not None:
        return data.document.text
    return "\n".join(sorted(topic.text for topic in topics_of(data)))


def _keys(rows: Sequence[Conversation]) -> frozenset[Any]:
    return frozenset(map(_asked, rows))


def _asked(row: Conversation) -> tuple[Any, ...]:
    return prompt_key(replace(row, prefix=None))
