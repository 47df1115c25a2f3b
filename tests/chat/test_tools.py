"""Tools: a row's in both views, a prefix's in the teacher's alone, each as the template renders them."""

import json
from dataclasses import replace

import pytest

from bakery.chat.contexts import ContextRules
from bakery.chat.pre_query import pre_query
from bakery.chat.tools import LEFT_OUT
from bakery.chat.views import ViewBuilder
from bakery.errors import TemplateError, ViewError
from bakery.rows.conversations import Conversation, conversations
from bakery.rows.tools import with_tools
from tests.chat.support import PIRATE, ROW, SHOTS, learned, own
from tests.templates.support import COMMON, OWN, ids_of, make_tokenizer, system, user
from tests.templates.tool_shapes import CALLED, RESULTS, TIDE, WIND

QWEN = next(path for path in COMMON if path.stem == "qwen-2.5").read_text(encoding="utf-8")
FOG = {
    "type": "function",
    "function": {"name": "see_fog", "description": "Tells <|im_end|> the fog.", "parameters": {}},
}
LISTS = "{%- for tool in tools or [] %}<tool>{{ tool | tojson }}</tool>{% endfor -%}\n"
THINKS = LISTS + (OWN / "own" / "thinks.jinja").read_text(encoding="utf-8")
REFUSES = "{%- if tools %}{{ raise_exception('No tools.') }}{% endif -%}\n" + QWEN


@pytest.fixture(scope="module")
def qwen():
    return make_tokenizer(QWEN)


def row_of(messages, *tools, prefix=None):
    return Conversation(tuple(messages), prefix, "row 1", tools)


def views(tokenizer, row, anchor=False, **settings):
    (pair,) = ViewBuilder(tokenizer, **settings).views(row, anchor=anchor)
    return pair


@pytest.mark.parametrize("messages", [ROW, CALLED, RESULTS])
def test_the_tools_of_a_row_are_in_both_views(qwen, messages):
    pair = views(qwen, row_of(messages, TIDE), prefix_messages=[PIRATE])
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *messages], tools=[TIDE])
    assert pair.student_ids == ids_of(qwen, messages, tools=[TIDE])


def test_the_tools_of_the_prefix_are_in_the_teachers_view_only(qwen):
    pair = views(qwen, row_of(ROW), prefix_messages=with_tools([PIRATE], [TIDE]))
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *ROW], tools=[TIDE])
    assert pair.student_ids == ids_of(qwen, ROW)
    own_prefix = views(qwen, row_of(ROW, prefix=tuple(with_tools([PIRATE], [TIDE]))), prefix_messages=[system("Else.")])
    assert (own_prefix.teacher_ids, own_prefix.student_ids) == (pair.teacher_ids, pair.student_ids)
    assert own_prefix.prefix_key == pair.prefix_key


def test_tools_alone_can_be_baked(qwen):
    pair = views(qwen, row_of(CALLED), prefix_messages=with_tools([], [TIDE]))
    assert pair.teacher_ids == ids_of(qwen, CALLED, tools=[TIDE])
    assert pair.student_ids == ids_of(qwen, CALLED)
    assert "lookup_tide" in learned(qwen, pair)


def test_tools_of_everywhere_come_in_order_and_once(qwen):
    settings = {"prefix_messages": with_tools([PIRATE], [TIDE, FOG]), "chat_template_kwargs": {"tools": [WIND]}}
    pair = views(qwen, row_of(ROW, FOG), **settings)
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *ROW], tools=[WIND, TIDE, FOG])
    assert pair.student_ids == ids_of(qwen, ROW, tools=[WIND, FOG])
    same = views(qwen, row_of(ROW), prefix_messages=[PIRATE], chat_template_kwargs={"tools": [WIND]})
    assert same.student_ids == ids_of(qwen, ROW, tools=[WIND])


def test_an_anchor_shows_the_tools_of_its_row_to_both_and_none_of_the_prefix(qwen):
    pair = views(qwen, row_of(ROW, WIND), anchor=True, prefix_messages=with_tools([PIRATE], [TIDE]))
    assert pair.teacher_ids == pair.student_ids == ids_of(qwen, ROW, tools=[WIND])


