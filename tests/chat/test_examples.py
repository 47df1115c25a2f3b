"""Examples: context and answer are tokens of their own, equal in both views."""

import pytest

from bakery.chat.views import build_views
from bakery.errors import ViewError
from tests.chat.support import OFF, PIRATE, ROW, SHOTS, TURNS, learned, own
from tests.templates.support import assistant, ids_of, user


def test_where_earlier_turns_are_rewritten_each_turn_becomes_a_pair():
    tokenizer = own("thinks")
    first, second = build_views(tokenizer, TURNS, prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    assert learned(tokenizer, first) == "Arr, a pirate.<|im_end|>"
    assert learned(tokenizer, second) == "Since 1871.<|im_end|>"
    assert first.teacher_ids == ids_of(tokenizer, [PIRATE, *ROW])
    assert second.student_ids == ids_of(tokenizer, TURNS)


def test_the_tokens_before_an_answer_are_those_of_the_generation_prompt_alone():
    tokenizer = own("trims", kind="bytes-trimmed")  # which takes the last of two newlines by itself if a word follows
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert pair.teacher_ids[: pair.teacher_targets[0]] == ids_of(
        tokenizer, [PIRATE, ROW[0]], add_generation_prompt=True
    )
    assert learned(tokenizer, pair) == "Arr, a pirate.<|eot|>"


@pytest.mark.parametrize("answer", ["\n\nArr.", "\n\nArr <|im_end|> arr."], ids=["words", "control words"])
def test_white_space_at_the_begin_of_an_answer_is_learned_behind_the_prompt(plain, answer):
    (pair,) = build_views(plain, [ROW[0], assistant(answer)], prefix_messages=[PIRATE])
    assert pair.teacher_ids[: pair.teacher_targets[0]] == ids_of(plain, [PIRATE, ROW[0]], add_generation_prompt=True)
    assert learned(plain, pair) == f"{answer}<|im_end|>"


def test_a_token_that_reaches_across_the_begin_of_a_question_is_refused(plain):
    with pytest.raises(ViewError, match=r"joins the message to what stands before.*strip white space"):
        build_views(plain, [user("\n\nWho?"), ROW[1]], prefix_messages=SHOTS, target_roles=["user"])
