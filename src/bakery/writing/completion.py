"""All rows of a bake: those given, those that the model writes, and those taken out of training to be measured on."""

from pathlib import Path

from bakery.engine.session import Session
from bakery.progress import Progress
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation
from bakery.rows.validation import split_validation
from bakery.settings.arguments import BakeryConfig
from bakery.settings.build import BakeSettings
from bakery.writing.plan import HELD_OUT, WritingPlan, writing_plan
from bakery.writing.self_study import document_plan
from bakery.writing.topics import Topic, topics_of
from bakery.writing.writer import Writer
from bakery.writing.written import PROMPTS, WrittenRows, read_written, save_written, with_written, write_rows


def complete_rows(
    data: BakeData, settings: BakeSettings, session: Session, progress: Progress, *, resumed: bool = False
) -> BakeData:
    """The rows of a bake, complete; `resumed`: what the model wrote is read from the run folder.

    Raises:
        DataError: the model writes nothing usable, or a file of what it wrote was changed and cannot be read.
    """
    args, topics, plan = settings.bakery, topics_of(data), planned_writing(data, settings)
    if plan.total:
        folder = Path(args.output_dir or "outputs")
        written = read_written(folder) if resumed else None
        if written is None:
            written = _write(data, plan, topics, session, args.seed, progress)
            if not args.process_index:
                save_written(written, data.train, folder)
        progress.say(f"  {written.summary}: {folder / PROMPTS}")
        data = with_written(data, written)
    return reserved_rows(data, settings)


def planned_writing(data: BakeData, settings: BakeSettings) -> WritingPlan:
    """What the model is to write for these rows."""
    topics = topics_of(data)
    clauses = sum(len(topic.clauses) for topic in topics)
    plan = writing_plan(data, settings.data, clauses, stops=_stops(settings.bakery))
    return document_plan(plan, topics) if data.chunks and settings.data.self_prompts == "auto" else plan


def reserved_rows(data: BakeData, settings: BakeSettings, folder: Path | None = None) -> BakeData:
    """The rows with those that are taken out of training, and those that the model wrote into a folder."""
    written = read_written(folder) if folder else None
    if written:
        data = with_written(data, written)
    share, seed = settings.data.validation_share, settings.bakery.seed
    return split_validation(data, share, seed, needed=_stops(settings.bakery))


def measurable_rows(data: BakeData, settings: BakeSettings, session: Session, progress: Progress) -> BakeData:
    """The rows with questions that the model writes, where there is nothing to measure on.

    Raises:
        DataError: the model writes nothing usable.
    """
    if data.heldout or data.evaluation or data.validation or data.questions or data.train:
        return data
    plan = WritingPlan(held_out=HELD_OUT)
    return with_written(data, _write(data, plan, topics_of(data), session, settings.bakery.seed, progress))


def _stops(args: BakeryConfig) -> bool:
    """Whether held-out rows say when training ends."""
    return args.stops_early or args.open_ended


def _write(
    data: BakeData, plan: WritingPlan, topics: list[Topic], session: Session, seed: int, progress: Progress
) -> WrittenRows:
    first = Conversation(({"role": "user", "content": "Hello."},), topics[0].prefix, "a first message")
    writer = Writer(session.engine([session.builder.prompts(first)]), session.builder)
    return write_rows(writer, topics, plan, data, seed, progress)