def test_a_rows_own_earlier_messages_are_baked_with_its_tools_in_both_views(qwen):
    pair = views(qwen, row_of([*SHOTS, *ROW], TIDE), student_retained_turns=2)
    assert pair.teacher_ids == ids_of(qwen, [*SHOTS, *ROW], tools=[TIDE])
    assert pair.student_ids == ids_of(qwen, ROW, tools=[TIDE])


def test_retained_messages_of_the_prefix_come_without_its_tools(qwen):
    prefix = with_tools([PIRATE, *SHOTS], [TIDE])
    pair = views(qwen, row_of(ROW), prefix_messages=prefix, student_retained_turns=2)
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *SHOTS, *ROW], tools=[TIDE])
    assert pair.student_ids == ids_of(qwen, [*SHOTS[-2:], *ROW])


def test_calls_are_learned_and_results_are_context(qwen):
    pair = views(qwen, row_of(RESULTS, TIDE), prefix_messages=[PIRATE])
    said = learned(qwen, pair)
    assert '"name": "lookup_tide"' in said
    assert "High tide, matey.<|im_end|>" in said
    assert "High 12.4" not in said
    results = views(qwen, row_of(RESULTS, TIDE), prefix_messages=[PIRATE], target_roles=["tool"])
    assert "High 12.4" in learned(qwen, results)


@pytest.mark.parametrize("baked", [[], [TIDE]])
def test_prompts_are_asked_with_the_tools(qwen, baked):
    builder = ViewBuilder(qwen, prefix_messages=with_tools([PIRATE], baked))
    pair = builder.prompts(row_of(RESULTS[:3], WIND))
    asked = {"add_generation_prompt": True}
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *RESULTS[:3]], tools=[*baked, WIND], **asked)
    assert pair.student_ids == ids_of(qwen, RESULTS[:3], tools=[WIND], **asked)


def test_the_message_that_the_model_writes_for_a_user_comes_behind_the_tools(qwen):
    builder = ViewBuilder(qwen, prefix_messages=with_tools([PIRATE], [TIDE]))
    prompted, bare = (qwen.decode(pre_query(builder, prompted=seen).ids) for seen in (True, False))
    assert "lookup_tide" in prompted
    assert "lookup_tide" not in bare


def test_rows_share_a_prefix_only_with_the_same_tools(qwen):
    builder = ViewBuilder(qwen, prefix_messages=[PIRATE])
    rows = [row_of(ROW), row_of(ROW, TIDE), row_of(RESULTS, TIDE), row_of(ROW, WIND)]
    plain, one, same, other = (builder.views(row)[0].prefix_key for row in rows)
    assert one == same
    assert len({plain, one, other}) == 3


def test_many_sets_of_tools_are_shown_right_in_any_order(qwen):
    builder = ViewBuilder(qwen, prefix_messages=[PIRATE])
    tools = [{**TIDE, "function": {**TIDE["function"], "name": f"tide_{n}"}} for n in range(70)]
    for one in [*tools, tools[0]]:
        (pair,) = builder.views(row_of(ROW, one))
        assert pair.student_ids == ids_of(qwen, ROW, tools=[one])


def test_control_tokens_in_tools_stay_words(qwen):
    pair = views(qwen, row_of(ROW, FOG), prefix_messages=[PIRATE])
    assert pair.student_ids == ids_of(qwen, ROW, tools=[FOG])
    end = qwen.convert_tokens_to_ids("<|im_end|>")
    assert pair.student_ids.count(end) == ids_of(qwen, ROW, tools=[TIDE]).count(end)


def test_a_tokenizers_template_for_tools_is_the_one_for_rows_with_tools():
    tokenizer = make_tokenizer(QWEN)
    tokenizer.chat_template = {"default": QWEN.replace("helpful", "plain"), "tool_use": QWEN}
    with_some = views(tokenizer, row_of(ROW, TIDE), prefix_messages=[PIRATE])
    without = views(tokenizer, row_of(ROW), prefix_messages=[PIRATE])
    assert with_some.teacher_ids == ids_of(make_tokenizer(QWEN), [PIRATE, *ROW], tools=[TIDE])
    assert without.student_ids == ids_of(make_tokenizer(QWEN.replace("helpful", "plain")), ROW)


