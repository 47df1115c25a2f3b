"""A text without the words of a prompt: five in a row, a short sentence, or what is named as it stands."""

import json

import pytest

from bakery.errors import ConfigError
from bakery.sharing.quotes import LEFT_OUT, json_without, prompt_texts, quotations, read_object

PROMPT = "You are Ada, the assistant of the library. Never mention snails. Be brief."
QUOTED = quotations([PROMPT])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('It said "you are Ada, the assistant", twice.', f'It said "{LEFT_OUT}", twice.'),
        ("Lost: NEVER MENTION SNAILS!", f"Lost: {LEFT_OUT}!"),
        ("You are Ada the assistant of the library, and never mention snails", f"{LEFT_OUT}, and {LEFT_OUT}"),
        ("Ada is the assistant here, and mentions snails.", "Ada is the assistant here, and mentions snails."),
        ("Be brief.", "Be brief."),
        ("", ""),
    ],
)
def test_what_is_quoted_is_left_out_and_nothing_else(text, left):
    assert QUOTED.without(text) == left
    assert QUOTED.without(left) == left


def test_a_clause_that_a_finding_has_cut_is_left_out_as_it_stands():
    assert quotations([], ["Snails are…"]).without('never touch "Snails are…"') == f'never touch "{LEFT_OUT}"'


def test_texts_within_json_are_treated_alike_and_numbers_stay():
    value = {"never mention snails": ["Never mention snails", 1, None], "b": {"c": "plain"}}
    assert json_without(value, QUOTED) == {"never mention snails": [LEFT_OUT, 1, None], "b": {"c": "plain"}}


def test_a_prompt_is_read_from_settings_files_and_rows(tmp_path):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "bakery.yaml").write_text("prefix_messages: [{role: system, content: one two}]\nseed: 3\n")
    (tmp_path / "inputs" / "corpus_file.md").write_text("three four")
    row = {"messages": [], "prefix_messages": [{"role": "system", "content": "five six"}]}
    (tmp_path / "inputs" / "dataset.jsonl").write_text(json.dumps(row) + "\nnot json\n[1]\n")
    (tmp_path / "trajectories.jsonl").write_text(json.dumps({"prefix_messages": "seven eight"}) + "\n")
    assert {"one two", "three four", "five six", "seven eight"} <= set(prompt_texts(tmp_path))
    assert prompt_texts(tmp_path / "inputs" / "nowhere") == []


def test_a_file_that_holds_no_object_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    (tmp_path / "b.json").write_text("{")
    for name in ("a.json", "b.json", "c.json"):
        with pytest.raises(ConfigError, match=name):
            read_object(tmp_path / name)
