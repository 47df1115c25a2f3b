"""Data sets that library users make: they hold every text, and are read back as the same conversations."""

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import DataError
from bakery.rows.conversations import conversations
from bakery.rows.datasets import create_conversational_dataset, create_dataset, load_dataset
from tests.rows.support import ANSWERED, ANSWERS, PAIRS, PROMPTS, assistant, messages, save, system, user


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6), st.booleans())
def test_create_dataset_keeps_every_text(prompts, answered):
    made = create_dataset(prompts, prompts[::-1] if answered else None)
    expected = [
        (user(one), *([assistant(two)] if answered else [])) for one, two in zip(prompts, prompts[::-1], strict=True)
    ]
    assert messages(conversations(made)) == expected


def test_created_datasets_are_datasets_and_refuse_what_does_not_match():
    assert isinstance(create_dataset(PROMPTS, ANSWERS), datasets.Dataset)
    made = create_conversational_dataset([list(ANSWERED[0]), list(ANSWERED[1])], [[system("p")], None])
    rows_read = conversations(made)
    assert messages(rows_read) == ANSWERED
    assert [row.prefix for row in rows_read] == [(system("p"),), None]
    assert messages(conversations(create_conversational_dataset([list(ANSWERED[0])]))) == ANSWERED[:1]
    with pytest.raises(DataError, match="2 prompts but 1 answers"):
        create_dataset(PROMPTS, ANSWERS[:1])
    with pytest.raises(DataError, match="no rows"):
        create_dataset([])
    with pytest.raises(DataError, match="row 1: response: is empty"):
        create_dataset(["a"], [""])
    with pytest.raises(DataError, match="1 chats but 2 prefixes"):
        create_conversational_dataset([[user("a")]], [None, None])


def test_load_dataset_gives_messages(tmp_path):
    rows = [{"prompt": "a", "response": "b", "prefix_messages": [system("p")]}]
    made = load_dataset(save(tmp_path / "rows.jsonl", rows))
    assert made.to_list() == [{"messages": [user("a"), assistant("b")], "prefix_messages": [system("p")]}]
    assert load_dataset(save(tmp_path / "rows.csv", PAIRS)).column_names == ["messages"]


def test_an_iterable_dataset_is_read_as_any_other():
    made = datasets.Dataset.from_list(PAIRS).to_iterable_dataset()
    assert messages(conversations(made)) == ANSWERED
