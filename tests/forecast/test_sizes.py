"""Rows are as long in an estimate as their views are."""

from dataclasses import replace

from bakery.chat.views import ViewBuilder
from bakery.forecast.sizes import Sizes, sizes_of
from bakery.rows.conversations import conversations, unanswered
from bakery.rows.datasets import create_dataset
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, tokenizer

ROWS = conversations(create_dataset(QUESTIONS, ANSWERS))


def _builder(prefix=PREFIX):
    return ViewBuilder(tokenizer(), prefix_messages=prefix)


def test_answered_rows_have_the_mean_length_of_their_views():
    builder = _builder()
    sizes = sizes_of(builder, ROWS)
    views = [pair for row in ROWS for pair in builder.views(row)]
    assert (sizes.rows, sizes.answered, sizes.unanswered) == (8, 8, 0)
    assert sizes.student == sum(len(pair.student_ids) for pair in views) / 8
    assert sizes.targets == sum(len(pair.student_targets) for pair in views) / 8


def test_what_rows_share_is_read_once_and_not_with_every_row():
    together, apart = (sizes_of(_builder(), ROWS, shares=shares) for shares in (True, False))
    assert together.teacher == together.student
    assert together.teacher + together.shared == apart.teacher
    assert apart.shared == 0


def test_rows_with_different_tools_share_nothing():
    tools = [({"type": "function", "function": {"name": f"tool_{number}"}},) for number in range(len(ROWS))]
    different = [replace(row, tools=own) for row, own in zip(ROWS, tools, strict=True)]
    assert sizes_of(_builder(), different).shared == 0
    assert sizes_of(_builder(), [replace(row, tools=tools[0]) for row in ROWS]).shared > 0


def test_unanswered_rows_end_before_the_answer_and_have_no_target():
    sizes = sizes_of(_builder(), [unanswered(row) for row in ROWS])
    assert (sizes.answered, sizes.unanswered, sizes.targets) == (0, 8, 0)


def test_anchors_share_nothing_and_no_rows_have_no_size():
    assert sizes_of(_builder(), ROWS, anchor=True).shared == 0
    assert sizes_of(_builder(), []) == Sizes()


def test_looking_at_rows_leaves_the_remarks_of_the_builder_alone():
    builder = _builder()
    sizes_of(builder, ROWS)
    assert builder.remarks() == []
