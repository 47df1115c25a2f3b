"""The page in a real Chromium before and while something is baked, and with several runs."""

import json
import shlex

import pytest

from bakery.taste.conversation import Asked, Piece
from bakery.taste.opening import open_runs
from tests.browser_support import needs_chromium
from tests.devtools import browser
from tests.taste.conftest import QUIET, baking_words, running, served_prompt
from tests.taste.page_support import BUSY, ask, open_page, set_value, texts

pytestmark = needs_chromium

HARD = 'It\'s <script>document.title="taken"</script> & "$HOME" `ls`\nsecond line'
BAKE = "document.querySelector('.bake')"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as running_browser:
        yield running_browser


@pytest.fixture(scope="module")
def prompt(saved_base, tmp_path_factory):
    """A server of a prompt whose bake takes a second, and its address."""
    own = served_prompt(baking_words(saved_base, tmp_path_factory.mktemp("baking")))
    with running(own) as (address, _):
        yield own, address
    own.close()


@pytest.fixture(scope="module")
def several(bake, two_runs):
    """The address of a server of two runs."""
    from bakery.taste.app import Served
    from bakery.taste.opening import Current
    from bakery.taste.worker import Worker

    served = Served(Current(open_runs(bake[0], two_runs, QUIET)), Worker())
    with running(served) as (address, _):
        yield address
    served.close()


@pytest.fixture(scope="module")
def endless(saved_base, tmp_path_factory):
    """A server of a prompt whose bake does not end by itself, and its address."""
    words = baking_words(saved_base, tmp_path_factory.mktemp("endless"), max_steps=10**6, eval_strategy="no")
    own = served_prompt(words)
    with running(own) as (address, _):
        yield own, address
    own.close()


def tab_of(chromium, address):
    tab = chromium.tab()
    tab.size(1200, 800)
    open_page(tab, address)
    return tab


def titles(tab):
    return tab.run("[...document.querySelectorAll('.turn:last-child h3')].map(e => e.textContent)")


def click(tab, name):
    tab.run(f"document.getElementById('{name}').click()")


def test_base_and_prompted_answer_before_anything_is_baked_and_the_gap_is_told(chromium, prompt):
    served, address = prompt
    tab = tab_of(chromium, address)
    assert tab.run("document.getElementById('title').textContent") == "Is this prompt worth baking?"
    assert tab.run("document.getElementById('strength-dial').hidden")
    ask(tab, "Who are you?")
    assert titles(tab) == ["base", "prompted"]
    question = ({"role": "user", "content": "Who are you?"},)
    asked = Asked(dict.fromkeys(("base", "prompted"), question), max_new_tokens=12)
    events = list(served.current.opened.tasting.answers(asked))
    nats = [event.nats["base"] for event in events if isinstance(event, Piece) and event.column == "prompted"]
    gap = tab.run("document.getElementById('gap').textContent")
    told = float(gap.split(" by ")[1].split()[0])
    assert told == pytest.approx(sum(nats) / len(nats), rel=0.01)
    assert f"over {len(nats)} tokens of 1 answer." in gap
    tab.run("document.querySelector('.answer.prompted .t').focus()")
    assert tab.run("[...document.querySelectorAll('#token h4')].map(e => e.textContent)") == ["base", "prompted"]
    ask(tab, "Hello!")
    assert "of 2 answers." in tab.run("document.getElementById('gap').textContent")
    assert tab.problems == []


def test_the_command_is_shown_for_the_prompt_as_it_stands(chromium, prompt):
    tab = tab_of(chromium, prompt[1])
    click(tab, "show-command")
    tab.until("document.getElementById('command-line').textContent.startsWith('bakery --model_name_or_path')")
    set_value(tab, "prompt-0", HARD, "input", "change")
    tab.until("document.getElementById('command-line').textContent.includes('<script>')")
    words = shlex.split(tab.run("document.getElementById('command-line').textContent"))
    assert words[words.index("--system_prompt") + 1] == HARD
    assert words[-1] == tab.run("document.getElementById('bake-folder').textContent")
    assert tab.run("document.querySelectorAll('aside script').length") == 0
    assert tab.run("document.title") != "taken"
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    click(tab, "copy")
    tab.until("document.getElementById('copied').textContent")
    set_value(tab, "prompt-0", " ", "input", "change")
    tab.until("document.getElementById('command-line').textContent.includes('the prompt is empty')")
    click(tab, "start-bake")
    tab.until("document.getElementById('bake-error').textContent.includes('the prompt is empty')")
    assert tab.run("document.getElementById('bake-error').role") == "alert"


