"""Foreign templates are bounded: what never ends, eats memory or floods is one clear line within seconds."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import date

import jinja2
import pytest

from bakery.chat import template_bounds, template_child
from bakery.chat.rendering import Renderer
from bakery.chat.template_bounds import check_template_source, render_bounded
from bakery.errors import TemplateError
from tests.processes import is_running
from tests.templates.support import assistant, make_tokenizer, user

ROW = [user("Who?"), assistant("Me.")]
GROWS = "{% set n = namespace(x=START) %}{% for i in range(60) %}{% set n.x = STEP %}{% endfor %}{{ n.x|length }}"
LOOP = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
HUNGRY = {
    "repeats": "{{ 'x' * 1000000000 }}",
    "pads by format": "{{ '%1000000000d'|format(1) }}",
    "pads by %": "{{ '%1000000000d' % 1 }}",
    "pads by a method": "{{ '{:>999999999}'.format(1) }}",
    "centres": "{{ 'x'|center(10**9) }}",
    "indents": "{{ ('a\n' * 1000)|indent(10000000) }}",
    "fills batches": "{{ range(10)|batch(1000000000, 'x')|list }}",
    "joins": "{{ range(99999)|map('string')|join('x' * 1000000) }}",
    "indents JSON": "{{ [[[1]]]|tojson(indent=1000000000) }}",
    "doubles by +": GROWS.replace("START", "'ab'").replace("STEP", "n.x + n.x"),
    "doubles by ~": GROWS.replace("START", "'ab'").replace("STEP", "n.x ~ n.x"),
    "doubles a tuple": GROWS.replace("START", "(1,)").replace("STEP", "n.x + n.x"),
    "while it is compiled": "{{ 'a' * 1000 * 1000 * 1000 }}",
}
ENDLESS = {
    "nested loops": LOOP,
    "calls itself": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "squares": GROWS.replace("START", "9").replace("STEP", "n.x * n.x").replace("n.x|length", "n.x > 1"),
    "nests lists": GROWS.replace("START", "[1]").replace("STEP", "[n.x, n.x]").replace("n.x|length", "n.x|tojson"),
    "titles": "{{ ('a ' * 10000000)|title }}",
}


def renderer(template, **kwargs):
    return Renderer(make_tokenizer(template), **kwargs)


@pytest.mark.parametrize("template", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_template_is_refused_in_seconds_that_are_not_of_this_process(template):
    template_bounds._process(os.getpid()).close()
    start, spent = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with pytest.raises(TemplateError, match="does not end within 1 s"):
        check_template_source(template)
    assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - spent < 5


@pytest.mark.parametrize("template", HUNGRY.values(), ids=HUNGRY)
def test_a_template_that_wants_memory_is_refused(template):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateError, match="wants more than 512 MB of memory"):
        check_template_source(template)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


@pytest.mark.parametrize("harm", [LOOP, "{{ 'x' * 1000000000 }}"])
@pytest.mark.parametrize(
    "condition", ["messages|length > 100", "'tide' in messages[0].content", "add_generation_prompt"]
)
def test_harm_that_waits_for_its_conversation_is_refused_when_it_comes(harm, condition):
    hostile = renderer(f"{{% if messages and ({condition}) %}}{harm}{{% endif %}}ok {condition}")
    assert hostile.render(ROW).text.startswith("ok")
    long = [user("Who knows the tide?"), assistant("Me.")] * 60
    for messages in (long, ROW):
        with pytest.raises(TemplateError, match=r"does not end within|wants more than"):
            hostile.render(messages, generation_prompt=True)


def test_many_slow_renderings_are_together_as_bad_as_an_endless_one():
    slow = "{% for i in range(99999) %}{% for j in range(150) %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateError, match="does not end within"):
        "".join(render_bounded(slow, ROW, {}) for _ in range(20))


def test_a_template_that_ends_its_process_is_refused_with_what_was_said():
    nested = "{% for i in x %}" * 30 + "{% endfor %}" * 30
    with pytest.raises(TemplateError, match=r"ends the process that renders it .*too many statically nested blocks"):
        check_template_source(nested)


def test_what_was_refused_is_not_tried_again(monkeypatch):
    for _ in range(2):
        with pytest.raises(TemplateError, match="512 MB"):
            check_template_source("{{ 'once' * 1000000000 }}")
        monkeypatch.setattr("bakery.chat.template_bounds._start", None)


def test_without_limits_of_the_system_a_rendering_is_given_up_by_the_clock(monkeypatch):
    template_bounds._process(os.getpid()).close()
    monkeypatch.setattr("bakery.chat.template_child.LIMITS_ITSELF", False)
    monkeypatch.setattr("bakery.chat.template_bounds.WALL_SECONDS", 0.01)
    with pytest.raises(TemplateError, match="does not end"):
        check_template_source("{{ 'given up' }}")


def test_an_interrupted_rendering_leaves_no_answer_behind(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    render_bounded("warm", [], {})
    monkeypatch.setattr(template_bounds, "read_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render_bounded("first", [], {})
    monkeypatch.undo()
    assert render_bounded("second", [], {}) == "second"


class Day(str):
    """A text that is no plain one."""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Day("Monday"), "Monday"),
        (date(2026, 11, 28), "<date>"),
        ({"a": (1, None, True, 2.5)}, "1NoneTrue2.5"),
        ("\ud800", "\ud800"),
    ],
)
def test_what_is_no_plain_value_is_sent_as_what_json_makes_of_it(value, shown):
    template = "{% if value is mapping %}{{ value.a|join }}{% else %}{{ value }}{% endif %}"
    assert render_bounded(template, ROW, {"value": value}) == shown


def test_several_templates_are_told_apart_by_a_child_that_knows_them():
    for _ in range(2):
        for name in ("one", "two", "three"):
            assert render_bounded(f"{name} {{{{ messages|length }}}}", ROW, {}) == f"{name} 2"
        template_bounds._process(os.getpid()).close()


def test_threads_get_each_their_own_answer():
    answers = {}

    def ask(name):
        answers[name] = [render_bounded("{{ messages[0].content }}", [user(f"{name}")], {}) for _ in range(50)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: [str(name)] * 50 for name in range(4)}


def test_the_process_sees_no_secret_and_hears_no_ctrl_c_of_the_terminal(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    child = template_bounds._start()
    try:
        with open(f"/proc/{child.pid}/environ") as file:
            assert "hf_canary" not in file.read()
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        child.communicate()


def test_a_refusal_is_told_from_a_limit():
    with pytest.raises(jinja2.TemplateError, match=r"^No way\.$"):
        render_bounded("{{ raise_exception('No way.') }}", ROW, {})
    check_template_source("{{ raise_exception('No way.') }}")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "more than the 32,000,000 allowed"),
        ("{% for m in messages %}", "line 1 of the chat template is not valid"),
        ("{{ 1|nothing }}", "is not valid: No filter named 'nothing'"),
        ("{{ messages[7].content.x.y }}", "refuses this conversation of roles user, assistant"),
        ("{% if messages %}{{ raise_exception('No way.') }}{% endif %}", "No way."),
        ("{{ ''.__class__.__mro__ }}", "refuses|unsafe"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "recursion"),
        ("{{ range(10 ** 9)|list }}", "Range too big"),
        ("{{ 1 // 0 }}", "zero"),
        ("{% set x = messages.append(1) %}", "unsafe"),
    ],
)
def test_a_hostile_template_is_one_clear_line(template, says):
    with pytest.raises(TemplateError, match=says) as caught:
        renderer(template).render(ROW)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value) or "not valid" in str(caught.value)


def test_half_a_minute_of_words_is_no_harm():
    words = "The tide turns at noon; the harbour is open. " * 20_000
    template = "{% for m in messages %}{{ m.content|trim }}{% endfor %}"
    assert len(render_bounded(template, [user(words)] * 10, {})) > 8_000_000
    assert template_child.MAX_CHARACTERS > 8_000_000


KILLED = """
import os, signal, sys, threading
from bakery.chat import template_bounds
from bakery.chat.template_bounds import render_bounded
render_bounded("{{ 1 }}", [], {})
print(template_bounds._process(os.getpid())._child.pid, flush=True)
if len(sys.argv) > 1:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    render_bounded(sys.argv[1], [], {})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("template", [None, LOOP], ids=["idle", "rendering"])
def test_the_process_ends_when_this_one_is_killed(template):
    words = [sys.executable, "-c", KILLED, *([template] if template else [])]
    killed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    while is_running(int(killed.stdout)):
        assert time.monotonic() < until
        time.sleep(0.05)
