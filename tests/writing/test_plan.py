"""How much is written, by what is given: nothing that is there already, and nothing that was turned off."""

import pytest

from bakery.rows.questions import ScoredQuestion
from bakery.settings.config import DataConfig
from bakery.writing.plan import WritingPlan, writing_plan
from tests.writing.support import asked, bake_data

ANSWERED = [asked(f"question {number}", "an answer") for number in range(40)]
AUTO = DataConfig()


def rows(count):
    return [asked(f"question {number}") for number in range(count)]


def plan(given=(), config=AUTO, *, clauses=3, stops=True, **parts) -> WritingPlan:
    return writing_plan(bake_data(given, **parts), config, clauses, stops=stops)


@pytest.mark.parametrize("count", [0, 1, 4, 12])
def test_few_given_prompts_are_joined_by_written_ones_about_the_context_and_the_world(count):
    found = plan(rows(count))
    assert found.about > 0
    assert found.world > 0
    assert found.anchors > 0
    assert found.stopping > 0
    assert found.held_out > 0
    assert found.total == found.prompts + found.stopping + found.held_out + found.anchors


def test_enough_given_prompts_or_any_answers_are_left_alone():
    assert plan(rows(32)).prompts == 0
    assert plan([*rows(31), rows(1)[0]]).prompts > 0, "the same prompt twice counts once"
    for count in (1, 12, 40):
        assert plan(ANSWERED[:count]).prompts == plan(ANSWERED[:count]).anchors == 0
    assert plan(rows(40)).stopping == plan(rows(40)).held_out == 0, "some of the given ones are held out"


@pytest.mark.parametrize("count", [0, 1, 7, 200])
def test_a_number_is_that_many_whatever_is_given(count):
    config = DataConfig(self_prompts=count, self_anchors=count)
    for given in (rows(3), rows(40), ANSWERED):
        found = plan(given, config)
        assert (found.prompts, found.anchors) == (count, count)
        assert abs(found.world - 0.4 * count) < 1


def test_what_is_turned_off_or_given_is_not_written():
    off = plan(rows(3), DataConfig(self_prompts=0, self_anchors=0))
    assert off.total == 0
    assert plan(rows(3), anchors=[asked("stay")]).anchors == 0
    question = ScoredQuestion(({"role": "user", "content": "Why?"},), ("so",), "a question")
    assert plan(rows(3), heldout=[question]).held_out == 0
    assert plan(rows(3), evaluation=[question]).held_out == 0
    held = plan(rows(3), validation=[asked("Why?")])
    assert held.stopping == held.held_out == 0
    assert plan(rows(3), stops=False).stopping == 0


def test_more_clauses_get_more_prompts_and_no_clause_gets_none():
    few, many = plan(clauses=1), plan(clauses=60)
    assert many.about > few.about
    assert many.anchors > few.anchors
    assert plan(clauses=0).total == 0
