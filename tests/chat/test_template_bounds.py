"""Foreign templates are bounded: what never ends, eats memory or floods is one clear line within seconds."""

import time

import pytest

from bakery.chat.rendering import Renderer
from bakery.chat.template_bounds import check_template_source
from bakery.errors import TemplateError
from tests.templates.support import assistant, make_tokenizer, user

ROW = [user("Who?"), assistant("Me.")]
GROWS = "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x OP n.x %}{% endfor %}{{ n.x }}"
PADS = ["{{ '%1000000000d'|format(1) }}", "{{ '%1000000000d' % 1 }}", "{{ '{:1000000000}'.format(1) }}"]


def renderer(template, **kwargs):
    return Renderer(make_tokenizer(template), **kwargs)


def test_an_endless_template_is_refused_in_seconds():
    loop = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
    start = time.process_time()
    with pytest.raises(TemplateError, match="does not end within 5 s"):
        check_template_source(loop)
    assert time.process_time() - start < 1, "the time is spent in a process that is not this one"


@pytest.mark.parametrize("template", [*PADS, GROWS.replace("OP", "+"), GROWS.replace("OP", "~")])
def test_a_template_that_wants_memory_is_refused(template):
    with pytest.raises(TemplateError, match="wants more than 512 MB of memory"):
        check_template_source(template)


def test_a_template_that_ends_its_process_is_refused_with_what_was_said():
    nested = "{% for i in x %}" * 30 + "{% endfor %}" * 30
    with pytest.raises(TemplateError, match=r"ends the process that tries it .*too many statically nested blocks"):
        check_template_source(nested)


def test_a_template_is_tried_once(monkeypatch):
    tried = []
    monkeypatch.setattr("bakery.chat.template_bounds._try", tried.append)
    for _ in range(3):
        check_template_source("{{ 'tried once' }}")
    assert tried == ["{{ 'tried once' }}"]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "more than the 32,000,000 characters"),
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
