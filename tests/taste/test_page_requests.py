"""What the page sends is read strictly."""

import pytest

from bakery.errors import DataError
from bakery.taste.conversation import Asked
from bakery.taste.page_requests import STRONGEST, read_asked, read_conversation, read_followed, read_prompt
from tests.taste.conftest import COLUMNS

QUESTION = [{"role": "user", "content": "Who?"}]


def test_a_question_with_nothing_but_messages_has_the_usual_settings():
    assert read_asked({"messages": {"baked": QUESTION}}, COLUMNS) == Asked({"baked": tuple(QUESTION)})


def test_all_settings_are_taken():
    prompt = [{"role": "system", "content": "Be kind.", "more": 1}]
    given = {"prompt": prompt, "strength": 0.5, "temperature": 1, "seed": 7, "max_new_tokens": 3}
    asked = read_asked({"messages": {"base": QUESTION, "baked": QUESTION}, **given}, COLUMNS)
    assert asked.prompt == ({"role": "system", "content": "Be kind."},)
    assert (asked.strength, asked.temperature, asked.seed, asked.max_new_tokens) == (0.5, 1.0, 7, 3)


@pytest.mark.parametrize(
    "change",
    [{"strength": 1.6}, {"strength": -1}, {"strength": "1"}, {"strength": True}, {"strength": float("nan")},
     {"temperature": 9}, {"seed": -1}, {"max_new_tokens": 1e9}, {"messages": {}}, {"messages": []}, {"messages": None},
     {"messages": {"other": QUESTION}}, {"messages": {"base": "Who?"}}, {"messages": {"base": []}},
     {"messages": {"base": [{"role": "user", "content": " "}]}}, {"messages": {"base": [{"role": "user"}]}},
     {"messages": {"base": [*QUESTION, {"role": "assistant", "content": "I."}]}}, {"prompt": "Be kind."},
     {"messages": {"base": [{"role": "tool", "content": "x"}]}}, {"prompt": [{"role": "system", "content": 1}]}],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line(change):
    with pytest.raises(DataError) as refused:
        read_asked({"messages": {"baked": QUESTION}, **change}, COLUMNS)
    assert "\n" not in str(refused.value)


def test_bodies_that_are_no_object_are_refused():
    for body in (None, [], "x", 1):
        with pytest.raises(DataError):
            read_asked(body, COLUMNS)
    with pytest.raises(DataError):
        read_conversation(None)


def test_the_strongest_strength_is_that_of_the_evaluation():
    from bakery import evaluate

    assert evaluate.STRONGEST == STRONGEST


def test_only_columns_that_are_there_can_be_asked():
    with pytest.raises(DataError, match="must have columns of base, prompted, got"):
        read_asked({"messages": {"baked": QUESTION}}, ("base", "prompted"))


def test_the_question_of_a_bake_and_its_prompt_are_read():
    body = {"question": " Who? ", "prompt": [{"role": "system", "content": "Be kind.", "more": 1}]}
    assert read_followed(body) == "Who?"
    assert read_prompt(body) == ({"role": "system", "content": "Be kind."},)
    assert read_prompt({"prompt": None}) is None
    for wrong in ({}, {"question": "  "}, {"question": ["x"]}, None):
        with pytest.raises(DataError):
            read_followed(wrong)
