"""What tests of the page in a browser share: opening it, asking, and reading the answers."""

import json

ENTER = ("Enter", 13, "\r")
BUSY = "document.querySelectorAll('.answer[aria-busy=true]').length"


def open_page(tab, address):
    tab.open(address)
    tab.until("document.querySelector('#legend .t')")
    set_value(tab, "longest", 12)


def set_value(tab, name, value, *events):
    told = "".join(f"e.dispatchEvent(new Event('{event}', {{bubbles: true}}));" for event in events)
    tab.run(f"(e => {{ e.value = {json.dumps(value)}; {told} }})(document.getElementById('{name}'))")


def ask(tab, question, *, wait=True):
    turns = tab.run("document.querySelectorAll('.turn').length")
    tab.run("document.getElementById('question').focus()")
    tab.type(question)
    tab.press(*ENTER)
    tab.until(f"document.querySelectorAll('.turn').length === {turns + 1}")
    if wait:
        tab.until(f"{BUSY} === 0")


def texts(tab):
    """The answers of the newest turn, without the sign of the end."""
    return tab.run(
        "[...document.querySelectorAll('.turn:last-child .text')]"
        ".map(e => e.textContent.replace(/■| … \\(cut off\\)/g, ''))"
    )
