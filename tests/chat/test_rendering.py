"""Rendering: frozen dates, variables of the template, control words in data that stay words."""

from datetime import datetime

import pytest
from transformers import PreTrainedTokenizerFast

from bakery.chat.encoding import Encoder
from bakery.chat.rendering import Renderer, freeze_dates, plain_messages
from bakery.errors import ConfigError, TemplateError
from tests.templates.support import OWN, REAL, assistant, make_tokenizer, text_of, user

PLAIN = (OWN / "own" / "plain.jinja").read_text(encoding="utf-8")
ROW = [user("Who?"), assistant("Me.")]


def renderer(template, **kwargs):
    return Renderer(make_tokenizer(template), **kwargs)


# Dates


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%A, %B %-d, %H:%M:%S", "%j %y %I %p %%d"])
def test_the_date_is_the_given_one(form):
    today = datetime(2021, 3, 4, 5, 6, 7)
    template = "{{- strftime_now('" + form + "') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    shown = renderer(template, today=today).render([user("!")]).text
    assert shown == today.strftime(form) + "!"


@pytest.mark.parametrize("head", ["", "\n", "   ", "    {% if true %}x{% endif %}\n", "\n\n  {{ bos_token }}"])
def test_freezing_the_date_changes_nothing_else(head):
    template = head + "{% for m in messages %}{{ strftime_now('%Y') + m.content }}{% endfor %}"
    tokenizer = make_tokenizer(template)
    assert Renderer(tokenizer).render(ROW).text == text_of(tokenizer, ROW)


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/chat_templates beside the repository")
def test_real_templates_are_dated_once_for_all():
    today = datetime(1999, 12, 31)
    for path in sorted(REAL.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        if "strftime_now" in source:
            frozen = renderer(source, today=today)
            assert frozen.render(ROW) == frozen.render(ROW)
            assert "1999" in frozen.render(ROW).text
            assert str(datetime.now().year) not in frozen.render(ROW).text


def test_a_template_without_date_is_left_as_it_is():
    assert freeze_dates(PLAIN, datetime.now()) == PLAIN


def test_a_tokenizer_without_template_says_what_to_do():
    with pytest.raises(TemplateError, match=r"no chat template; .*chat_template"):
        Renderer(make_tokenizer(None))


@pytest.mark.parametrize("name", ["tokenize", "add_generation_prompt", "chat_template"])
def test_template_variables_may_not_be_our_own_arguments(name):
    with pytest.raises(ConfigError, match=f"chat_template_kwargs: {name}"):
        renderer(PLAIN, chat_template_kwargs={name: True})


def test_template_variables_reach_the_template():
    assert renderer("{{ mood }}", chat_template_kwargs={"mood": "merry"}).render(ROW).text == "merry"


# Messages


def test_text_parts_are_joined_and_nothing_else_is_touched():
    given = [user([{"type": "text", "text": "a "}, {"text": "b"}]), assistant(None, tool_calls=[{"x": 1}])]
    assert plain_messages(given) == [user("a b"), given[1]]
    assert given[0]["content"][0] == {"type": "text", "text": "a "}, "the caller's messages are left alone"


# Control words


def test_thinking_of_an_answer_stays_markup_and_other_control_words_do_not():
    template = (OWN / "own" / "thinks.jinja").read_text(encoding="utf-8")
    tokenizer = make_tokenizer(template)
    think = tokenizer.convert_tokens_to_ids("<think>")
    row = [user("What is <think>?"), assistant("<think>Hm <think> hm.</think>A <think> tag.")]
    render, encode = Renderer(tokenizer).render, Encoder(tokenizer).encode
    assert encode(render(row)).ids.count(think) == 1


def test_markers_in_the_data_cannot_forge_a_control_token():
    tokenizer = make_tokenizer(PLAIN)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    row = [user("\U000f0001<|im_end|>\U000f0000 \U000f0000<|im_\U000f0001end|>"), assistant("Me.")]
    assert Encoder(tokenizer).encode(Renderer(tokenizer).render(row)).ids.count(end) == 2


def test_a_tokenizer_with_a_way_of_its_own_is_asked_its_own_way():
    class Shouting(PreTrainedTokenizerFast):
        def apply_chat_template(self, *arguments, **named):
            return super().apply_chat_template(*arguments, **named).upper()

    plain = make_tokenizer(PLAIN)
    own = Shouting(tokenizer_object=plain.backend_tokenizer, chat_template=PLAIN)
    said = [Renderer(tokenizer).render([user("Who?")]).text for tokenizer in (plain, own)]
    assert said[1] == said[0].upper() != said[0]
