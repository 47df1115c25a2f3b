"""Views: who sees what, what is learned of it, and what is refused."""

from datetime import datetime

import pytest

from bakery.chat.views import PromptPair, ViewBuilder, build_prompts, build_views, prompt_ids
from bakery.errors import BakeryError, ConfigError, DataError, TemplateError, ViewError
from bakery.rows.conversations import Conversation
from tests.templates.support import OWN, assistant, ids_of, make_tokenizer, runs, system, user


def own(name, **settings):
    return make_tokenizer((OWN / "own" / f"{name}.jinja").read_text(encoding="utf-8"), **settings)


@pytest.fixture(scope="module")
def plain():
    return own("plain")


PIRATE = system("Be a pirate.")
ROW = [user("Who are you?"), assistant("Arr, a pirate.")]
TURNS = [*ROW, user("Since when?"), assistant("Since 1871.")]
SHOTS = [user("One?"), assistant("Arr one."), user("Two?"), assistant("Arr two.")]


OFF = {"enable_thinking": False}


def learned(tokenizer, pair):
    return tokenizer.decode([pair.teacher_ids[p] for p in pair.teacher_targets])


def test_both_views_are_what_the_template_gives_and_share_their_targets(plain):
    (pair,) = build_views(plain, ROW, prefix_messages=[PIRATE])
    assert pair.teacher_ids == ids_of(plain, [PIRATE, *ROW])
    assert pair.student_ids == ids_of(plain, ROW)
    assert learned(plain, pair) == "Arr, a pirate.<|im_end|>"
    assert [pair.student_ids[q] for q in pair.student_targets] == [pair.teacher_ids[p] for p in pair.teacher_targets]


def test_every_assistant_turn_is_a_target_and_the_newline_behind_it_is_not(plain):
    (pair,) = build_views(plain, TURNS, prefix_messages=[PIRATE])
    assert learned(plain, pair) == "Arr, a pirate.<|im_end|>Since 1871.<|im_end|>"
    assert len(runs(pair.teacher_targets)) == 2


# Who sees what


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


def test_a_template_that_leaves_out_system_messages_folds_by_itself_and_says_so():
    source = (OWN / "own" / "plain.jinja").read_text(encoding="utf-8")
    tokenizer = make_tokenizer(source.replace("in messages", "in messages if m.role != 'system'"))
    builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE])
    (pair,) = builder.views(Conversation(tuple(ROW), None, ""))
    assert pair.teacher_ids == ids_of(tokenizer, [user("Be a pirate.\n\nWho are you?"), ROW[1]])
    assert pair.student_ids == ids_of(tokenizer, ROW)
    assert "leaves out system messages" in "".join(builder.remarks())


def test_a_template_that_rejects_system_messages_names_the_setting_that_helps():
    with pytest.raises(TemplateError, match=r"System role not supported; .*; or set system_role: fold"):
        build_views(own("rejects_system"), ROW, prefix_messages=[PIRATE])
    with pytest.raises(ViewError, match=r"rewrites the last .*\(tokenizer.chat_template\)$"):
        build_views(own("shouts"), [ROW[0], assistant("Yes.")], prefix_messages=[PIRATE])


def test_a_system_message_that_is_shown_with_the_last_question_only_is_where_a_server_sends_it():
    tokenizer = own("loses_system")
    first, second = build_views(tokenizer, TURNS, prefix_messages=[PIRATE])
    for pair, asked in ((first, ROW[:1]), (second, TURNS[:3])):
        prompt = ids_of(tokenizer, [PIRATE, *asked], add_generation_prompt=True)
        assert pair.teacher_ids[: pair.teacher_targets[0]] == prompt


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


# What is learned


def test_other_roles_can_be_targets(plain):
    (pair,) = build_views(plain, TURNS, prefix_messages=[PIRATE], target_roles=["user", "assistant"])
    text = "Who are you?<|im_end|>Arr, a pirate.<|im_end|>Since when?<|im_end|>Since 1871.<|im_end|>"
    assert learned(plain, pair) == text
    (pair,) = build_views(plain, [system("Rule."), *ROW], prefix_messages=SHOTS, target_roles=["user"])
    assert learned(plain, pair) == "Who are you?<|im_end|>"


def test_only_messages_that_match_are_targets(plain):
    (pair,) = build_views(plain, TURNS, prefix_messages=[PIRATE], target_content_pattern=r"\d{4}")
    assert learned(plain, pair) == "Since 1871.<|im_end|>"
    with pytest.raises(ViewError, match=r"no target.*matches 'nowhere'"):
        build_views(plain, TURNS, prefix_messages=[PIRATE], target_content_pattern="nowhere")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"Answer:.*", "Answer: 42.<|im_end|>"),
        (r"Answer: (\d+)", "42"),
        (r"(?m)^Because.*$", "Because six times seven."),
        (r"Answer: (.*)", "42.<|im_end|>"),
    ],
)
def test_only_what_the_span_pattern_matches_is_the_target(plain, pattern, expected):
    row = [user("What is it?"), assistant("Because six times seven.\nAnswer: 42.")]
    (pair,) = build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern=pattern)
    assert learned(plain, pair) == expected


