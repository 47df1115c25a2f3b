"""Prompts by the model: reproducible, each new, spread over what is to be asked."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.writing.plan import WritingPlan
from bakery.writing.prompts import PromptWriter, divided
from bakery.writing.selection import Written
from bakery.writing.topics import topic_of, topics_of
from tests.writing.support import GIVEN, asked, bake_data, last_words

ROWS = [asked(text) for text in GIVEN]
PLAN = WritingPlan(about=8, world=6)


def author(writer, seed=1, taken=()) -> PromptWriter:
    return PromptWriter(writer, topics_of(bake_data(ROWS)), seed, Written(taken))


def test_what_is_written_is_new_and_the_same_for_the_same_seed(writer):
    prompts = author(writer).prompts(PLAN, ROWS)
    texts = last_words(prompts)
    assert 0.5 * PLAN.prompts <= len(texts) <= PLAN.prompts
    known = Written(GIVEN)
    assert all(known.add(text) for text in texts), "none is like a given one or like one before"
    assert all(row.messages[-1]["role"] == "user" for row in prompts)
    assert author(writer).prompts(PLAN, ROWS) == prompts
    assert author(writer, seed=2).prompts(PLAN, ROWS) != prompts


def test_held_out_questions_are_like_no_prompt_and_like_nothing_that_is_measured(writer):
    measured = last_words(author(writer, seed=7).questions(6))
    assert measured
    writing = author(writer, seed=7, taken=measured)  # the same seed would write the same questions again
    learned = last_words(writing.prompts(PLAN, ROWS))
    questions = last_words(writing.questions(6))
    assert questions
    known = Written([*measured, *GIVEN])
    assert all(known.add(text) for text in [*learned, *questions])


def test_every_clause_of_a_context_is_asked_about(writer):
    facts = ("The wifi password is coral42.", "The door code of Nora is 4417.", "The lunch is soup.")
    context = [{"role": "system", "content": " ".join(facts)}]
    texts = last_words(PromptWriter(writer, [topic_of(context)], 1).prompts(WritingPlan(about=48), []))
    for name in ("wifi password", "Nora", "lunch"):
        assert sum(name in text for text in texts) >= 5, name


@settings(deadline=None, database=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=7), st.integers(0, 50))
def test_messages_are_divided_by_weight(weights, count):
    counts = divided(count, weights)
    assert sum(counts) == count
    assert all(abs(own - count * weight / sum(weights)) < 1 for own, weight in zip(counts, weights, strict=True))
