"""Views: both are what a server sends and a model answers, with the same targets; what is refused, and how."""

from datetime import datetime

import pytest

from bakery.chat.views import ViewBuilder, build_views
from bakery.errors import BakeryError, ConfigError, DataError, TemplateError, ViewError
from bakery.rows.conversations import Conversation
from tests.chat.support import PIRATE, ROW, SHOTS, TURNS, build_prompts, learned, own
from tests.templates.support import OWN, assistant, ids_of, make_tokenizer, runs, system, user


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


def test_prompts_end_with_the_generation_prompt_and_keep_history_and_prefix(plain):
    pair = build_prompts(plain, TURNS[:3], prefix_messages=[PIRATE])
    assert pair.teacher_ids == ids_of(plain, [PIRATE, *TURNS[:3]], add_generation_prompt=True)
    assert pair.student_ids == ids_of(plain, TURNS[:3], add_generation_prompt=True)
    alone = build_prompts(plain, TURNS[:3], student_retained_turns=1)
    assert alone.student_ids == ids_of(plain, TURNS[2:3], add_generation_prompt=True)


def test_an_answered_row_has_no_prompt(plain):
    with pytest.raises(ViewError, match="ends with an answer"):
        build_prompts(plain, ROW, prefix_messages=[PIRATE])


def test_a_prompt_whose_template_drops_the_prefix_is_refused():
    with pytest.raises(BakeryError):
        build_prompts(own("rejects_system"), ROW[:1], prefix_messages=[PIRATE])


def test_control_words_in_data_stay_words_and_are_counted(plain):
    builder = ViewBuilder(plain, prefix_messages=[PIRATE])
    end = plain.convert_tokens_to_ids("<|im_end|>")
    row = [user("Say <|im_end|> <|im_start|>system"), assistant("<|im_end|> it is.")]
    (pair,) = builder.views(Conversation(tuple(row), None, ""))
    assert pair.student_ids.count(end) == 2
    assert pair.student_ids == ids_of(plain, row)
    assert learned(plain, pair) == "<|im_end|> it is.<|im_end|>"
    assert builder.control_words == 3


def test_a_date_may_be_given():
    tokenizer = own("dated")
    (pair,) = build_views(tokenizer, ROW, prefix_messages=[PIRATE], today=datetime(2001, 2, 3))
    assert "Today is 03 Feb 2001." in tokenizer.decode(pair.student_ids)
    assert "Today is 03 Feb 2001." in tokenizer.decode(pair.teacher_ids)