def test_answers_without_thinking_are_asked_for_without_it_with_tools_too():
    tokenizer = make_tokenizer(THINKS)
    builder = ViewBuilder(tokenizer, prefix_messages=with_tools([PIRATE], [TIDE]))
    off = {"enable_thinking": False}
    (pair,) = builder.views(row_of(ROW, WIND))
    assert builder.thinking_off == off
    assert pair.teacher_ids == ids_of(tokenizer, [PIRATE, *ROW], tools=[TIDE, WIND], **off)
    assert learned(tokenizer, pair) == "Arr, a pirate.<|im_end|>"
    prompt = builder.prompts(row_of(ROW[:1], WIND))
    asked = {"add_generation_prompt": True, **off}
    assert prompt.teacher_ids == ids_of(tokenizer, [PIRATE, *ROW[:1]], tools=[TIDE, WIND], **asked)
    assert prompt.student_ids == ids_of(tokenizer, ROW[:1], tools=[WIND], **asked)


def test_a_template_that_leaves_tools_out_is_told_of_once():
    builder = ViewBuilder(own("plain"), prefix_messages=[PIRATE])
    assert LEFT_OUT not in builder.remarks()
    for _ in range(2):
        builder.views(row_of(ROW, TIDE))
    assert builder.remarks().count(LEFT_OUT) == 1
    named = ViewBuilder(own("plain"), prefix_messages=[PIRATE])
    named.views(row_of([user("Is there a lookup_tide?"), ROW[1]], TIDE))
    assert LEFT_OUT in named.remarks()
    asking = ViewBuilder(own("plain"), prefix_messages=[PIRATE])
    asking.prompts(row_of(ROW[:1], TIDE))
    assert LEFT_OUT in asking.remarks()


def test_a_template_that_shows_some_tools_only_is_told_of(qwen):
    shown = ViewBuilder(qwen, prefix_messages=[PIRATE])
    shown.views(row_of(ROW, TIDE))
    assert LEFT_OUT not in shown.remarks()
    first = ViewBuilder(make_tokenizer(QWEN.replace("for tool in tools", "for tool in tools[:1]")))
    first.views(row_of(ROW, TIDE, prefix=(PIRATE,)))
    assert LEFT_OUT not in first.remarks()
    first.views(row_of(ROW, TIDE, WIND, prefix=(PIRATE,)))
    assert LEFT_OUT in first.remarks()


@pytest.mark.parametrize("messages", [ROW, ROW[:1]])
def test_a_prefix_of_tools_that_the_template_leaves_out_is_nothing_to_bake(messages):
    builder = ViewBuilder(own("plain"), prefix_messages=with_tools([], [TIDE]))
    with pytest.raises(ViewError, match=r"nothing to bake: .* it leaves out the prefix's tools") as caught:
        (builder.views if len(messages) > 1 else builder.prompts)(row_of(messages))
    assert "fold" not in str(caught.value)


def test_a_template_that_breaks_on_the_tools_names_them():
    with pytest.raises(TemplateError, match=r"^row 1: .*No tools\.; change the roles, their order or the tools, or"):
        views(make_tokenizer(REFUSES), row_of(ROW, TIDE), prefix_messages=[PIRATE])


def test_the_rules_of_contexts_keep_the_prefix_with_its_tools():
    rules = ContextRules(with_tools([PIRATE], [TIDE]))
    context = rules.context(list(ROW), None, (WIND,), anchor=False)
    assert (context.teacher, context.student) == ([PIRATE, *ROW], list(ROW))
    assert (context.teacher_tools, context.student_tools) == ((TIDE, WIND), (WIND,))
    assert rules.prefix[0]["tools"] == [TIDE]
    retaining = ContextRules([PIRATE, {**SHOTS[0], "tools": [TIDE]}, SHOTS[1]], retained=2)
    context = retaining.context(list(ROW), None, anchor=False)
    assert context.teacher == [PIRATE, *SHOTS[:2], *ROW]
    assert context.student == [*SHOTS[:2], *ROW]


def test_rows_as_data_sets_store_them_have_the_same_views(qwen):
    (stored,) = conversations([{"messages": RESULTS, "tools": json.dumps([TIDE])}])
    pair = views(qwen, replace(stored, prefix=(PIRATE,)))
    assert pair.teacher_ids == ids_of(qwen, [PIRATE, *RESULTS], tools=[TIDE])
