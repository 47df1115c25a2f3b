"""The page in a real Chromium: ask, stream, slide, hover, keys, stop, tabs, a killed server; nothing leaves."""

import json
from urllib.parse import urlsplit

import pytest

from bakery.taste.saved_questions import FILE
from tests.browser_support import needs_chromium
from tests.devtools import browser
from tests.taste.conftest import COLUMNS, running
from tests.taste.page_support import BUSY, ask, open_page, set_value, texts

pytestmark = needs_chromium

ESCAPE, RIGHT = ("Escape", 27), ("ArrowRight", 39)
SCRIPT = "<img src=x onerror=alert(1)><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as running_browser:
        yield running_browser


@pytest.fixture
def tab(chromium, page):
    own = chromium.tab()
    own.size(1200, 800)
    open_page(own, page)
    yield own
    assert own.problems == []
    assert {urlsplit(address).netloc for address in own.requested if not address.startswith("data:")} == {
        urlsplit(page).netloc
    }
    assert own.run("document.cookie") == ""


def test_three_answers_stand_side_by_side_token_by_token(tab, tasting):
    ask(tab, "What is the wifi password?")
    from bakery.taste.conversation import Asked, Ended

    question = ({"role": "user", "content": "What is the wifi password?"},)
    events = tasting.answers(Asked(dict.fromkeys(COLUMNS, question), max_new_tokens=12))
    assert texts(tab) == [event.text for event in sorted((e for e in events if isinstance(e, Ended)),
                                                         key=lambda e: COLUMNS.index(e.column))]  # fmt: skip
    lefts = tab.run("[...document.querySelectorAll('.answer')].map(e => e.getBoundingClientRect().left)")
    assert lefts == sorted(set(lefts))
    assert tab.run("document.querySelector('.answer.base .rules').textContent").startswith("greets")


def test_the_strength_answers_again(tab):
    ask(tab, "Who are you?")
    base, prompted, _ = texts(tab)
    set_value(tab, "strength", 0, "input")
    tab.until("document.querySelector('.answer.baked h3').textContent === 'baked at strength 0'")
    tab.until(f"{BUSY} === 0")
    assert texts(tab) == [base, prompted, base]
    assert tab.run("document.querySelectorAll('.turn').length") == 1


def test_a_token_tells_what_all_three_would_have_said_on_hover_focus_and_tap(tab):
    ask(tab, "Who are you?")
    tab.hover(".answer.base .t:nth-child(2)")
    tab.until("!document.getElementById('token').hidden")
    assert tab.run("[...document.querySelectorAll('#token h4')].map(e => e.textContent)") == [
        "base",
        "prompted",
        "baked",
    ]
    assert tab.run("document.querySelectorAll('#token li').length") >= 15
    tab.press(*ESCAPE)
    assert tab.run("document.getElementById('token').hidden")
    tab.run("document.querySelector('.answer.base .t').focus()")
    first = tab.run("document.querySelector('#token h3').textContent")
    tab.press(*RIGHT)
    tab.until(f"document.querySelector('#token h3').textContent !== {json.dumps(first)}")
    assert tab.run("document.activeElement === document.querySelectorAll('.answer.base .t')[1]")
    assert tab.run("document.querySelectorAll('.answer.base [tabindex=\"0\"]').length") == 1  # one stop of the tab key
    tab.run("document.querySelector('.answer.baked .t').click()")
    assert tab.run("document.activeElement === document.querySelector('.answer.baked .t')")


def test_an_answer_can_be_stopped_by_button_and_by_key(tab, served):
    set_value(tab, "longest", 2048)
    set_value(tab, "temperature", 2)
    for stop in ("document.getElementById('stop').click()", None):
        ask(tab, "Tell me a long story.", wait=False)
        tab.until("document.querySelectorAll('.turn:last-child .t').length > 5")
        tab.run(stop) if stop else tab.press(*ESCAPE)
        tab.until(f"{BUSY} === 0")
        assert "(stopped)" in tab.run("document.querySelector('.turn:last-child').textContent")
        tab.until("!document.getElementById('ask').hidden")
    assert tab.run("document.getElementById('stop').hidden")


def test_another_prompt_changes_the_prompted_answer_only(tab):
    ask(tab, "Who are you?")
    before = texts(tab)
    set_value(tab, "prompt-0", "Say no.", "input", "change")
    tab.until(f"{BUSY} > 0 || {json.dumps(before[1])} !== document.querySelectorAll('.turn .text')[1].textContent")
    tab.until(f"{BUSY} === 0")
    after = texts(tab)
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1]
    assert tab.run("document.getElementById('prompt').classList.contains('edited')")
    tab.run("document.getElementById('reset-prompt').click()")
    tab.until(f"{BUSY} === 0 && !document.getElementById('prompt').classList.contains('edited')")
    assert texts(tab) == before


