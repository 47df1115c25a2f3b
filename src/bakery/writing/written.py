"""All that the model writes for one bake, from the plan to rows and the files they lie in.

prompts.jsonl    rows to learn from, the given ones first; give them back as `dataset`
heldout.jsonl    questions that nothing is trained on; give them back as `eval_dataset`
anchors.jsonl    rows under other system prompts; give them back as `anchor_dataset`
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakery.errors import DataError
from bakery.manifest import replace_text
from bakery.progress import Progress
from bakery.rows.bake_data import BakeData
from bakery.rows.conversations import Conversation, as_row, conversations, evenly
from bakery.rows.sources import read_rows
from bakery.writing.anchors import write_anchors
from bakery.writing.plan import WritingPlan
from bakery.writing.prompts import PromptWriter, last_words
from bakery.writing.selection import Written
from bakery.writing.self_study import DocumentWriter
from bakery.writing.topics import Topic
from bakery.writing.writer import Writer

_NOTHING_USABLE = (
    "self_prompts: the model writes nothing usable, neither behind the header of a user's turn nor when it is asked "
    "for questions; give training_prompts or dataset"
)

PROMPTS, HELD_OUT, ANCHORS = "prompts.jsonl", "heldout.jsonl", "anchors.jsonl"


@dataclass(frozen=True)
class WrittenRows:
    """What the model has written.

    Args:
        prompts: rows to learn from.
        stopping: held-out rows that tell when training is done.
        held_out: held-out rows for the proof.
        anchors: rows where the model is to stay as it is.
        by_request: the model was asked for them, as it does not write behind headers.
    """

    prompts: Sequence[Conversation] = ()
    stopping: Sequence[Conversation] = ()
    held_out: Sequence[Conversation] = ()
    anchors: Sequence[Conversation] = ()
    by_request: bool = False

    @property
    def summary(self) -> str:
        """One line: how many of which."""
        questions = len(self.stopping) + len(self.held_out)
        parts = [(len(self.prompts), "prompt"), (questions, "held-out question"), (len(self.anchors), "anchor")]
        counts = ", ".join(f"{count:,} {what}{'s' * (count > 1)}" for count, what in parts if count)
        return f"the model wrote {counts}{' when asked for them' if self.by_request else ''}"


def write_rows(
    writer: Writer, topics: Sequence[Topic], plan: WritingPlan, data: BakeData, seed: int, progress: Progress
) -> WrittenRows:
    """Let the model write what the plan asks for; nothing of it is like what the user has given to be measured on.

    Raises:
        DataError: it writes nothing usable.
    """
    questions = [question.text for question in [*data.heldout, *data.evaluation]]
    measured = [*questions, *map(last_words, data.validation)]
    with progress.stage("writing", "writing prompts", None, "messages") as on_progress:
        author_of = DocumentWriter if data.chunks else PromptWriter
        author = author_of(replace(writer, on_progress=on_progress), topics, seed, Written(measured))
        if not author.can_write():
            if not data.train:
                raise DataError(_NOTHING_USABLE)
            progress.say("  note: the model writes nothing usable; only what is given is learned and measured")
            plan = replace(plan, about=0, world=0, stopping=0, held_out=0)
        # What is asked seldom is rather learned than measured: prompts come first.
        learned = _numbered(author.prompts(plan, data.train), "written prompt")
        held_out = _numbered(author.questions(plan.stopping + plan.held_out), "written question")
        anchors = write_anchors(author.writer, plan.anchors, [*data.train, *learned], topics, seed)
    stopping = evenly(held_out, plan.stopping)
    return WrittenRows(
        prompts=learned,
        stopping=stopping,
        held_out=[row for row in held_out if row not in stopping],
        anchors=_numbered(anchors, "written anchor"),
        by_request=author.writer.by_request,
    )


def with_written(data: BakeData, written: WrittenRows) -> BakeData:
    """The rows of a bake with those that the model has written."""
    return replace(
        data,
        train=[*data.train, *written.prompts],
        anchors=[*data.anchors, *written.anchors],
        validation=[*data.validation, *written.stopping],
        questions=[*data.questions, *written.held_out],
    )


def save_written(written: WrittenRows, given: Sequence[Conversation], folder: Path) -> None:
    """Write the files that the model's messages can be read in, edited, and given back from."""
    folder.mkdir(parents=True, exist_ok=True)
    unanswered = [row for row in given if not row.answered]
    files = {
        PROMPTS: [*((row, "given") for row in unanswered), *((row, "learning") for row in written.prompts)],
        HELD_OUT: [*((row, "proof") for row in written.held_out), *((row, "stopping") for row in written.stopping)],
        ANCHORS: [(row, "learning") for row in written.anchors],
    }
    for name, rows in files.items():
        lines = [json.dumps(_plain(row, use), ensure_ascii=False) for row, use in rows]
        replace_text(folder / name, "".join(f"{line}\n" for line in lines))


def read_written(folder: Path) -> WrittenRows | None:
    """What `save_written` wrote into a folder; None where it wrote nothing.

    Raises:
        DataError: a file was changed so that it cannot be read.
    """
    if not all((folder / name).is_file() for name in (PROMPTS, HELD_OUT, ANCHORS)):
        return None
    prompts, held_out, anchors = (_read(folder / name) for name in (PROMPTS, HELD_OUT, ANCHORS))
    return WrittenRows(
        prompts=[row for row, use in prompts if use != "given"],
        stopping=[row for row, use in held_out if use == "stopping"],
        held_out=[row for row, use in held_out if use != "stopping"],
        anchors=[replace(row, prefix=()) for row, _ in anchors],
    )


def copy_without_prefixes(folder: Path, target: Path) -> None:
    """Copy the files that `save_written` wrote into a folder to another one, without the prompts of their rows."""
    for name in (PROMPTS, HELD_OUT, ANCHORS):
        if (folder / name).is_file():
            rows = [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
            plain = ({key: value for key, value in row.items() if key != "prefix_messages"} for row in rows)
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)
            (target / name).write_text(text, encoding="utf-8")


def remove_written(folder: Path) -> None:
    """Remove what `save_written` wrote into a folder."""
    for name in (PROMPTS, HELD_OUT, ANCHORS):
        (folder / name).unlink(missing_ok=True)


def _read(path: Path) -> list[tuple[Conversation, str]]:
    if not path.read_text("utf-8").strip():
        return []
    rows = read_rows(str(path), None)
    uses = [str(row.value.get("use")) if isinstance(row.value, dict) else "" for row in rows]
    return list(zip(conversations(rows, str(path)), uses, strict=True))


def _plain(row: Conversation, use: str) -> dict[str, Any]:
    return {**as_row(replace(row, prefix=row.prefix or None)), "use": use}


def _numbered(rows: Sequence[Conversation], name: str) -> list[Conversation]:
    return [replace(row, source=f"{name} {number}") for number, row in enumerate(rows, 1)]