def test_a_span_pattern_must_match_whole_tokens_and_something(plain):
    row = [user("What is it?"), assistant("The capital of France")]
    with pytest.raises(ViewError, match="matches a part of the token"):
        build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern="ital")
    with pytest.raises(ViewError, match="matches nothing"):
        build_views(plain, row, prefix_messages=[PIRATE], target_span_pattern="Answer")


def test_a_pattern_that_runs_away_is_stopped(plain):
    row = [user("What?"), assistant("a" * 60 + "!")]
    with pytest.raises(ViewError, match="takes more than"):
        build_views(plain, row, prefix_messages=[PIRATE], target_content_pattern=r"(?:(a|aa)+)+$")


@pytest.mark.parametrize("setting", ["target_content_pattern", "target_span_pattern"])
def test_a_pattern_that_does_not_compile_is_a_config_error(plain, setting):
    with pytest.raises(ConfigError, match=setting):
        build_views(plain, ROW, prefix_messages=[PIRATE], **{setting: "("})


def test_where_earlier_turns_are_rewritten_each_turn_becomes_a_pair():
    tokenizer = own("thinks")
    first, second = build_views(tokenizer, TURNS, prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    assert learned(tokenizer, first) == "Arr, a pirate.<|im_end|>"
    assert learned(tokenizer, second) == "Since 1871.<|im_end|>"
    assert first.teacher_ids == ids_of(tokenizer, [PIRATE, *ROW])
    assert second.student_ids == ids_of(tokenizer, TURNS)


def test_thinking_that_is_given_is_learned():
    tokenizer = own("thinks")
    thought = "<think>\nA parrot. Hm.\n</think>\n\nArr."
    for answer in (assistant("Arr.", reasoning_content="A parrot. Hm."), assistant(thought)):
        builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE])
        (pair,) = builder.views(Conversation((ROW[0], answer), None, ""))
        assert learned(tokenizer, pair) == f"{thought}<|im_end|>"
        assert not builder.notes


def test_thinking_switched_off_is_off_in_both_views_and_in_prompts():
    tokenizer = own("thinks", kind="words", words=["Who are you? Arr, a pirate. Be a"])
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    prompt = build_prompts(tokenizer, ROW[:1], prefix_messages=[PIRATE], chat_template_kwargs=OFF)
    assert prompt.teacher_ids == pair.teacher_ids[: pair.teacher_targets[0]]
    assert prompt.student_ids == pair.student_ids[: pair.student_targets[0]]
    assert prompt.student_ids == prompt_ids(tokenizer, ROW[:1], chat_template_kwargs=OFF)
    assert tokenizer.decode(prompt.student_ids).endswith("<think>\n\n</think>\n\n")


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


def test_what_the_model_writes_before_an_answer_is_said():
    builder = ViewBuilder(own("channels"), prefix_messages=[PIRATE])
    builder.views(Conversation(tuple(ROW), None, ""))
    note = "the model has to write '<|channel|>final<|message|>' before the answer; it is learned with it"
    assert builder.remarks() == [f"in 1 row(s): {note}"]


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


def test_the_tokens_before_an_answer_are_those_of_the_generation_prompt_alone():
    tokenizer = own("trims", kind="bytes-trimmed")  # which takes the last of two newlines by itself if a word follows
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE])
    assert pair.teacher_ids[: pair.teacher_targets[0]] == ids_of(
        tokenizer, [PIRATE, ROW[0]], add_generation_prompt=True
    )
    assert learned(tokenizer, pair) == "Arr, a pirate.<|eot|>"


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


# What is refused


@pytest.mark.parametrize("answer", ["\n\nArr.", "\n\nArr <|im_end|> arr."], ids=["words", "control words"])
def test_white_space_at_the_begin_of_an_answer_is_learned_behind_the_prompt(plain, answer):
    (pair,) = build_views(plain, [ROW[0], assistant(answer)], prefix_messages=[PIRATE])
    assert pair.teacher_ids[: pair.teacher_targets[0]] == ids_of(plain, [PIRATE, ROW[0]], add_generation_prompt=True)
    assert learned(plain, pair) == f"{answer}<|im_end|>"


def test_a_token_that_reaches_across_the_begin_of_a_question_is_refused(plain):
    with pytest.raises(ViewError, match=r"joins the message to what stands before.*strip white space"):
        build_views(plain, [user("\n\nWho?"), ROW[1]], prefix_messages=SHOTS, target_roles=["user"])


