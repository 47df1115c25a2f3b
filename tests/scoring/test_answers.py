"""Every way to check a reply passes what it should and can fail; nothing counts as right by being empty."""

import json
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.errors import ConfigError, DataError
from bakery.rows.questions import load_scored_rows
from bakery.scoring import answers as scoring
from bakery.scoring.answers import NOT_JSON, check_problem, is_right, parse_json

TABLE = [
    ("exact", " Paris.\n", "Paris.", True),
    ("exact", "It is Paris.", "Paris.", False),
    ("contains", "It is Paris.", "Paris", True),
    ("contains", "It is Rome.", "Paris", False),
    ("regex", "It is 42 degrees", r"\b4\d\b", True),
    ("regex", "It is 52 degrees", r"\b4\d\b", False),
    ("json", '{"b": 1, "a": [2]}', '{"a":[2],"b":1}', True),
    ("json", '{"a": [2]}', '{"a":[2],"b":1}', False),
    ("json", "not json", '{"a": 1}', False),
    ("json", "true", "1", False),
    ("json", "NaN", "1", False),
]


@pytest.mark.parametrize(("check", "reply", "answer", "right"), TABLE)
def test_a_check_passes_and_fails_as_it_says(check, reply, answer, right):
    assert check_problem(check, [answer]) is None
    assert is_right(reply, "?", [answer], check) is right
    assert is_right(reply, "?", ["something else entirely", answer], None if check == "exact" else check) is right or (
        check == "json"
    )


@settings(deadline=None)
@given(st.text(), st.sampled_from([None, *scoring.CHECKS]))
def test_an_empty_answer_is_never_right(reply, check):
    assert not is_right(reply, "?", [""], check)
    assert not is_right(reply, "?", [" \n"], check)
    assert not is_right(reply, "?", [], check)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_json_equals_itself_however_it_is_written(value):
    assert is_right(json.dumps(value, indent=2), "?", [json.dumps(value)], "json")
    assert parse_json(json.dumps(value)) is not NOT_JSON


def test_a_callable_is_an_installed_entry_point_and_nothing_else(monkeypatch):
    point = EntryPoint("polite", "tests.scoring.test_answers:polite", scoring.GROUP)
    monkeypatch.setattr(scoring, "entry_points", lambda **named: EntryPoints([point]).select(**named))
    scoring.entry_point.cache_clear()
    assert is_right("Please.", "ask", ["x"], "callable:polite")
    assert not is_right("Now!", "ask", ["x"], "callable:polite")
    with pytest.raises(ConfigError, match=r"0 installed packages offer it .*\(there: polite\)"):
        is_right("a", "b", ["c"], "callable:os.system")
    scoring.entry_point.cache_clear()


def polite(reply: str, question: str, answers: tuple[str, ...]) -> bool:
    assert (question, answers) == ("ask", ("x",))
    return "please" in reply.lower()


def test_a_pattern_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(scoring, "REGEX_SECONDS", 0.05)
    with pytest.raises(ConfigError, match="make it simpler"):
        is_right("a" * 60 + "b", "?", [r"(a|a)*$"], "regex")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"question": "q", "answer": "a", "check": "fuzzy"}, "check: must be exact | contains | regex | json"),
        ({"question": "q", "answer": "(", "check": "regex"}, "not a regular expression"),
        ({"question": "q", "answer": "{", "check": "json"}, "is not JSON"),
    ],
)
def test_a_check_that_cannot_be_used_is_refused_with_its_row(row, says, tmp_path):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps([{"question": "fine", "answer": "yes"}, row]))
    with pytest.raises(DataError) as refused:
        load_scored_rows(str(path))
    assert says in str(refused.value)
    assert "2" in str(refused.value)
