"""Rows in every shape the trainer is given them, and as views."""

import datasets
import pytest

from bakery.chat.views import ViewBuilder
from bakery.errors import DataError
from bakery.rows.conversations import Conversation
from bakery.rows.datasets import create_dataset
from bakery.training.bake_rows import bake_rows, view_rows
from tests.engine_support import ANSWERS, PREFIX, QUESTIONS, tokenizer


def test_data_sets_have_names_and_conversations_stay_the_same_objects():
    row = Conversation(({"role": "user", "content": "Hi"},), None, "mine")
    rows = bake_rows([row], None, {"one": [{"prompt": "a"}], "two": create_dataset(["b", "c"])})
    assert rows.train[0] is row
    assert rows.anchors == []
    assert {name: len(own) for name, own in rows.validation.items()} == {"one": 1, "two": 2}
    assert list(bake_rows([row], ["x"], ["y"]).validation) == [""]


def test_rows_that_are_missing_or_without_end_are_refused():
    stream = datasets.Dataset.from_list([{"prompt": "Hi", "response": "Ahoy"}]).to_iterable_dataset()
    with pytest.raises(DataError, match="train_dataset: a stream"):
        bake_rows(stream, None, None)
    with pytest.raises(DataError, match="train_dataset: is missing"):
        bake_rows(None, None, None)
    with pytest.raises(DataError, match="anchor_dataset: a stream"):
        bake_rows(["a"], stream, None)


def test_answered_rows_become_pairs_and_others_prompts():
    builder = ViewBuilder(tokenizer(), prefix_messages=PREFIX)
    rows = bake_rows(create_dataset(QUESTIONS[:2], ANSWERS[:2]), create_dataset(QUESTIONS[2:5]), None)
    views, anchors = view_rows(builder, rows.train), view_rows(builder, rows.anchors, anchor=True)
    assert (len(views.pairs), len(views.prompts), len(anchors.pairs), len(anchors.prompts)) == (2, 0, 0, 3)
    assert views.all == list(views.pairs)
    assert all(pair.teacher_ids != pair.student_ids for pair in views.all)
    assert all(prompt.teacher_ids == prompt.student_ids for prompt in anchors.all)
