"""Pairs of views: a sampled answer is appended token for token, and what is no target is context in both views."""

import pytest

from bakery.chat.pairs import PromptPair
from bakery.errors import ViewError


def test_sampled_ids_are_appended_as_they_are_and_all_are_targets():
    pair = PromptPair([1, 2, 3], [3], "row 1", "key").with_answer([7, 8, 9])
    assert (pair.teacher_ids, pair.student_ids) == ([1, 2, 3, 7, 8, 9], [3, 7, 8, 9])
    assert (pair.teacher_targets, pair.student_targets) == ([3, 4, 5], [1, 2, 3])
    assert (pair.source, pair.prefix_key) == ("row 1", "key")
    with pytest.raises(ViewError, match="row 1: the sampled answer is empty"):
        PromptPair([1], [1], "row 1").with_answer([])


def test_of_a_sampled_answer_only_the_targets_are_learned():
    pair = PromptPair([1, 2, 3], [3]).with_answer([7, 8, 9, 10], [0, 3])
    assert (pair.teacher_ids, pair.student_ids) == ([1, 2, 3, 7, 8, 9, 10], [3, 7, 8, 9, 10])
    assert (pair.teacher_targets, pair.student_targets) == ([3, 6], [1, 4])
    with pytest.raises(ViewError, match="nothing to learn"):
        PromptPair([1], [1]).with_answer([7], [])
