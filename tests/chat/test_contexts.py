"""Contexts: what of a row and its prefix the teacher is shown, and what the student."""

import pytest

from bakery.chat.views import ViewBuilder, build_views
from bakery.errors import ViewError
from bakery.rows.conversations import Conversation
from tests.chat.support import PIRATE, ROW, SHOTS, TURNS, build_prompts, learned, own
from tests.templates.support import assistant, ids_of, system


def test_two_system_messages_become_one_for_the_teacher_and_the_student_keeps_its_own(plain):
    own_rule = system("Speak Welsh.")
    (pair,) = build_views(plain, [own_rule, *ROW], prefix_messages=[PIRATE])
    assert pair.teacher_ids == ids_of(plain, [system("Be a pirate.\n\nSpeak Welsh."), *ROW])
    assert pair.student_ids == ids_of(plain, [own_rule, *ROW])


def test_a_rows_system_message_goes_before_few_shot_turns(plain):
    own_rule = system("Speak Welsh.")
    (pair,) = build_views(plain, [own_rule, *ROW], prefix_messages=SHOTS)
    assert pair.teacher_ids == ids_of(plain, [own_rule, *SHOTS, *ROW])
    assert pair.student_ids == ids_of(plain, [own_rule, *ROW])


def test_the_student_sees_the_retained_end_of_the_prefix(plain):
    (pair,) = build_views(plain, ROW, prefix_messages=[PIRATE, *SHOTS], student_retained_turns=2)
    assert pair.teacher_ids == ids_of(plain, [PIRATE, *SHOTS, *ROW])
    assert pair.student_ids == ids_of(plain, [*SHOTS[2:], *ROW])
    assert learned(plain, pair) == "Arr, a pirate.<|im_end|>", "prefix answers are no targets"


def test_a_row_without_prefix_is_its_own_context(plain):
    (pair,) = build_views(plain, TURNS, student_retained_turns=2)
    assert pair.teacher_ids == ids_of(plain, TURNS)
    assert pair.student_ids == ids_of(plain, TURNS[2:])
    assert learned(plain, pair) == "Since 1871.<|im_end|>", "targets are taken from the retained messages only"


@pytest.mark.parametrize(
    ("prefix", "retained", "row"),
    [(None, 0, ROW), (None, 2, ROW), (None, 5, ROW), ([PIRATE], 1, ROW), ([PIRATE, *SHOTS], 7, ROW)],
)
def test_equal_views_are_refused(plain, prefix, retained, row):
    with pytest.raises(ViewError, match="nothing to bake"):
        build_views(plain, row, prefix_messages=prefix, student_retained_turns=retained)


def test_folding_needs_a_user_message_behind_the_system_message(plain):
    with pytest.raises(ViewError, match="needs a user message"):
        build_views(plain, [assistant("Ahoy.")], prefix_messages=[PIRATE], system_role="fold")


def test_an_anchor_is_seen_alike_by_both_and_has_targets(plain):
    (pair,) = build_views(plain, ROW, prefix_messages=[PIRATE], anchor=True)
    assert pair.teacher_ids == pair.student_ids == ids_of(plain, ROW)
    assert pair.teacher_targets == pair.student_targets
    assert pair.prefix_key == ""
    prompt = build_prompts(plain, ROW[:1], prefix_messages=[PIRATE], anchor=True)
    assert prompt.teacher_ids == prompt.student_ids


def test_a_rows_own_prefix_overrides_the_common_one_and_an_empty_one_means_none(plain):
    builder = ViewBuilder(plain, prefix_messages=[PIRATE])
    cook = system("Be a cook.")
    (pair,) = builder.views(Conversation(tuple(ROW), (cook,), ""))
    assert pair.teacher_ids == ids_of(plain, [cook, *ROW])
    with pytest.raises(ViewError, match="nothing to bake"):
        builder.views(Conversation(tuple(ROW), (), "rows.json row 3"))


def test_rows_with_the_same_prefix_share_its_key(plain):
    builder = ViewBuilder(plain, prefix_messages=[PIRATE])
    common = builder.views(Conversation(tuple(ROW), None, ""))[0]
    again = builder.views(Conversation(tuple(TURNS), (PIRATE,), ""))[0]
    other = builder.views(Conversation(tuple(ROW), (system("Be a cook."),), ""))[0]
    assert common.prefix_key == again.prefix_key != other.prefix_key


@pytest.mark.parametrize("student_system", ["none", "empty"])
def test_the_student_gets_the_templates_system_text_or_an_empty_one(student_system):
    tokenizer = own("default_system")
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], student_system=student_system)
    student = ROW if student_system == "none" else [system(""), *ROW]
    assert pair.student_ids == ids_of(tokenizer, student)
    assert ("house elf" in tokenizer.decode(pair.student_ids)) == (student_system == "none")
