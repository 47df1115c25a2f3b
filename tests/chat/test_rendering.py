"""Rendering: templates on a leash, frozen dates, control words that stay words, tokens as transformers makes them."""

import threading
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.chat.encoding import Encoder, Text, common_length
from bakery.chat.rendering import Renderer, freeze_dates, plain_messages
from bakery.chat.template_bounds import time_limit
from bakery.errors import ConfigError, TemplateError, ViewError
from tests.templates.support import KINDS, OWN, REAL, assistant, ids_of, make_tokenizer, text_of, user

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


# The leash


def test_an_endless_template_is_stopped_in_time():
    loop = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
    start = time.monotonic()
    with pytest.raises(TemplateError, match="does not end within 5 s"):
        renderer(loop).render(ROW)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "99,999,000 characters"),
        ("{{ 'x' * 100000000 }}", "the number 100000000"),
        ("{{ 9 ** 9 ** 9 ** 9 }}", r"takes a power \(\*\*\)"),
        ("{% for m in messages %}", "not valid|refuses"),
        ("{{ messages[7].content.x.y }}", "refuses this conversation of roles user, assistant"),
        ("{{ raise_exception('No way.') }}", "No way."),
        ("{{ ''.__class__.__mro__ }}", "refuses|unsafe"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 1 // 0 }}", "zero"),
        ("{% set x = messages.append(1) %}", "unsafe"),
    ],
)
def test_a_hostile_template_is_one_clear_line(template, says):
    with pytest.raises(TemplateError, match=says) as caught:
        renderer(template).render(ROW)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value) or "not valid" in str(caught.value)


def test_text_that_only_looks_like_a_power_is_text():
    assert renderer("**bold** {{ messages[0].content }}").render(ROW).text == "**bold** Who?"


def test_a_time_limit_holds_in_any_thread_and_leaves_nothing_behind():
    caught = []

    def work():
        try:
            with time_limit(0.1):
                while True:
                    pass
        except TimeoutError:
            caught.append(True)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert caught == [True] * 3
    with time_limit(0.1):
        pass
    time.sleep(0.6)  # nothing is raised after the work is done


def test_a_tokenizer_without_template_says_what_to_do():
    with pytest.raises(TemplateError, match=r"no chat template; .*chat_template"):
        Renderer(make_tokenizer(None))


@pytest.mark.parametrize("name", ["tokenize", "add_generation_prompt", "chat_template"])
def test_template_variables_may_not_be_our_own_arguments(name):
    with pytest.raises(ConfigError, match=f"chat_template_kwargs: {name}"):
        renderer(PLAIN, chat_template_kwargs={name: True})


def test_template_variables_reach_the_template():
    assert renderer("{{ mood }}", chat_template_kwargs={"mood": "merry"}).render(ROW).text == "merry"


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(TemplateError, match="slow tokenizer"):
        Encoder(Slow())


# Messages


def test_text_parts_are_joined_and_nothing_else_is_touched():
    given = [user([{"type": "text", "text": "a "}, "b"]), assistant(None, tool_calls=[{"x": 1}])]
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


def test_a_tokenizer_that_cannot_keep_words_apart_is_refused():
    tokenizer = make_tokenizer("{% for m in messages %}{{ 'pirate ' + m.content }}{% endfor %}", "words", tags=False)
    tokenizer.add_tokens(["pirate"])
    with pytest.raises(ViewError, match="control token even of the word 'pirate'"):
        Encoder(tokenizer).encode(Renderer(tokenizer).render([user("a pirate here")]))


# Tokens

WORDS = st.lists(
    st.sampled_from(["Rome", " ", "  ", "\n", "\n\n", "é", "東京", "🙂", "<|im_end|>", "</s>", ".", "a", "שלום"]),
    max_size=12,
).map("".join)


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), adds_bos=st.booleans(), question=WORDS, answer=WORDS)
def test_tokens_are_those_of_transformers_and_stand_for_their_characters(kind, adds_bos, question, answer):
    tokenizer = make_tokenizer(PLAIN, kind, adds_bos=adds_bos)
    row = [user(question), assistant(answer)]
    text = Renderer(tokenizer).render(row)
    tokens = Encoder(tokenizer).encode(text)
    assert tokens.ids == ids_of(tokenizer, row)
    ends = [0]
    for start, end in tokens.offsets:
        assert start <= end <= len(text.text)
        assert start <= ends[-1], "no character is left out"
        ends.append(max(end, ends[-1]))
    assert ends[-1] == len(text.text)


@settings(max_examples=60, deadline=None, database=None)
@given(kind=st.sampled_from(KINDS[:4]), rows=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_a_remembered_head_changes_no_token(kind, rows):
    tokenizer = make_tokenizer(PLAIN, kind)
    encoder, truth = Encoder(tokenizer), Encoder(tokenizer)
    for question, answer in rows:
        text = Renderer(tokenizer).render([user("A long prefix. " * 9), user(question), assistant(answer)])
        known = encoder.encode_in_family(text, "family", len(text.text) - 5)
        whole = truth.encode(text)
        assert known.ids == whole.ids
        assert known.offsets == whole.offsets[known.skipped :]


def test_a_tokenizer_set_to_cut_is_not_obeyed():
    tokenizer = make_tokenizer(PLAIN)
    before = Encoder(tokenizer).encode(Text("one two three four")).ids
    tokenizer("one two three four", truncation=True, max_length=2)
    assert Encoder(tokenizer).encode(Text("one two three four")).ids == before


@given(a=st.text("ab", max_size=12), b=st.text("ab", max_size=12))
def test_common_length_is_the_longest_common_begin(a, b):
    n = common_length(a, b)
    assert a[:n] == b[:n]
    assert a[: n + 1] != b[: n + 1] or n == min(len(a), len(b))
