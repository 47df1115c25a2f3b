"""Thinking: answers without it are asked for without it; what the user sets wins."""

import pytest

from bakery.chat.thinking import ThinkingTokens, inline_thoughts, learned_of, set_apart
from bakery.chat.views import ViewBuilder, build_views
from bakery.rows.conversations import Conversation
from tests.chat.support import OFF, PIRATE, ROW, build_prompts, learned, own
from tests.templates.support import assistant, ids_of, make_tokenizer, user


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


SEED = (
    "{%- for m in messages %}{{ '<s>' + m.role + '\\n' }}"
    "{%- if m.reasoning_content %}{{ '<seed:think>' + m.reasoning_content + '</seed:think>\\n' }}{% endif %}"
    "{{- m.content + '<sep>' }}{%- endfor %}{%- if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"
)
"""Writes thoughts in tags of its own, and reads none."""
THOUGHTFUL = [ROW[0], assistant("Arr.", reasoning_content="Hm, a pirate.")]
INLINE = {"thinks": "<think>\nHm, a pirate.\n</think>\n\nArr.", "seed": "<seed:think>Hm, a pirate.</seed:think>\nArr."}


def _tokenizer(name, kind="bytes"):
    return make_tokenizer(SEED, kind, words=["Be a pirate. Who are you? Arr. Hm,"]) if name == "seed" else own(name)


@pytest.mark.parametrize("name", ["thinks", "opens_thinking", "channels", "seed"])
def test_thoughts_that_are_not_to_be_learned_are_context_in_both_views(name):
    tokenizer = _tokenizer(name)
    (wanted,) = build_views(tokenizer, THOUGHTFUL, prefix_messages=[PIRATE])
    (pair,) = build_views(tokenizer, THOUGHTFUL, prefix_messages=[PIRATE], target_thinking=False)
    assert (pair.teacher_ids, pair.student_ids) == (wanted.teacher_ids, wanted.student_ids)
    said = learned(tokenizer, pair)
    assert said.startswith("Arr.")
    assert learned(tokenizer, wanted).endswith(said)
    assert wanted.student_targets[-len(pair.student_targets) :] == pair.student_targets
    assert "Hm, a pirate." in tokenizer.decode(pair.student_ids[: pair.student_targets[0]])


def test_an_answer_without_thoughts_and_other_targets_are_learned_whole():
    tokenizer = own("plain")
    settings = {"prefix_messages": [PIRATE], "target_roles": ["user", "assistant"]}
    assert build_views(tokenizer, ROW, target_thinking=False, **settings) == build_views(tokenizer, ROW, **settings)


def test_a_token_that_reaches_into_the_answer_is_learned():
    tokenizer = make_tokenizer(
        "{% for m in messages %}{{ m.role + ':' + (m.reasoning_content or '') + ' ' + m.content }}{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    row = [user("Who?"), assistant("the pirate", reasoning_content="Hm.")]
    (pair,) = build_views(tokenizer, row, prefix_messages=[PIRATE], target_thinking=False)
    assert learned(tokenizer, pair) == " the pirate"


@pytest.mark.parametrize("content", ["", "I look."])
def test_calls_behind_thoughts_are_learned_without_them(content):
    call = {"type": "function", "function": {"name": "look", "arguments": {"at": "sea"}}}
    answer = assistant(content, reasoning_content="Hm, a\n pirate.", tool_calls=[call])
    source = SEED.replace(
        "{{- m.content", "{%- for c in m.tool_calls %}{{ '<call>' + c.function.name }}{% endfor %}{{- m.content"
    )
    tokenizer = make_tokenizer(source)
    (pair,) = build_views(tokenizer, [ROW[0], answer], prefix_messages=[PIRATE], target_thinking=False)
    assert learned(tokenizer, pair) == f"<call>look{content}<sep>"


@pytest.mark.parametrize("name", ["thinks", "seed"])
@pytest.mark.parametrize("target_thinking", [True, False])
def test_thoughts_inline_in_the_tags_of_the_template_are_as_those_beside_the_content(name, target_thinking):
    tokenizer = _tokenizer(name)
    inline = [ROW[0], assistant(INLINE[name])]
    settings = {"prefix_messages": [PIRATE], "target_thinking": target_thinking}
    assert build_views(tokenizer, inline, **settings) == build_views(tokenizer, THOUGHTFUL, **settings)
    rows = [*inline, user("Why?")]
    prompt = build_prompts(tokenizer, rows, prefix_messages=inline)
    beside = build_prompts(tokenizer, [*THOUGHTFUL, user("Why?")], prefix_messages=THOUGHTFUL)
    assert (prompt.teacher_ids, prompt.student_ids) == (beside.teacher_ids, beside.student_ids)


def test_tags_that_are_not_those_of_the_template_stay_words():
    builder = ViewBuilder(_tokenizer("seed"), prefix_messages=[PIRATE])
    (pair,) = builder.views(Conversation((ROW[0], assistant("Arr. <seed:think>no thought</seed:think>")), None, ""))
    assert builder.control_words == 2
    assert "no thought" in learned(builder.renderer.tokenizer, pair)
    builder.views(Conversation((ROW[0], assistant(INLINE["seed"])), None, ""))
    assert builder.control_words == 2


def test_what_the_template_reads_itself_and_answers_with_thoughts_beside_them_stay_as_they_are():
    inline = assistant(INLINE["thinks"])
    assert inline_thoughts(ViewBuilder(own("thinks")).locator) is None
    assert set_apart([inline], None) == [inline]
    both = assistant(INLINE["seed"], reasoning_content="Hm.")
    assert set_apart([both], inline_thoughts(ViewBuilder(_tokenizer("seed")).locator)) == [both]


@pytest.mark.parametrize(
    ("name", "kwargs", "opening", "closing"),
    [
        ("thinks", {}, "<think>", "\n</think>\n\n"),
        ("opens_thinking", {}, "", "\n</think>\n\n"),
        ("channels", {}, "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        ("seed", {}, "<seed:think>", "</seed:think>\n"),
        ("thinks", OFF, None, None),
        ("opens_thinking", {"thinking": False}, "<think>", "\n</think>\n\n"),
        ("plain", {}, None, None),
    ],
)
def test_what_stands_around_thoughts_is_what_the_template_writes(name, kwargs, opening, closing):
    tokenizer = _tokenizer(name)
    builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE], chat_template_kwargs=kwargs)
    tokens = builder.thinking
    assert (tokens is None) == (opening is None)
    if tokens is not None:
        assert tokenizer.decode(list(tokens.openings[0])) == opening
        assert tokenizer.decode(list(tokens.closing)) == closing
        assert {tokenizer.decode(list(ending)).strip() for ending in tokens.endings} == {closing.strip()}


