"""What is to be written stands in the plan: the rows that stand for it are as many, and the work grows with them."""

from bakery.forecast.figures import Work
from bakery.forecast.writing import expected_rows, writing_stage
from bakery.rows.conversations import prompt_key
from bakery.writing.plan import WritingPlan
from bakery.writing.topics import topic_of

PLAN = WritingPlan(about=5, world=3, stopping=2, held_out=4, anchors=6)
SYSTEM = ({"role": "system", "content": "Be kind. Be brief."},)


def test_there_are_as_many_rows_as_planned_none_like_another():
    rows = expected_rows(PLAN, [topic_of(SYSTEM)], 8)
    assert [len(own) for own in (rows.prompts, rows.stopping, rows.held_out, rows.anchors)] == [8, 2, 4, 6]
    every = [*rows.prompts, *rows.stopping, *rows.held_out, *rows.anchors]
    assert len({prompt_key(row) for row in every}) == PLAN.total


def test_rows_carry_the_prefix_of_their_context_where_they_are_to():
    common, own = (expected_rows(PLAN, [topic_of(SYSTEM, own=own)], 8) for own in (False, True))
    assert all(row.prefix is None for row in common.prompts)
    assert all(row.prefix == SYSTEM for row in own.prompts)
    assert all(row.prefix == () for row in own.anchors)


def test_nothing_planned_is_no_work_and_more_is_more():
    assert writing_stage(WritingPlan(), 8, 20, 1000).base == Work()
    one, other = (writing_stage(plan, 8, 20, 16_000).base for plan in (PLAN, WritingPlan(about=400)))
    assert PLAN.total * 8 <= one.sampled < other.sampled
    assert one.passes < other.passes
