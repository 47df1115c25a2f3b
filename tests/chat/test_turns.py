"""Turns: an answer is learned behind what a server sends, with what the model writes itself and nothing else."""

import pytest

from bakery.chat.views import ViewBuilder, build_views
from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation
from tests.chat.support import PIRATE, ROW, TURNS, build_prompts, learned, own
from tests.templates.support import OWN, assistant, ids_of, make_tokenizer, user

LEARNED = {
    "opens_thinking": "Arr, a pirate.<|end|>",
    "thinks": "Arr, a pirate.<|im_end|>",
    "channels": "<|channel|>final<|message|>Arr, a pirate.<|return|>",
    "loose_prompt": "Arr, a pirate.</s>",
    "end_between_turns": "Arr, a pirate.<|end|>",
    "repeats": "Arr, a pirate.<|im_end|>",
}


@pytest.mark.parametrize("name", sorted(LEARNED))
@pytest.mark.parametrize("kind", ["bytes", "bytes-trimmed"])
def test_an_answer_is_learned_behind_what_a_server_sends(name, kind):
    tokenizer = own(name, kind=kind)
    builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE])
    (pair,) = builder.views(Conversation(tuple(ROW), None, ""))
    prompt = builder.prompts(Conversation(tuple(ROW[:1]), None, ""))
    assert prompt.teacher_ids == pair.teacher_ids[: pair.teacher_targets[0]]
    assert prompt.student_ids == pair.student_ids[: pair.student_targets[0]]
    assert learned(tokenizer, pair) == LEARNED[name]


def test_a_system_message_that_is_shown_with_the_last_question_only_is_where_a_server_sends_it():
    tokenizer = own("loses_system")
    first, second = build_views(tokenizer, TURNS, prefix_messages=[PIRATE])
    for pair, asked in ((first, ROW[:1]), (second, TURNS[:3])):
        prompt = ids_of(tokenizer, [PIRATE, *asked], add_generation_prompt=True)
        assert pair.teacher_ids[: pair.teacher_targets[0]] == prompt


def test_what_the_model_writes_before_an_answer_is_said():
    builder = ViewBuilder(own("channels"), prefix_messages=[PIRATE])
    builder.views(Conversation(tuple(ROW), None, ""))
    note = "the model has to write '<|channel|>final<|message|>' before the answer; it is learned with it"
    assert builder.remarks() == [f"in 1 row(s): {note}"]


def test_thinking_that_is_given_is_learned():
    tokenizer = own("thinks")
    thought = "<think>\nA parrot. Hm.\n</think>\n\nArr."
    for answer in (assistant("Arr.", reasoning_content="A parrot. Hm."), assistant(thought)):
        builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE])
        (pair,) = builder.views(Conversation((ROW[0], answer), None, ""))
        assert learned(tokenizer, pair) == f"{thought}<|im_end|>"
        assert not builder.notes


def test_thinking_that_a_prompt_opens_is_closed_where_it_cannot_be_switched_off():
    source = (OWN / "common" / "deepseek-r1-distill.jinja").read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source)
    end = "<｜end▁of▁sentence｜>"
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert learned(tokenizer, pair) == f"\n</think>\n\nArr, a pirate.{end}"
    thought = [ROW[0], assistant("<think>A parrot.</think>Arr.")]
    assert learned(tokenizer, build_views(tokenizer, thought, prefix_messages=[PIRATE])[0]) == (
        f"A parrot.\n</think>\n\nArr.{end}"
    )


def test_the_header_that_a_template_always_appends_is_not_learned():
    tokenizer = own("always_prompts", tags=False)
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert learned(tokenizer, pair) == "Arr, a pirate.<|end|><|over|>"


def test_no_end_of_turn_is_invented():
    tokenizer = own("no_end", kind="bytes-trimmed")
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert learned(tokenizer, pair) == "Arr, a pirate."


def test_the_space_before_an_answer_is_the_models_to_write():
    tokenizer = own("space_before_answer")
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert learned(tokenizer, pair) == " Arr, a pirate. </s>"
    prompt = build_prompts(tokenizer, ROW[:1], prefix_messages=[PIRATE])
    assert prompt.teacher_ids == pair.teacher_ids[: pair.teacher_targets[0]]


def test_tool_calls_are_learned_and_tool_results_are_not():
    tokenizer = own("tools")
    call = {"function": {"name": "tide", "arguments": {"at": "noon"}}}
    row = [ROW[0], assistant("I look.", tool_calls=[call]), {"role": "tool", "content": "High."}, assistant("High.")]
    (pair,) = build_views(tokenizer, row, prefix_messages=[PIRATE])
    expected = 'I look.\n<tool_call>tide {"at": "noon"}</tool_call><|im_end|>High.<|im_end|>'
    assert learned(tokenizer, pair) == expected
    with pytest.raises(ViewError, match="does not write the tool calls"):
        build_views(own("trims"), row, prefix_messages=[PIRATE])


def test_an_answer_that_is_rewritten_is_refused():
    with pytest.raises(ViewError, match="rewrites the last"):
        build_views(own("shouts"), [ROW[0], assistant("Yes, the sea.")], prefix_messages=[PIRATE])


def test_a_prompt_that_depends_on_the_question_is_the_one_that_is_sent():
    tokenizer = own("listens")
    row = [user("Who? /quiet"), assistant("Me.")]
    (pair,) = build_views(tokenizer, row, prefix_messages=[PIRATE])
    assert pair.teacher_ids[: pair.teacher_targets[0]] == ids_of(
        tokenizer, [PIRATE, row[0]], add_generation_prompt=True
    )
    assert learned(tokenizer, pair) == "Me.<|im_end|>"


def test_thinking_that_the_template_leaves_out_is_noted_and_counted():
    builder = ViewBuilder(own("opens_thinking"), prefix_messages=[PIRATE], chat_template_kwargs={"thinking": False})
    for thought in ("A parrot.", "A hat.", "The sea."):
        row = (user("Who?"), assistant(f"<think>{thought}</think>Me."))
        (pair,) = builder.views(Conversation(row, None, ""))
        assert learned(builder.renderer.tokenizer, pair) == "Me.<|end|>"
    assert builder.remarks() == ["in 3 row(s): the template leaves out the thinking of the answer"]


def test_an_answer_of_which_the_template_leaves_out_words_is_refused():
    template = (OWN / "own" / "plain.jinja").read_text(encoding="utf-8").replace("m.content", "m.content.split('|')[0]")
    with pytest.raises(ViewError, match="rewrites the last assistant message"):
        build_views(make_tokenizer(template), [ROW[0], assistant("Arr.|Aye.")], prefix_messages=[PIRATE])


def test_a_template_that_insists_on_certain_words_is_asked_with_them():
    asks = "{% for m in messages if m.role == 'user' and 'please' not in m.content %}"
    template = asks + "{{ raise_exception('rude') }}{% endfor %}"
    tokenizer = make_tokenizer(template + (OWN / "own" / "plain.jinja").read_text(encoding="utf-8"))
    row = [user("Who, please?"), assistant("Me.")]
    with pytest.raises(TemplateError, match="rude"):
        build_views(tokenizer, [user("Who?"), assistant("Me.")], prefix_messages=[PIRATE])
    assert learned(tokenizer, build_views(tokenizer, row, prefix_messages=[PIRATE])[0]) == "Me.<|im_end|>"