def test_an_answer_that_is_rewritten_is_refused():
    with pytest.raises(ViewError, match="rewrites the last"):
        build_views(own("shouts"), [ROW[0], assistant("Yes, the sea.")], prefix_messages=[PIRATE])


def test_an_answer_without_any_token_is_refused():
    with pytest.raises(ViewError, match="hold no token"):
        build_views(own("no_end"), [ROW[0], assistant("")], prefix_messages=[PIRATE])


@pytest.mark.parametrize(
    "messages",
    [
        [],
        ["text"],
        [{"content": "x"}],
        [{"role": "", "content": "x"}],
        [user(3)],
        [user([{"type": "image", "url": "x"}])],
        [user("half a \ud83d smile"), assistant("Ha.")],
        [user("Who?"), assistant("Ha.", tool_calls="look")],
        [user("Who?"), assistant("Ha.", tool_calls=[3])],
    ],
)
def test_malformed_messages_are_data_errors(plain, messages):
    with pytest.raises(DataError, match=r"must|no key|unknown role|repair|has no messages"):
        build_views(plain, messages, prefix_messages=[PIRATE])


@pytest.mark.parametrize(
    "settings",
    [{"student_retained_turns": -1}, {"target_roles": "assistant"}, {"target_roles": []}],
)
def test_impossible_settings_are_config_errors(plain, settings):
    with pytest.raises(ConfigError):
        ViewBuilder(plain, prefix_messages=[PIRATE], **settings)


def test_errors_name_the_row(plain):
    builder = ViewBuilder(plain, prefix_messages=[PIRATE])
    with pytest.raises(ViewError, match=r"^data/rows\.jsonl row 12: "):
        builder.views(Conversation((user("A question."),), None, "data/rows.jsonl row 12"))
    with pytest.raises(TemplateError, match=r"^row 2: .*System role not supported"):
        ViewBuilder(own("rejects_system"), prefix_messages=[PIRATE]).views(Conversation(tuple(ROW), None, "row 2"))


def test_refusals_are_bakery_errors_with_the_exit_code_of_data(plain):
    with pytest.raises(BakeryError) as caught:
        build_views(plain, ROW)
    assert caught.value.exit_code == 3


# Prompts


def test_prompts_end_with_the_generation_prompt_and_keep_history_and_prefix(plain):
    pair = build_prompts(plain, TURNS[:3], prefix_messages=[PIRATE])
    assert pair.teacher_ids == ids_of(plain, [PIRATE, *TURNS[:3]], add_generation_prompt=True)
    assert pair.student_ids == ids_of(plain, TURNS[:3], add_generation_prompt=True)
    alone = build_prompts(plain, TURNS[:3], student_retained_turns=1)
    assert alone.student_ids == ids_of(plain, TURNS[2:3], add_generation_prompt=True)


def test_sampled_ids_are_appended_as_they_are_and_all_are_targets():
    pair = PromptPair([1, 2, 3], [3], "row 1", "key").with_answer([7, 8, 9])
    assert (pair.teacher_ids, pair.student_ids) == ([1, 2, 3, 7, 8, 9], [3, 7, 8, 9])
    assert (pair.teacher_targets, pair.student_targets) == ([3, 4, 5], [1, 2, 3])
    assert (pair.source, pair.prefix_key) == ("row 1", "key")
    with pytest.raises(ViewError, match="row 1: the sampled answer is empty"):
        PromptPair([1], [1], "row 1").with_answer([])


def test_an_answered_row_has_no_prompt(plain):
    with pytest.raises(ViewError, match="ends with an answer"):
        build_prompts(plain, ROW, prefix_messages=[PIRATE])


def test_a_prompt_whose_template_drops_the_prefix_is_refused():
    with pytest.raises(BakeryError):
        build_prompts(own("rejects_system"), ROW[:1], prefix_messages=[PIRATE])


# Control words


def test_control_words_in_data_stay_words_and_are_counted(plain):
    builder = ViewBuilder(plain, prefix_messages=[PIRATE])
    end = plain.convert_tokens_to_ids("<|im_end|>")
    row = [user("Say <|im_end|> <|im_start|>system"), assistant("<|im_end|> it is.")]
    (pair,) = builder.views(Conversation(tuple(row), None, ""))
    assert pair.student_ids.count(end) == 2
    assert pair.student_ids == ids_of(plain, row)
    assert learned(plain, pair) == "<|im_end|> it is.<|im_end|>"
    assert builder.control_words == 3


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


# The date


def test_a_date_may_be_given():
    tokenizer = own("dated")
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], today=datetime(2001, 2, 3))
    assert "Today is 03 Feb 2001." in tokenizer.decode(pair.student_ids)
    assert "Today is 03 Feb 2001." in tokenizer.decode(pair.teacher_ids)
