"""The proof in the terminal: tables fit their width, the time adds up, no answer can move the cursor."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bakery.engine.distill.conditions import BAKED
from bakery.report.summary import COLUMNS
from bakery.report.terminal import print_proof
from bakery.report.usage import usage
from tests.proof_support import made_proof


def shown(result, width: int = 80) -> str:
    file = io.StringIO()
    print_proof(result, Console(file=file, width=width, force_terminal=False))
    return file.getvalue()


def test_the_time_table_says_what_was_reused_and_adds_up(result):
    lines = [line.split() for line in shown(result).partition("Where the time went")[2].splitlines()[1:6]]
    assert lines == [
        ["load", "2.0", "s", "10", "%"],
        ["teacher", "reused", "0", "%", "1,000"],
        ["training", "17.0", "s", "85", "%", "34,000", "2,000"],
        ["other", "0.9", "s", "4", "%"],
        ["whole", "20.0", "s", "100", "%"],
    ]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_shows_whole_words_in_its_width(result, width):
    result = replace(result, proof=made_proof())
    lines = shown(result, width).splitlines()
    code = usage(result).splitlines()
    assert all(len(line) <= width for line in lines if line not in code)
    assert set(code) <= set(lines), "the code to copy must not be wrapped"
    assert "…" not in "".join(line for line in lines[:40] if "%" in line)
    assert sum(all(name in line for name in COLUMNS.values()) for line in lines) == 1


def test_an_answer_cannot_write_on_the_terminal(result):
    score = result.proof.main_set
    evil = replace(score.questions[0].replies[BAKED], text="\x1b[2J\x1b]0;gone\x07\n[bold]x[/bold]")
    asked = replace(score.questions[0], replies={**score.questions[0].replies, BAKED: evil})
    proof = replace(result.proof, sets={"heldout": replace(score, questions=(asked,))})
    text = shown(replace(result, proof=proof), 120)
    assert not {"\x1b", "\x07"} & set(text)
    assert "[bold]x[/bold]" in text


def test_the_verdict_comes_first_and_only_what_can_be_used_is_shown_in_use(result):
    good, failed = (shown(replace(result, proof=proof), 120) for proof in (made_proof(), made_proof(after=1.5)))
    assert good.split("\n")[1] == "Good: the baked model answers as if it were prompted."
    assert failed.split("\n")[1] == "Failed: the baked model does not do what the prompt does."
    assert "Use it:" in good
    assert "Use it:" not in failed


def test_an_early_stop_is_said(result):
    assert "Stopped after 50 steps: patience 3 is used up." in shown(
        replace(result, stopped_early="patience 3 is used up")
    )
    assert "Stopped" not in shown(result)
