"""Questions with answers: read from every format, refused where a reply could not be scored."""

import pytest

from bakery.errors import DataError
from bakery.rows.questions import load_scored_rows
from tests.rows.support import SCORED, assistant, save, system, user


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv", "rows.parquet"])
def test_scored_questions(name, tmp_path):
    rows_read = load_scored_rows(save(tmp_path / name, SCORED))
    assert [(one.text, one.answer, one.check, one.prefix) for one in rows_read] == [
        ("a", "b", None, None),
        ("c", "d", None, None),
    ]


def test_scored_questions_with_chats_checks_and_several_answers(tmp_path):
    row = {
        "messages": [system("s"), user("a")],
        "output": ["b", "c"],
        "check": "contains",
        "prefix_messages": [system("p")],
    }
    (rows_read,) = load_scored_rows(save(tmp_path / "rows.jsonl", [row]))
    assert rows_read.messages == (system("s"), user("a"))
    assert (rows_read.answers, rows_read.check, rows_read.prefix) == (("b", "c"), "contains", (system("p"),))


def test_a_question_may_have_tools(tmp_path):
    wind = {"type": "function", "function": {"name": "wind"}}
    rows = [{"question": "a", "answer": "b", "tools": [wind]}, {"question": "c", "answer": "d"}]
    first, second = load_scored_rows(save(tmp_path / "rows.jsonl", rows))
    assert (first.tools, second.tools) == ((wind,), ())
    rows[0]["tools"] = [{}]
    with pytest.raises(DataError, match=r"rows\.jsonl line 1: tools: tool 1 has a function without a name"):
        load_scored_rows(save(tmp_path / "rows.jsonl", rows))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "q"}, "has no 'answer' (its columns: question)"),
        ({"question": "q", "answer": ""}, "an empty answer would count every reply as right"),
        ({"question": "q", "answer": [4]}, "must be a text, got the number 4"),
        ({"question": "q", "answer": []}, "must be a text, got null"),
        ({"messages": [user("q"), assistant("a")], "answer": "a"}, "the question must come last"),
    ],
)
def test_a_question_that_cannot_be_scored_is_refused_with_its_row(row, says, tmp_path):
    with pytest.raises(DataError) as refused:
        load_scored_rows(save(tmp_path / "rows.jsonl", [row]))
    assert "rows.jsonl line 1: " in str(refused.value)
    assert says in str(refused.value)