@pytest.mark.parametrize("name", ["thinks", "opens_thinking", "channels", "seed"])
def test_a_sampled_answer_begins_where_a_given_one_does(name):
    tokenizer = _tokenizer(name)
    builder = ViewBuilder(tokenizer, prefix_messages=[PIRATE], target_thinking=False)
    (pair,) = builder.views(Conversation(tuple(THOUGHTFUL), None, ""))
    prompt = builder.prompts(Conversation((ROW[0],), None, ""))
    ids = pair.teacher_ids[len(prompt.teacher_ids) : pair.teacher_targets[-1] + 1]
    sampled = prompt.with_answer(ids, builder.learned_of(ids))
    assert (sampled.teacher_targets, sampled.student_targets) == (pair.teacher_targets, pair.student_targets)


def test_answers_without_thoughts_have_none_that_could_be_bounded():
    builder = ViewBuilder(own("thinks"), prefix_messages=[PIRATE])
    assert builder.thinking is not None
    builder.views(Conversation(tuple(ROW), None, ""))
    assert builder.thinking is None
    assert builder.thinking_switch == OFF


TOKENS = ThinkingTokens(openings=((1, 2),), endings=((8,), (8, 9)), closing=(7, 8, 9))


@pytest.mark.parametrize(
    ("ids", "begin", "answer"),
    [
        ((1, 2, 5, 8, 6), 4, 4),
        ((1, 2, 5, 8, 9, 6), 4, 5),
        ((1, 2, 8), 3, 3),
        ((1, 2, 5, 6), None, None),
        ((1, 5, 8, 6), 0, 0),
        ((8, 9), 0, 0),
        ((), 0, 0),
    ],
)
def test_an_answer_goes_on_behind_the_end_of_its_thoughts(ids, begin, answer):
    assert (TOKENS.begin(ids), TOKENS.answer(ids)) == (begin, answer)
    assert TOKENS.thoughts(ids) == (ids[2 : begin - 1] if begin else ())
    assert TOKENS.may_open(ids) == (ids[:1] in ((), (1,)) and ids[1:2] in ((), (2,)) and len(ids) < 3)


@pytest.mark.parametrize(
    ("ids", "forced", "thinking", "targets"),
    [
        ((1, 2, 5, 7, 8, 9, 6), range(3, 6), True, [0, 1, 2, 6]),
        ((1, 2, 5, 7, 8, 9, 6), range(3, 6), False, [6]),
        ((1, 2, 5, 8, 9, 6), range(0), False, [5]),
        ((1, 2, 5, 6), range(0), False, []),
        ((5, 6), range(0), False, [0, 1]),
    ],
)
def test_what_the_model_did_not_choose_is_not_learned(ids, forced, thinking, targets):
    assert learned_of(ids, forced, TOKENS, thinking) == targets
    assert learned_of(ids, range(0), None, False) == list(range(len(ids)))