def test_a_bake_is_followed_to_its_verdict_and_then_the_baked_model_answers(chromium, prompt):
    served, address = prompt
    tab = tab_of(chromium, address)
    ask(tab, "Who are you?")
    click(tab, "start-bake")
    tab.until(f"{BAKE} && !document.querySelector('.ending').hidden")
    assert served.page_bake.record.state.phase == "done"
    verdict = tab.run("document.querySelector('.ending .verdict').textContent")
    assert verdict == tab.run("document.querySelector('#proofs .verdict').textContent")
    assert tab.run("document.querySelectorAll('.ending .reasons li').length") >= 1
    assert "measuring the proof" in tab.run("document.querySelector('.stages').textContent")
    assert tab.run("[...document.querySelectorAll('.learned dt')].map(e => e.textContent)") == [
        "prompted", "step 12", "step 8", "before",
    ]  # fmt: skip
    tab.until("document.querySelector('.curve svg')")
    assert "validation rows" in tab.run("document.querySelector('.curve').textContent")
    assert tab.run("document.querySelector('.bake .tools button').hidden")
    tab.run("document.querySelector('.first').click()")
    tab.until(f"document.querySelectorAll('.turn:last-child .answer').length === 3 && {BUSY} === 0")
    assert titles(tab) == ["base", "prompted", "baked"]
    assert tab.run("document.querySelector('.turn:last-child h2').textContent") == "Who are you?"
    baked = texts(tab)
    set_value(tab, "strength", 0, "input")
    tab.until("document.querySelector('.turn:last-child .answer.baked h3').textContent === 'baked at strength 0'")
    tab.until(f"{BUSY} === 0")
    assert texts(tab) == [baked[0], baked[1], baked[0]]
    other = tab_of(chromium, address)  # a reload, or another tab, sees the same
    other.until("document.querySelector('.ending .verdict')")
    ask(other, "Who are you?")
    assert texts(other) == baked
    assert tab.problems == other.problems == []


def test_a_bake_goes_on_through_a_reload_is_seen_by_other_tabs_and_is_stopped(chromium, endless):
    served, address = endless
    tab, other = tab_of(chromium, address), tab_of(chromium, address)
    click(tab, "start-bake")
    tab.until("document.querySelectorAll('.learned dt').length > 3")
    assert tab.run("document.getElementById('ask').disabled")
    other.until(f"{BAKE} && document.getElementById('ask').disabled")
    click(other, "start-bake")  # nothing happens: one at a time
    open_page(tab, address)
    tab.until("document.querySelectorAll('.learned dt').length > 3 && document.querySelector('.curve svg')")
    assert served.page_bake.record.state.number == 1
    set_value(tab, "question", "Hello!")
    tab.run("document.getElementById('composer').requestSubmit()")
    assert tab.run("document.getElementById('question').value") == "Hello!"  # it waits there
    for width, dark in ((390, True), (1200, False), (2560, True)):
        tab.size(width, 844, dark=dark)
        assert tab.run("document.documentElement.scrollWidth") == width
    other.run(f"{BAKE}.querySelector('.tools button').click()")
    for one in (tab, other):
        one.until(f"{BAKE}.textContent.includes('Stopped. No adapter was written.')")
        one.until("!document.getElementById('ask').disabled")
    tab.size(1200, 800)
    tab.run("document.getElementById('composer').requestSubmit()")
    tab.until(f"document.querySelectorAll('.turn:last-child .answer').length === 2 && {BUSY} === 0")
    assert all(texts(tab))
    assert tab.problems == []


def test_a_bake_that_fails_says_why_and_the_page_lives_on(chromium, endless, monkeypatch):
    from bakery.errors import DataError

    def refuse(*given, **named):
        raise DataError("row 3: <b>no</b>")

    monkeypatch.setattr("bakery.taste.page_bake.bake", refuse)
    tab = tab_of(chromium, endless[1])
    click(tab, "start-bake")
    tab.until(f"{BAKE}.querySelector('.error')")
    tab.until(f"{BAKE}.querySelector('.error').textContent === 'row 3: <b>no</b>'")
    tab.until("!document.getElementById('ask').disabled")
    ask(tab, "Hello!")
    assert titles(tab) == ["base", "prompted"]


def test_two_runs_stand_side_by_side_and_whose_prompt_it_is_is_told(chromium, several):
    tab = tab_of(chromium, several)
    ask(tab, "Who are you?")
    assert titles(tab) == ["base", "prompted", "baked: out", "baked: other"]
    assert len(set(texts(tab))) > 2
    note = tab.run("document.getElementById('prompt-note').textContent")
    assert "It is the prompt of out. From another prompt: other." in note
    assert tab.run("document.querySelector('#proofs .run-name').textContent") == "out"
    assert tab.run("document.getElementById('bake').hidden")
    tab.run("document.querySelector('.answer.prompted .t').focus()")
    assert tab.run("document.querySelectorAll('#token h4').length") == 4
    for width in (390, 1200, 2560):
        tab.size(width, 844)
        assert tab.run("document.documentElement.scrollWidth") == width
        tab.until(
            "(b => b.left >= 0 && b.top >= 0 && b.right <= innerWidth)"
            "(document.getElementById('token').getBoundingClientRect())"
        )
    assert tab.problems == []


def test_every_control_of_a_bake_has_a_name(chromium, prompt):
    tab = tab_of(chromium, prompt[1])
    click(tab, "show-command")
    nameless = tab.run(
        "[...document.querySelectorAll('button, input, textarea, a, progress, [tabindex=\"0\"]')]"
        ".filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).map(e => e.outerHTML)"
    )
    assert json.dumps(nameless) == "[]"
