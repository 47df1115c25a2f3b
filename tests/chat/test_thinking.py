"""Thinking: answers without it are asked for without it; what the user sets wins."""

import pytest

from bakery.chat.views import ViewBuilder, build_views
from bakery.rows.conversations import Conversation
from tests.chat.support import OFF, PIRATE, ROW, build_prompts, learned, own
from tests.templates.support import assistant, ids_of


def test_thinking_switched_off_is_off_in_both_views_and_in_prompts():
    tokenizer = own("thinks", kind="words", words=["Who are you? Arr, a pirate. Be a"])
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    prompt = build_prompts(tokenizer, ROW[:1], prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    assert prompt.teacher_ids == pair.teacher_ids[: pair.teacher_targets[0]]
    assert prompt.student_ids == pair.student_ids[: pair.student_targets[0]]
    assert prompt.student_ids == ids_of(tokenizer, ROW[:1], add_generation_prompt=True, **OFF)
    assert tokenizer.decode(prompt.student_ids).endswith("<think>\n\n</think>\n\n")


def test_answers_without_thinking_switch_it_off_where_the_template_can_and_say_so():
    builder = ViewBuilder(own("thinks"), prefix_messages=[PIRATE])
    thinking = Conversation((ROW[0], assistant("Arr.", reasoning_content="Hm.")), None, "")
    builder.views(thinking)
    assert builder.thinking_off == {}
    builder.views(Conversation(tuple(ROW), None, ""))
    assert builder.thinking_off == {"enable_thinking": False}
    assert builder.remarks() == [
        "answers without thinking: the template is asked with enable_thinking: false everywhere"
    ]
    assert learned(builder.renderer.tokenizer, builder.views(thinking)[0]).startswith("<think>")


@pytest.mark.parametrize(
    ("name", "kwargs", "answer"),
    [
        ("opens_thinking", {"thinking": False}, "Arr, a pirate.<|end|>"),
        ("thinks", {"enable_thinking": False}, "Arr, a pirate.<|im_end|>"),
    ],
)
def test_what_the_user_sets_wins(name, kwargs, answer):
    tokenizer = own(name)
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], chat_template_kwargs=kwargs)
    assert learned(tokenizer, pair) == answer


def test_anchors_do_not_decide_how_prompts_are_asked():
    builder = ViewBuilder(own("thinks"), prefix_messages=[PIRATE])
    (pair,) = builder.views(Conversation(tuple(ROW), None, ""), anchor=True)
    assert learned(builder.renderer.tokenizer, pair) == "Arr, a pirate.<|im_end|>"
    assert builder.thinking_off == {}
