"""What the model would be asked to write, counted by going through it with a writer that asks nothing.

The rows that come of it stand for those that the model will write: as many, and about as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bakery.chat.contexts import key_of
from bakery.engine.distill.engine import Engine
from bakery.forecast.figures import Stage, Work, sampling_work
from bakery.progress import Progress, Verbosity
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.settings.build import BakeSettings
from bakery.writing.completion import planned_writing, reserved_rows
from bakery.writing.topics import topics_of
from bakery.writing.writer import TEMPERATURES, Scene, Writer
from bakery.writing.written import with_written, write_rows

_LONGEST = {"user": 128, "system": 256}
_MARK_TOKENS = 3
"""Tokens of a word such as `b127`, about."""
_FEWEST_WORDS, _MOST_WORDS = 3, 40


@dataclass
class Tally:
    """How much has been asked for so far, and how many texts have been given out."""

    work: Work = Work()
    texts: int = 0


@dataclass(frozen=True)
class Rehearsal(Writer):
    """A writer whose texts are made up, each unlike all others.

    Args:
        message: tokens of a message that the model writes, in the mean.
        tally: what it has been asked for.
    """

    message: float = 10.0
    tally: Tally = field(default_factory=Tally)

    def write(self, scenes: Sequence[Scene], each: int, seed: int) -> list[list[str]]:
        """As many messages as are asked for."""
        keys = [key_of(scene.prefix) for scene in scenes]
        shared = [key for key in set(keys) if keys.count(key) > 1]
        batches = [keys.count(key) for key in shared] + [sum(keys.count(key) == 1 for key in keys)]
        longest = max((_LONGEST[scene.role] for scene in scenes), default=0)
        for batch in filter(None, batches):
            each_time = sampling_work(batch * each / len(TEMPERATURES), self.message, longest, 0)
            self.tally.work += each_time.times(len(TEMPERATURES))
        read = sum(self._tokens(scene.prefix) + self._tokens(scene.chat) for scene in scenes)
        self.tally.work += Work(read=len(TEMPERATURES) * read, views=len(TEMPERATURES) * len(scenes))
        return [[self._text() for _ in range(each)] for _ in scenes]

    def replies(self, rows: Sequence[Conversation], seed: int) -> list[str]:
        """A reply to each row."""
        self.tally.work += sampling_work(len(rows), self.message, _LONGEST["user"], 0)
        return [self._text() for _ in rows]

    def _text(self) -> str:
        self.tally.texts += 1
        words = min(_MOST_WORDS, max(_FEWEST_WORDS, round(self.message / _MARK_TOKENS)))
        return " ".join(f"{chr(97 + at % 26)}{self.tally.texts}" for at in range(words))

    def _tokens(self, messages: Sequence[dict[str, object]]) -> int:
        said = " ".join(str(message.get("content") or "") for message in messages)
        return len(self.engine.tokenizer(said, add_special_tokens=False).input_ids)


def rehearse(data: BakeData, settings: BakeSettings, engine: Engine, builder: object, message: float) -> tuple[Stage, BakeData]:
    """The work of writing, and all rows of the bake with made-up ones in the places of those that will be written."""
    plan = planned_writing(data, settings)
    writer = Rehearsal(engine, builder, message=message)  # type: ignore[arg-type]
    if plan.total:
        quiet = Progress(Verbosity.QUIET)
        written = write_rows(writer, topics_of(data), plan, data, settings.bakery.seed, quiet)
        data = with_written(data, written)
    return Stage("writing", writer.tally.work), reserved_rows(data, settings)