def test_markup_in_question_and_prompt_stays_text(tab):
    title = tab.run("document.title")
    set_value(tab, "prompt-0", SCRIPT, "input", "change")
    ask(tab, SCRIPT)
    assert tab.run("document.querySelector('.turn h2').textContent") == SCRIPT
    assert tab.run("document.querySelectorAll('.turn img, .turn script, aside img, aside script').length") == 0
    assert tab.run("document.title") == title


def test_a_question_is_asked_at_a_click_and_kept(tab, served):
    (served.folder / FILE).unlink(missing_ok=True)
    tab.run("document.querySelector('#question-list button').click()")
    tab.until(f"document.querySelector('.turn') && {BUSY} === 0")
    tab.run("document.querySelector('.turn .tools button:not(.again)').click()")
    tab.until(f"document.querySelector('.turn .tools').textContent.includes('{FILE} (1 there)')")
    assert json.loads((served.folder / FILE).read_text())["messages"][0]["content"] == "Who is there?"
    (served.folder / FILE).unlink()


def test_a_second_question_goes_on_and_a_new_conversation_does_not(tab):
    ask(tab, "Who are you?")
    alone = texts(tab)
    ask(tab, "Who are you?")
    assert texts(tab) != alone
    tab.run("document.getElementById('new').click()")
    ask(tab, "Who are you?")
    assert texts(tab) == alone


def test_drawn_answers_change_with_the_seed(tab):
    set_value(tab, "temperature", 1)
    ask(tab, "Who are you?")
    first = texts(tab)
    tab.run("document.querySelector('.again').click()")
    tab.until(f"{BUSY} === 0 && document.getElementById('seed').value === '1'")
    assert texts(tab) != first


def test_two_tabs_are_answered_at_a_time_and_a_reload_begins_anew(chromium, tab, page):
    other = chromium.tab()
    open_page(other, page)
    set_value(tab, "longest", 2048)
    set_value(tab, "temperature", 2)
    ask(tab, "Tell me a long story.", wait=False)
    tab.until("document.querySelectorAll('.t').length > 5")
    ask(other, "Who are you?")
    assert tab.run(BUSY) > 0  # the other one did not wait for its end
    open_page(tab, page)
    assert tab.run("document.querySelectorAll('.turn').length") == 0
    ask(tab, "Who are you?")
    assert texts(tab) == texts(other)


def test_a_server_that_is_gone_is_told(chromium, served):
    tab = chromium.tab()
    with running(served) as (address, end):
        open_page(tab, address)
        ask(tab, "Who are you?")
        end()
    ask(tab, "Who are you?")
    assert "start bakery taste again" in tab.run("document.querySelector('.turn:last-child .error').textContent")
    assert tab.run("document.getElementById('stop').hidden")


def test_with_a_token_the_page_works_and_without_it_does_not(chromium, served):
    tab = chromium.tab()
    with running(served, "0.0.0.0") as (address, _):
        open_page(tab, address)
        ask(tab, "Who are you?")
        assert any(texts(tab))
        tab.open(address.partition("?")[0])
        assert "token" in tab.run("document.body.textContent")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (768, 1024), (1200, 800), (2560, 1300)])
@pytest.mark.parametrize("dark", [False, True])
def test_everything_is_in_sight_on_every_window(width, height, dark, tab):
    tab.size(width, height, dark=dark)
    ask(tab, "Who are you?" + " And what is this extraordinarilyunbrokenlongword" * 3)
    wide = tab.run(
        "[...document.querySelectorAll('body *')].filter(e => { const b = e.getBoundingClientRect();"
        f" return b.width > 1 && (b.right > {width} + 1 || b.left < -1) && !e.closest('.skip'); }})"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert tab.run("document.documentElement.scrollWidth") == width
    tab.run("document.querySelector('.answer.baked .t').focus()")
    box = tab.run("(b => [b.left, b.top, b.right, b.bottom])(document.getElementById('token').getBoundingClientRect())")
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= width
    assert box[3] <= height
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(23, 21, 19)") == dark


def test_every_control_has_a_name(tab):
    ask(tab, "Who are you?")
    nameless = tab.run(
        "[...document.querySelectorAll('button, input, textarea, a')]"
        ".filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).map(e => e.outerHTML)"
    )
    assert nameless == []
    assert "baked:" in tab.run("document.getElementById('status').textContent")  # what a screen reader says at the end
