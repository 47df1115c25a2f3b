"""What was written lies in files that can be read again, and becomes rows beside those that were given."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bakery.errors import DataError
from bakery.progress import Progress, Verbosity
from bakery.rows.conversations import load_rows
from bakery.writing.plan import WritingPlan
from bakery.writing.selection import Written
from bakery.writing.topics import topics_of
from bakery.writing.written import (
    ANCHORS,
    HELD_OUT,
    PROMPTS,
    WrittenRows,
    read_written,
    save_written,
    with_written,
    write_rows,
)
from tests.writing.support import FACTS, GIVEN, asked, bake_data, last_words

QUIET = Progress(Verbosity.QUIET)
ROWS = [asked(text) for text in GIVEN]
PLAN = WritingPlan(about=4, world=4, stopping=2, held_out=3, anchors=2)
CHAT = ({"role": "user", "content": "Hi «»\n\tthere"}, {"role": "assistant", "content": "東京 🙂"})
WRITTEN = WrittenRows(
    prompts=[asked("a\n\nb"), replace(asked("later"), messages=(*CHAT, {"role": "user", "content": "later"})),
             asked("behind its own", prefix=FACTS)],
    stopping=[asked("stop?")],
    held_out=[asked("held out?"), asked("another?")],
    anchors=[replace(asked("x", prefix=()), messages=(FACTS[0], {"role": "user", "content": "x"}))],
)  # fmt: skip
PARTS = ("prompts", "stopping", "held_out", "anchors")


def plain(rows):
    return [(row.messages, row.prefix) for row in rows]


def test_what_was_saved_is_read_again(tmp_path):
    save_written(WRITTEN, ROWS, tmp_path / "new")
    read = read_written(tmp_path / "new")
    assert {part: plain(getattr(read, part)) for part in PARTS} == {
        part: plain(getattr(WRITTEN, part)) for part in PARTS
    }


def test_the_files_can_be_given_back_as_rows(tmp_path):
    save_written(WRITTEN, [*ROWS, asked("Why?", "So.")], tmp_path)
    assert last_words(load_rows(str(tmp_path / PROMPTS))) == [*GIVEN, *last_words(WRITTEN.prompts)]
    assert last_words(load_rows(str(tmp_path / HELD_OUT))) == ["held out?", "another?", "stop?"]
    assert plain(load_rows(str(tmp_path / ANCHORS)))[0][0] == WRITTEN.anchors[0].messages


def test_nothing_is_read_where_nothing_was_written_and_a_broken_file_is_refused(tmp_path):
    assert read_written(tmp_path) is None
    save_written(WrittenRows(), [], tmp_path)
    assert plain(read_written(tmp_path).prompts) == []
    (tmp_path / PROMPTS).write_text('{"messages": [\n')
    with pytest.raises(DataError, match=PROMPTS):
        read_written(tmp_path)


def test_written_rows_stand_behind_the_given_ones():
    whole = with_written(bake_data(ROWS, validation=[asked("v")]), WRITTEN)
    assert plain(whole.train) == plain([*ROWS, *WRITTEN.prompts])
    assert plain(whole.validation) == plain([asked("v"), *WRITTEN.stopping])
    assert plain(whole.questions) == plain(WRITTEN.held_out)
    assert plain(whole.anchors) == plain(WRITTEN.anchors)


def test_a_plan_becomes_rows_none_of_them_measured_and_trained_on(writer):
    data = bake_data(ROWS)
    written = write_rows(writer, topics_of(data), PLAN, data, 1, QUIET)
    assert 0 < len(written.prompts) <= PLAN.prompts
    assert len(written.stopping) == PLAN.stopping
    assert 0 < len(written.held_out) <= PLAN.held_out
    assert len(written.anchors) == PLAN.anchors
    trained = Written([*GIVEN, *last_words(written.prompts)])
    assert not any(text in trained for text in last_words([*written.stopping, *written.held_out]))
    assert f"{len(written.prompts)} prompts" in written.summary
    assert write_rows(writer, topics_of(data), PLAN, data, 1, QUIET) == written


def test_a_model_that_writes_nothing_usable_is_refused_in_one_line(writer, monkeypatch):
    monkeypatch.setattr("bakery.writing.writer.Writer.write", lambda self, scenes, each, seed: [[] for _ in scenes])
    data = bake_data()
    with pytest.raises(DataError, match=r"writes nothing usable.*give training_prompts or dataset"):
        write_rows(writer, topics_of(data), replace(PLAN, anchors=0), data, 1, QUIET)


def test_given_rows_are_baked_also_where_the_model_writes_nothing_usable(writer, monkeypatch):
    monkeypatch.setattr("bakery.writing.writer.Writer.write", lambda self, scenes, each, seed: [[] for _ in scenes])
    said = StringIO()
    data = bake_data(ROWS)
    written = write_rows(
        writer, topics_of(data), PLAN, data, 1, Progress(console=Console(file=said, width=200, force_terminal=False))
    )
    assert [written.prompts, written.stopping, written.held_out] == [[], [], []]
    assert len(written.anchors) == PLAN.anchors, "shipped system prompts before given questions"
    assert "the model writes nothing usable; only what is given is learned" in said.getvalue()


def test_little_is_asked_of_a_model_that_writes_nothing_usable(writer, monkeypatch):
    counts: list[int] = []

    def write(self, scenes, each, seed):
        counts.extend(each)
        return [[] for _ in scenes]

    monkeypatch.setattr("bakery.writing.writer.Writer.write", write)
    with pytest.raises(DataError):
        write_rows(writer, topics_of(bake_data()), replace(PLAN, about=900), bake_data(), 1, QUIET)
    assert sum(counts) <= 64
